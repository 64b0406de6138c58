"""Write the rows of a catalog, each group in one transaction: what is known is never changed, but for what says so.

Reading is `catalog`'s. Whoever writes for a session is confirmed within the transaction. Runs no SQL itself.

State: that of the catalog, and the ids of the operations met so far.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from operator import itemgetter
from typing import Any

from holdfast.errors import OwnershipError
from holdfast.storage.catalog import Catalog
from holdfast.storage.database import Columns, Database
from holdfast.storage.rows import (
    AcceptanceRow,
    ArrayRow,
    CallRow,
    Conflict,
    EndedRow,
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
    sum_times,
)
from holdfast.storage.seal import (
    acceptance_columns,
    array_columns,
    call_columns,
    expansion_columns,
    failure_columns,
    implementation_columns,
    lost_columns,
    node_columns,
    read_lost,
    round_columns,
    session_columns,
    target_columns,
)

_NAMED = (NodeRow, CallRow, FailureRow, ImplementationRow, TimesRow, AcceptanceRow)


class CatalogWriter(Catalog):
    """A catalog that is written to: by a session, or by who has the directory alone."""

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self._operations: dict[str, int] = {}

    def move_log(self) -> None:
        """Move the log into the database, and return when that is on the disk; closing tries it too, but does not tell if it fails.

        Raises
        ------
        StoreFailure
            The file system refuses, or another process reads the catalog and does not end.
        """
        self._database.move_log()

    def enter(self, session: str, is_dead: Callable[[str], bool]) -> int:
        """Let a session write, under a number that was never given before, and nobody any more who is dead, as `is_dead` says."""
        with self._database.transaction():
            before = [columns[0] for columns in self._database.select("list_fences")]
            self._database.change("remove_fence", [(found,) for found in before if is_dead(found)])
            self._database.change("add_fence", [(session,)])
            return int(self._database.select("find_fence", (session,))[0][0])

    def confirm(self, session: str) -> None:
        """Return if a session may write; OwnershipError if it was thought dead and followed: it never may again."""
        if not self._database.select("find_fence", (session,)):
            raise OwnershipError(
                f"The working directory {self._database.path.parent} was taken from session {session}, which was thought dead. "
                "Nothing more is written to it from here. What was committed is kept; run the same again."
            )

    def write(self, rows: Iterable[Row], session: str = "") -> tuple[Conflict, ...]:
        """Write rows in one transaction, and return when it is durable.

        A node, call, array or round that is known already stays as it is; a failure, acceptance, target or session
        takes the place of what was known; a node that is done has no failure, and a call that is made again is not lost.

        Parameters
        ----------
        rows : iterable of rows
        session : str
            Id of the session that writes, which is confirmed within the transaction; empty for who has the directory alone.

        Returns
        -------
        tuple of Conflict
            Calls that have, or had, another result: their operation gave two results for one input.

        Raises
        ------
        OwnershipError, StoreFailure, StoreDamaged
            Nothing of it was written.
        """
        groups: dict[type[Row], list[Any]] = {}
        for row in rows:
            groups.setdefault(type(row), []).append(row)
        with self._database.transaction():
            if session:
                self.confirm(session)
            named = {row.operation for kind in _NAMED for row in groups.get(kind, ())}
            operations = self._intern(named - {""})
            self._write_nodes(groups.get(NodeRow, []), operations)
            conflicts = self._write_calls(groups.get(CallRow, []), operations)
            self._insert("add_array", map(array_columns, groups.get(ArrayRow, [])))
            self._insert("add_round", map(round_columns, groups.get(RoundRow, [])))
            self._insert("add_expansion", map(expansion_columns, groups.get(ExpansionRow, [])))
            self._write_failures({row.uid: row for row in groups.get(FailureRow, [])}, operations)
            codes: list[ImplementationRow] = groups.get(ImplementationRow, [])
            columns = [implementation_columns(row, operations[row.operation]) for row in codes]
            self._database.change("add_implementation", columns)
            self._insert("add_referent", groups.get(ReferentRow, []))
            self._database.change("add_overcome", groups.get(OvercomeRow, []))
            self._insert("add_source", groups.get(SourceRow, []))
            times = sum_times(groups.get(TimesRow, []))
            self._database.change("add_times", [(operations[row.operation], *row[1:]) for row in times])
            accepted: list[AcceptanceRow] = groups.get(AcceptanceRow, [])
            self._database.change(
                "put_acceptance", [acceptance_columns(row, operations[row.operation]) for row in accepted]
            )
            self._database.change("add_lost", map(lost_columns, groups.get(LostRow, [])))
            self._database.change("put_session", map(session_columns, groups.get(SessionRow, [])))
            self._database.change("put_target", map(target_columns, groups.get(TargetRow, [])))
            self._database.change("remove_fence", groups.get(EndedRow, []))
        self._operations |= operations  # only now: a transaction that failed has given no ids
        return conflicts

    def _intern(self, names: set[str]) -> dict[str, int]:
        """Return the id of each operation."""
        found = {name: self._operations[name] for name in names if name in self._operations}
        for name in sorted(names - found.keys()):
            self._database.change("add_operation", [(name,)])
            found[name] = self._database.select("find_operation", (name,))[0][0]
        return found

    def _write_nodes(self, rows: list[NodeRow], operations: dict[str, int]) -> None:
        added = self._insert("add_node", [node_columns(row, operations[row.operation]) for row in rows])
        self._count("nodes", added)
        if rows and self._database.select("has_failures")[0][0]:
            uids = [(row.uid,) for row in rows]
            self._database.change("keep_failure", uids)
            self._count("failures", -self._database.change("remove_failure", uids))

    def _write_calls(self, rows: list[CallRow], operations: dict[str, int]) -> tuple[Conflict, ...]:
        added = self._insert("add_call", [call_columns(row, operations.get(row.operation)) for row in rows])
        self._count("calls", added)
        conflicts = self._find_again(rows) if rows and self._database.select("has_lost")[0][0] else []
        if added < len(rows):
            digests: dict[bytes, bytes] = dict(
                self._database.select_keys("find_digests", [row.call_key for row in rows])
            )
            known = [(row, digests[row.call_key]) for row in rows]
            conflicts += [Conflict(row.call_key, first, row.digest) for row, first in known if first != row.digest]
        return tuple(conflicts)

    def _find_again(self, rows: list[CallRow]) -> list[Conflict]:
        """Return which lost calls are made again with another result; they are not lost any more."""
        lost = {row.call_key: row.digest for row in self._find("find_lost", [row.call_key for row in rows], read_lost)}
        self._database.change("remove_lost", [(key,) for key in lost])
        again = [(row, lost[row.call_key]) for row in rows if row.call_key in lost]
        return [Conflict(row.call_key, first, row.digest, is_lost=True) for row, first in again if first != row.digest]

    def _write_failures(self, rows: dict[bytes, FailureRow], operations: dict[str, int]) -> None:
        removed = self._database.change("remove_failure", [(uid,) for uid in rows])
        columns = [failure_columns(row, operations[row.operation]) for row in rows.values()]
        self._count("failures", self._database.change("add_failure", columns) - removed)

    def _insert(self, name: str, columns: Iterable[Columns]) -> int:
        """Insert in the order of the keys: neighbours share pages."""
        return self._database.insert(name, sorted(columns, key=itemgetter(0)))

    def _count(self, name: str, change: int) -> None:
        if change:
            self._database.change("add_total", [(change, name)])
