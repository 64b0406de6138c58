"""Take rows out of a catalog: those that no mark says are to stay, kind by kind, in transactions of any size.

Whoever takes out everything in the order of `Clearing.clear` leaves a catalog at every moment in which no row names what is not
there. Decides nothing about what is needed.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from typing import Any

from holdfast.errors import StoreFailure
from holdfast.storage.database import Columns
from holdfast.storage.marks import Mark, Marks
from holdfast.storage.rows import CallRow, ExpansionRow, ImplementationRow
from holdfast.storage.seal import read_dated_call, read_expansion
from holdfast.storage.writer import CatalogWriter

BLOCK = 20_000
"""Rows that are looked at, or taken out, at once."""

ROUNDS = 1_000
"""Rounds that are read at once."""

NAMED = re.compile(r'"([0-9a-f]{64})', re.ASCII)
"""Each uid that a record or the state of a round names."""

_DECIDERS: dict[str, tuple[Mark, ...]] = {
    "failures": (Mark.NAME,),
    "overcome": (Mark.NAME,),
    "expansions": (Mark.NAME,),
    "nodes": (Mark.NAME, Mark.CHOSEN),
    "calls": (Mark.NAME, Mark.CHOSEN),
    "arrays": (Mark.ARRAY,),
    "referents": (Mark.NAME,),
}
"""For each table, which marks let a row stay: on the keys that its `part_` statement gives, in that order."""

_COUNTED = {"failures", "nodes", "calls"}


class Clearing(CatalogWriter):
    """A catalog that is looked through as a whole, and from which rows are taken out."""

    # looking through

    def find_dated_calls(self, keys: Sequence[bytes]) -> list[CallRow]:
        """Return those of the calls that have a result, with operation and time."""
        return self._find("find_dated_calls", keys, read_dated_call)

    def find_expansions(self, owners: Sequence[bytes]) -> list[ExpansionRow]:
        """Return what was recorded of what nodes, calls and targets came down to."""
        return self._find("find_expansions", owners, read_expansion)

    def find_loops(self, keys: Sequence[bytes]) -> list[bytes]:
        """Return those of the keys under which there are rounds."""
        return [columns[0] for columns in self._find("find_loops", keys, tuple)]

    def weigh_arrays(self, digests: Sequence[bytes]) -> list[Columns]:
        """Return for each known array its digest, its store, its members, and how many bytes of it are inline."""
        return self._find("weigh_arrays", digests, tuple)

    def latest_calls(self) -> Iterator[list[tuple[bytes, int]]]:
        """Return every call and when it was made, the latest first, in blocks."""
        position = 2**63 - 1
        while found := self._select("latest_calls", (position, BLOCK), tuple):
            position = found[-1][0]
            yield [(key, made) for _, key, made in found]

    def list_operations(self) -> list[str]:
        """Return the names of all operations."""
        return [columns[0] for columns in self._select("list_operations", (), tuple)]

    def unneeded(self, table: str, marks: Marks) -> Iterator[list[Columns]]:
        """Return the rows of a table that no mark lets stay, in blocks: row id and keys."""
        position = 0
        while found := self._select(f"part_{table}", (position, BLOCK), tuple):
            position = found[-1][0]
            yield _unmarked(found, _DECIDERS[table], marks)

    def unneeded_stacks(self, marks: Marks) -> list[Columns]:
        """Return the same of arrays that are stacks of others, in the order in which they may be taken out."""
        return _unmarked(self._select("list_stacks", (), tuple), (Mark.ARRAY,), marks)

    def unneeded_rounds(self, marks: Marks, *, chosen: bool) -> Iterator[tuple[bytes, int]]:
        """Return loops that nothing needs, and from which round on they have to go.

        Parameters
        ----------
        marks : Marks
        chosen : bool
            Whether calls were chosen to stay: then the rounds stay of which all nodes do, up to the first that does not.
        """
        position = b""
        while found := self._select("part_loops", (position, BLOCK), tuple):
            loops = [columns[0] for columns in found]
            position = loops[-1]
            for loop in sorted(set(loops) - marks.among(Mark.NAME, loops)):
                first = self._first_broken(loop, marks) if chosen else 0
                if first is not None:
                    yield loop, first

    def _first_broken(self, loop: bytes, marks: Marks) -> int | None:
        """Return the first round that names a node that does not stay, or that holds what a call returned; None if there is none."""
        first = 0
        while rounds := self.list_rounds(loop, first, first + ROUNDS - 1):
            for row in rounds:
                uids = [bytes.fromhex(uid) for uid in NAMED.findall(row.state)]
                if row.state and (row.number == 0 or not self._all_stay(uids, marks)):
                    return row.number
            first += ROUNDS
        return None

    def _all_stay(self, uids: list[bytes], marks: Marks) -> bool:
        keys = self.find_call_keys(uids)
        stay = marks.among(Mark.NAME, uids)
        chosen = marks.among(Mark.CHOSEN, keys.values())
        return all(uid in stay or keys.get(uid) in chosen for uid in uids)

    def unneeded_implementations(self, marks: Marks) -> tuple[list[ImplementationRow], set[str]]:
        """Return the code that nothing needs and that is not the latest of its operation; and the digests of the other code's parts."""
        gone: list[ImplementationRow] = []
        named: set[str] = set()
        for operation in self.list_operations():
            rows = self.list_implementations(operation)
            stay = marks.among(Mark.NAME, [row.uid for row in rows])
            for row in rows:
                if row is rows[0] or row.uid in stay:
                    named.update(row.parts.values())
                else:
                    gone.append(row)
        return gone, named

    # taking out

    def clear(self, marks: Marks, *, chosen: bool, room: Callable[[], int], confirm: Callable[[], None]) -> None:
        """Take out every row that nothing lets stay; what names others goes before them.

        Parameters
        ----------
        marks : Marks
        chosen : bool
            See `unneeded_rounds`.
        room : callable
            Asked before each transaction how many rows it may take out.
        confirm : callable
            Called within each transaction; what it raises ends it.
        """

        def cut(name: str, columns: Sequence[Sequence[Any]], total: str = "") -> None:
            start = 0
            while start < len(columns):
                block = columns[start : start + room()]
                start += len(block)
                with self._database.transaction():
                    confirm()
                    removed = self._database.change(name, [tuple(each) for each in block])
                    if total:
                        self._count(total, -removed)
                if room() < BLOCK:
                    with suppress(StoreFailure):  # on a full disk: the log has to grow until stores are removed
                        self.move_log()

        cut("cut_rounds", list(self.unneeded_rounds(marks, chosen=chosen)))
        for table in ("failures", "overcome", "expansions", "nodes", "calls"):
            for rows in self.unneeded(table, marks):
                cut(f"cut_{table}", [row[:1] for row in rows], table if table in _COUNTED else "")
        cut("cut_arrays", [row[:1] for row in self.unneeded_stacks(marks)])
        for table in ("arrays", "referents"):
            for rows in self.unneeded(table, marks):
                cut(f"cut_{table}", [row[:1] for row in rows])
        codes, named = self.unneeded_implementations(marks)
        cut("cut_implementation", [(row.uid, row.operation) for row in codes])
        cut("cut_source", [columns for columns in self._select("list_sources", (), tuple) if columns[0] not in named])

    def drop_targets(self, names: Sequence[str], confirm: Callable[[], None]) -> None:
        """Take out names of targets."""
        with self._database.transaction():
            confirm()
            self._database.change("cut_target", [(name,) for name in names])

    def gaps(self) -> tuple[int, int]:
        """Return of how many pages the database consists, and how many of them are empty."""
        pages, free = self._select("count_pages", (), tuple)[0]
        return pages, free

    def close_gaps(self) -> None:
        """Write the database anew without empty pages; needs as much space as what is left."""
        self._database.select("close_gaps")
        self.move_log()


def _unmarked(rows: list[Columns], deciders: tuple[Mark, ...], marks: Marks) -> list[Columns]:
    stays: set[Any] = set()
    for place, kind in enumerate(deciders, start=1):
        marked = marks.among(kind, {row[place] for row in rows})
        stays.update(row[0] for row in rows if row[place] in marked)
    return [row for row in rows if row[0] not in stays]
