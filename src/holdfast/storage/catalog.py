"""Know what is done: nodes, results, arrays, rounds, failures, code, sessions and targets of a working directory.

What is read is checked against seal and digest before it is believed. What is known is never changed by what comes
later, but failures, acceptances, sessions and targets. Writing is `writer`'s. Runs no SQL itself.

State: a connection.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

from holdfast.errors import StoreDamaged
from holdfast.storage.database import Columns, Database, Durability, refuse_newer
from holdfast.storage.rows import (
    AcceptanceRow,
    ArrayRow,
    CallRow,
    ExpansionRow,
    FailureRow,
    ImplementationRow,
    LostRow,
    NodeRow,
    OvercomeRow,
    ReferentRow,
    RoundRow,
    Row,
    SessionRow,
    SourceRow,
    TargetRow,
    TimesRow,
    Totals,
)
from holdfast.storage.seal import (
    Believed,
    checked,
    read_acceptance,
    read_array,
    read_call,
    read_call_key,
    read_dated_call,
    read_expansion,
    read_failure,
    read_implementation,
    read_lost,
    read_node,
    read_referent,
    read_result,
    read_round,
    read_session,
    read_target,
)
from holdfast.storage.workdir import MARKER, WorkDirectory, open_workdir

Found = TypeVar("Found")

_WALKS: dict[type[Row], tuple[str, Callable[[Columns], Row]]] = {
    NodeRow: ("walk_nodes", read_node),
    CallRow: ("walk_calls", read_dated_call),
    ArrayRow: ("walk_arrays", read_array),
    RoundRow: ("walk_rounds", read_round),
    ExpansionRow: ("walk_expansions", read_expansion),
    FailureRow: ("walk_failures", read_failure),
    SessionRow: ("walk_sessions", read_session),
    ImplementationRow: ("walk_implementations", read_implementation),
    TargetRow: ("walk_targets", read_target),
    ReferentRow: ("walk_referents", read_referent),
    AcceptanceRow: ("walk_acceptances", read_acceptance),
    LostRow: ("walk_lost", read_lost),
    SourceRow: ("walk_sources", lambda columns: checked(SourceRow(*columns))),
    OvercomeRow: ("walk_overcome", lambda columns: checked(OvercomeRow(*columns))),
    TimesRow: ("walk_times", lambda columns: checked(TimesRow(*columns))),
}


class Catalog:
    """A connection to the database of a working directory.

    Notes
    -----
    May be handed from one thread to another, but is used by one at a time. Never keep one open over a fork.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._believed = Believed(database.path)

    @classmethod
    def open(cls, workdir: WorkDirectory, durability: Durability = "power", read_only: bool = False) -> Self:
        """Open the catalog, and make it if there is none.

        Parameters
        ----------
        workdir : WorkDirectory
        durability : {"power", "process"}
            Whether what was written survives a power cut, or only the end of the process; neither ever tears it.
        read_only : bool
            Look only: beside the owner, or after it. Never writes, and never checkpoints.

        Raises
        ------
        StoreDamaged
            The file is no catalog.
        StoreFailure
            The file system refuses.
        WorkingDirectoryError
            A newer holdfast made it, the file system has no shared memory, or there is nothing to read yet.
        """
        return cls(Database.open(workdir.catalog_path, durability, read_only=read_only))

    @classmethod
    def nothing(cls, workdir: WorkDirectory) -> Self:
        """Return the catalog of a directory in which nothing has run; in memory only."""
        return cls(Database.nothing(workdir.catalog_path))

    def close(self) -> None:
        """Close the connection; the last one to close moves the log into the database."""
        self._database.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    # reading

    def find_nodes(self, uids: Sequence[bytes]) -> dict[bytes, NodeRow]:
        """Return those of the nodes that are done."""
        return {row.uid: row for row in self._find("find_nodes", uids, read_node)}

    def list_nodes(self, limit: int) -> list[NodeRow]:
        """Return the latest nodes that are done, newest first."""
        return self._select("list_nodes", (limit,), read_node)

    def find_call_keys(self, uids: Sequence[bytes]) -> dict[bytes, bytes]:
        """Return the call key of each node that is done; cheaper than the whole rows."""
        return dict(self._find("find_call_keys", uids, read_call_key))

    def find_results(self, uids: Sequence[bytes]) -> dict[bytes, bytes | None]:
        """Return the text of the result of each node that is done; None if that stands in a store, or is missing."""
        return dict(self._find("find_results", uids, read_result))

    def find_calls(self, keys: Sequence[bytes]) -> dict[bytes, CallRow]:
        """Return those of the calls that have a result."""
        return {row.call_key: row for row in self._find("find_calls", keys, read_call)}

    def find_arrays(self, digests: Sequence[bytes]) -> dict[bytes, ArrayRow]:
        """Return where each known array is."""
        return {row.digest: row for row in self._find("find_arrays", digests, read_array)}

    def find_failures(self, uids: Sequence[bytes]) -> dict[bytes, FailureRow]:
        """Return those of the nodes that failed and are not done since."""
        return {row.uid: row for row in self._find("find_failures", uids, read_failure)}

    def list_failures(self, limit: int) -> list[FailureRow]:
        """Return the latest failures, newest first."""
        return self._select("list_failures", (limit,), read_failure)

    def last_round(self, loop_key: bytes) -> RoundRow | None:
        """Return the last finished round of a loop."""
        return _first(self._select("last_round", (loop_key,), read_round))

    def find_round(self, loop_key: bytes, number: int) -> RoundRow | None:
        """Return one round of a loop."""
        return _first(self._select("find_round", (loop_key, number), read_round))

    def find_first_rounds(self, loop_keys: Sequence[bytes]) -> dict[bytes, RoundRow]:
        """Return the rounds of number 0 that there are."""
        return {row.loop_key: row for row in self._find("find_first_rounds", loop_keys, read_round)}

    def list_rounds(self, loop_key: bytes, first: int, last: int) -> list[RoundRow]:
        """Return the rounds of a loop from one number to another, both included."""
        return self._select("list_rounds", (loop_key, first, last), read_round)

    def count_rounds(self, loop_key: bytes) -> int:
        """Return how many rounds of a loop are finished."""
        return int(self._select("count_rounds", (loop_key,), tuple)[0][0])

    def find_implementation(self, uid: bytes) -> ImplementationRow | None:
        """Return the code of that fingerprint, under one of the operations that have it."""
        return _first(self._select("find_implementation", (uid,), read_implementation))

    def latest_implementation(self, operation: str) -> ImplementationRow | None:
        """Return the code that an operation was last recorded with."""
        return _first(self._select("latest_implementation", (operation,), read_implementation))

    def list_implementations(self, operation: str) -> list[ImplementationRow]:
        """Return every code that an operation was recorded with, the latest first."""
        return self._select("list_implementations", (operation,), read_implementation)

    def earlier_nodes(self, operation: str, uid: bytes, limit: int) -> list[NodeRow]:
        """Return nodes of an operation that were done before a node, the latest first; all, if that is not done."""
        return self._select("earlier_nodes", (operation, uid, limit), read_node)

    def first_node(self, call_key: bytes) -> NodeRow | None:
        """Return the node whose call it was; one that reused it, if it was that of an ensemble's member."""
        return _first(self._select("first_node", (call_key,), read_node))

    def uids_between(self, first: bytes, last: bytes) -> list[bytes]:
        """Return up to three uids of nodes that are done or failed."""
        return [columns[0] for columns in self._select("uids_between", (first, last), tuple)]

    def find_referents(self, uids: Sequence[bytes]) -> dict[bytes, ReferentRow]:
        """Return those of the constants and parts of bodies that are known."""
        return {row.uid: row for row in self._find("find_referents", uids, read_referent)}

    def find_source(self, digest: str) -> SourceRow | None:
        """Return the text behind a digest."""
        return _first(self._select("find_source", (digest,), lambda columns: checked(SourceRow(digest, *columns))))

    def find_overcome(self, uid: bytes) -> list[OvercomeRow]:
        """Return the failures of a node before it was done."""
        return self._select("find_overcome", (uid,), lambda columns: checked(OvercomeRow(*columns)))

    def find_times(self) -> dict[str, TimesRow]:
        """Return how many calls of each operation were made, and how long they took together."""
        return {
            row.operation: row for row in self._select("find_times", (), lambda columns: checked(TimesRow(*columns)))
        }

    def find_acceptances(self) -> list[AcceptanceRow]:
        """Return every change of code that was accepted."""
        return self._select("find_acceptances", (), read_acceptance)

    def find_session(self, session: str) -> SessionRow | None:
        """Return a session."""
        return _first(self._select("find_session", (session,), read_session))

    def find_targets(self) -> list[TargetRow]:
        """Return all that was asked for by name."""
        return self._select("find_targets", (), read_target)

    def find_sessions(self, limit: int) -> list[SessionRow]:
        """Return the latest sessions, newest first."""
        return self._select("find_sessions", (limit,), read_session)

    def totals(self) -> Totals:
        """Return how much is known; the cost does not grow with it."""
        with self._believed:
            return checked(Totals(**dict(self._database.select("totals"))))

    # checking

    def walk(self, kind: type[Row]) -> Iterator[Row | StoreDamaged]:
        """Return every row of one kind, and in the place of what is not what was written the reason."""
        name, read = _WALKS[kind]
        for columns in self._database.walk(name):
            yield columns if isinstance(columns, StoreDamaged) else self._read_or_explain(columns, read)

    def _read_or_explain(self, columns: Columns, read: Callable[[Columns], Row]) -> Row | StoreDamaged:
        try:
            with self._believed:
                return read(columns)
        except StoreDamaged as error:
            return error

    def snapshot(self) -> AbstractContextManager[None]:
        """Have all that is read within be of one moment, also beside a live session."""
        return self._database.snapshot()

    def check_integrity(self) -> list[str]:
        """Return what SQLite finds wrong with its pages and indexes, and totals that are not the number of rows."""
        wrong = [str(line) for (line,) in self._database.select("check_integrity") if line != "ok"]
        counted: dict[str, int] = dict(self._database.select("count_totals"))
        if not wrong and counted != dict(self._database.select("totals")):
            wrong.append(f"its totals are not the number of its rows, {counted}")
        return wrong

    def _find(self, name: str, keys: Sequence[bytes], read: Callable[[Columns], Found]) -> list[Found]:
        with self._believed:
            return list(map(read, self._database.select_keys(name, keys)))

    def _select(self, name: str, parameters: tuple[Any, ...], read: Callable[[Columns], Found]) -> list[Found]:
        with self._believed:
            return list(map(read, self._database.select(name, parameters)))


def open_to_write(path: str | os.PathLike[str]) -> WorkDirectory:
    """Open a working directory, and make it if there is none; what a newer holdfast made is left as it is.

    Raises
    ------
    WorkingDirectoryError
        It cannot be used; says why.
    """
    place = Path(os.path.abspath(path))
    if (place / MARKER).exists():
        refuse_newer(open_workdir(place, create=False).catalog_path)
    return open_workdir(place)


def _first(found: list[Found]) -> Found | None:
    return found[0] if found else None
