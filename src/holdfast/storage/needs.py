"""Find out what named targets need: everything that their records, their results and their expansions lead to.

A node leads to its call and, by its record, to its inputs, constants, bodies and code; a call to the arrays of its result, to its
store, and to what it came down to while it ran; a loop to its rounds. Reads only, block by block, and remembers the keys as marks.

State: the marks, how far they were followed, and whether something is needed of which it was not recorded what it came down to.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from holdfast.model.content import array_digests
from holdfast.model.control import DEFERRED
from holdfast.model.fingerprint import compact_json
from holdfast.storage.clearing import NAMED, ROUNDS, Clearing
from holdfast.storage.marks import Mark, Marks
from holdfast.storage.rows import CallRow
from holdfast.storage.store import read_text, store_path
from holdfast.storage.workdir import WorkDirectory

BLOCK = 512
"""Keys that are followed at once."""


@dataclass(slots=True)
class Amount:
    """How much that is."""

    results: int = 0
    """Of operations, ensemble members, and composed values."""
    size: int = 0
    """Bytes of their content texts, arrays and stores; what several share counts once."""


class Needs:
    """What is needed, as far as it was followed."""

    def __init__(self, workdir: WorkDirectory, catalog: Clearing, marks: Marks) -> None:
        self.is_older = False
        """Whether a result is needed that is older than the record of what it came down to."""
        self._workdir = workdir
        self._catalog = catalog
        self._marks = marks
        self._position = 0

    def follow(self, uid: bytes, *, results_only: bool = False) -> Amount:
        """Mark what a target needs, and return how much that is beyond what was marked before.

        Parameters
        ----------
        uid : bytes
        results_only : bool
            Of one that is done, only its result: not what it was computed from. To be asked for after all others.
        """
        amount = Amount()
        if results_only and (node := self._catalog.find_nodes([uid]).get(uid)) is not None:
            self._marks.add(Mark.NAME, [uid, *self._referents([node.record])])
            if not self._marks.among(Mark.NAME, [node.call_key]):
                self._add_calls([node.call_key], Mark.NAME, amount)
            self._follow_marks(amount, deep=False)
        else:
            self._marks.add(Mark.NAME, [uid])
            self._follow_marks(amount, deep=True)
        return amount

    def choose(self, call_key: bytes) -> Amount:
        """Mark a call that nothing needs, so that its result stays, and return how much that is beyond what was marked before."""
        amount = Amount()
        self._position = self._marks.last()  # all before was followed, or forgotten again
        self._add_calls([call_key], Mark.CHOSEN, amount)
        self._follow_marks(amount, deep=False)
        return amount

    def weigh(self, keys: Sequence[bytes]) -> Iterator[tuple[CallRow, int]]:
        """Yield calls with the bytes of each result beyond what is needed, and what was counted before."""
        found = {row.call_key: row for row in self._catalog.find_dated_calls(keys)}
        for row in filter(None, map(found.get, keys)):
            size = len(row.text or b"")
            stores = [row.store] if row.store else []
            arrays = _digests(self._text(row))
            while arrays:
                fresh = self._fresh(Mark.ARRAY, arrays)
                arrays = []
                for _, store, members, inline in self._catalog.weigh_arrays(fresh):
                    size += inline
                    stores += [store] if store else []
                    arrays += _split(members)
            yield row, size + sum(map(self._store_size, self._fresh(Mark.STORE, stores)))

    def _fresh(self, kind: Mark, keys: Iterable[bytes]) -> list[bytes]:
        """Return keys that are neither needed nor were counted, and count them."""
        asked = set(keys)
        if not asked:
            return []
        fresh = sorted(asked - self._marks.among(kind, asked) - self._marks.among(Mark.COUNTED, asked))
        self._marks.add(Mark.COUNTED, fresh)
        return fresh

    def _follow_marks(self, amount: Amount, *, deep: bool) -> None:
        while found := self._marks.after(self._position, BLOCK):
            self._position = found[-1][0]
            names = [key for _, kind, key in found if kind is Mark.NAME]
            if names:
                self._follow_names(names, amount, deep=deep)
            arrays = [key for _, kind, key in found if kind is Mark.ARRAY]
            if arrays:
                self._follow_arrays(arrays, amount)

    def _follow_names(self, names: list[bytes], amount: Amount, *, deep: bool) -> None:
        records = [row.record for row in self._catalog.find_referents(names).values()]
        if not deep:
            self._marks.add(Mark.NAME, self._referents(records))
            return
        nodes = self._catalog.find_nodes(names)
        records += [row.record for row in nodes.values()]
        self._marks.add(Mark.NAME, _uids(map(_wanted, records)) | self._referents(records))
        self._marks.add(Mark.NAME, (row.call_key for row in nodes.values()))
        self._add_calls(names, Mark.NAME, amount)
        for row in self._catalog.find_expansions(names):
            if row.owner not in nodes:  # else it is done, and its record leads to its call
                self._marks.add(Mark.NAME, _split(row.needs))
        for loop in self._catalog.find_loops(names):
            self._follow_loop(loop)

    def _follow_loop(self, loop: bytes) -> None:
        first = 0
        while rounds := self._catalog.list_rounds(loop, first, first + ROUNDS - 1):
            self._marks.add(Mark.NAME, _uids(row.state for row in rounds))
            first += ROUNDS

    def _follow_arrays(self, digests: list[bytes], amount: Amount) -> None:
        for _, store, members, inline in self._catalog.weigh_arrays(digests):
            amount.size += inline
            self._marks.add(Mark.ARRAY, _split(members))
            if store:
                self._add_store(store, amount)

    def _add_calls(self, keys: list[bytes], kind: Mark, amount: Amount) -> None:
        for row in self._catalog.find_dated_calls(keys):
            self._marks.add(kind, [row.call_key])
            self.is_older |= kind is Mark.NAME and not row.made
            amount.results += 1
            amount.size += len(row.text or b"")
            self._marks.add(Mark.ARRAY, _digests(self._text(row)))
            if row.store:
                self._add_store(row.store, amount)

    def _add_store(self, store: bytes, amount: Amount) -> None:
        if not self._marks.among(Mark.STORE, [store]):
            self._marks.add(Mark.STORE, [store])
            amount.size += self._store_size(store)

    def _referents(self, records: Sequence[str]) -> set[bytes]:
        """Return what records name and that has no result of its own: constants, bodies and code."""
        code = {bytes.fromhex(uid) for record in records for uid in json.loads(record)["depends"]}
        return code | self._catalog.find_referents(list(_uids(records))).keys()

    def _text(self, row: CallRow) -> bytes:
        return (
            row.text if row.text is not None else read_text(self._workdir, (row.store or b"").hex(), digest=row.digest)
        )

    def _store_size(self, store: bytes) -> int:
        with os.scandir(store_path(self._workdir, store.hex())) as files:
            return sum(file.stat(follow_symlinks=False).st_size for file in files)


def _digests(text: bytes) -> list[bytes]:
    return [bytes.fromhex(digest) for digest in array_digests(text)]


def _uids(texts: Iterable[str]) -> set[bytes]:
    return {bytes.fromhex(uid) for text in texts for uid in NAMED.findall(text)}


def _wanted(record: str) -> str:
    """Return a record without the inputs that its node may not have needed: its expansion leads to those that it did."""
    for scope, labels in DEFERRED.items():
        if record.endswith(f'"operation":{compact_json(scope)}' + "}"):
            members = json.loads(record)
            members["input"] = {label: item for label, item in members["input"].items() if label not in labels}
            return compact_json(members)
    return record


def _split(keys: bytes | None) -> list[bytes]:
    return [keys[start : start + 32] for start in range(0, len(keys), 32)] if keys else []
