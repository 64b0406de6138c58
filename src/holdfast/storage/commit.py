"""Make results durable in groups, behind the computation: data first, rows second, word third.

A thread of its own owns the writing connection. It takes all that is queued, flushes and publishes the staged stores, writes all
rows in one transaction, and only then acknowledges. After a failure it acknowledges nothing any more: it tells once,
and refuses what comes later. Never retries a write, and never looks at what a result means.

State: the queue with its size in rows, bytes and open files, how many entries were appended and committed, and the failure.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass

from holdfast.errors import SessionClosed, StoreFailure
from holdfast.storage.checkpoint import remove_checkpoints, sweep_checkpoints
from holdfast.storage.database import Durability
from holdfast.storage.parallel import in_parallel
from holdfast.storage.publish import StoredResult, publish_all
from holdfast.storage.reserve import give_up_reserve, keep_reserve
from holdfast.storage.rows import ArrayRow, CallRow, Conflict, NodeRow, Row
from holdfast.storage.staging import Construction
from holdfast.storage.store import writing
from holdfast.storage.workdir import WorkDirectory
from holdfast.storage.writer import CatalogWriter

GROUP_ROWS = 5_000
"""So many queued rows are written at once, without waiting for more."""

GROUP_SECONDS = 0.02
"""No row waits longer for others."""

QUEUE_ROWS = 50_000
QUEUE_BYTES = 256 * 1024 * 1024
QUEUE_FILES = 64
"""Whoever appends waits while more is queued, or more files are open."""

CLOSE_SECONDS = 600.0
"""A disk that takes longer to write the last group is given up."""


@dataclass(frozen=True, slots=True)
class Entry:
    """What one call of `append` brought."""

    rows: Sequence[Row]
    staged: Sequence[tuple[str, str]]
    acknowledge: Callable[[], None]
    unflushed: Sequence[Construction]
    size: int

    @property
    def open_files(self) -> int:
        """How many files are open until it is committed."""
        return sum(construction.open_files for construction in self.unflushed)


class GroupCommit:
    """Writes rows and publishes stores in the background.

    Parameters
    ----------
    workdir : WorkDirectory
        Owned by the session.
    durability : {"power", "process"}
        See `CatalogWriter.open`.
    on_failure : callable
        Called once, from the thread, with the error that ended it.
    on_conflict : callable, optional
        Called from the thread, before the acknowledgement, with the calls whose result differs from the one that is
        committed already.
    session : str
        Id of the session that writes; empty for who has the directory alone.
    is_dead : callable, optional
        Says whether an earlier session is dead, by its id; that one writes nothing any more.
    """

    def __init__(
        self,
        workdir: WorkDirectory,
        *,
        durability: Durability = "power",
        on_failure: Callable[[Exception], None],
        on_conflict: Callable[[tuple[Conflict, ...]], None] | None = None,
        session: str = "",
        is_dead: Callable[[str], bool] = lambda session: False,
    ) -> None:
        self._workdir = workdir
        self._catalog = CatalogWriter.open(workdir, durability)
        self.number = self._catalog.enter(session, is_dead) if session else 0
        """The session's number, which no other one ever had; 0 without a session."""
        sweep_checkpoints(workdir, self._catalog)
        keep_reserve(workdir)
        self._on_failure = on_failure
        self._on_conflict = on_conflict
        self._session = session
        self._queue: list[Entry] = []
        self._rows = 0
        self._bytes = 0
        self._files = 0
        self._appended = 0
        self._committed = 0
        self._is_urgent = False
        self._is_closing = False
        self._failure: Exception | None = None
        lock = threading.Lock()
        self._arrived = threading.Condition(lock)
        self._done = threading.Condition(lock)
        self._thread = threading.Thread(target=self._run, name="holdfast-commit", daemon=True)
        self._thread.start()

    def append(
        self,
        rows: Sequence[Row],
        staged: Sequence[tuple[str, str]] = (),
        acknowledge: Callable[[], None] = lambda: None,
        *,
        unflushed: Sequence[Construction] = (),
    ) -> None:
        """Queue rows and the staged stores that they name; wait while the queue is full.

        Parameters
        ----------
        rows : sequence of rows
            `CallRow.store` is the uid under which the store is published. Rows of its arrays are added here.
        staged : sequence of (name, uid)
            What `publish_all` takes.
        acknowledge : callable
            Called from the thread when all of it is durable; must return at once.
        unflushed : sequence of Construction
            Those of the staged stores that are not on the disk yet; they are flushed first.

        Raises
        ------
        StoreFailure, StoreDamaged
            An earlier group failed; nothing is taken any more.
        """
        size = sum(map(_weigh, rows)) + sum([construction.size for construction in unflushed])
        entry = Entry(rows, staged, acknowledge, unflushed, size)
        with self._done:
            self._done.wait_for(self._has_room)
            self._check_open()
            self._queue.append(entry)
            self._rows += len(rows)
            self._bytes += entry.size
            self._files += entry.open_files
            self._appended += 1
            if len(self._queue) == 1 or self._is_full():
                self._arrived.notify()

    def urge(self) -> None:
        """Write what is queued now: nothing more is about to come, or somebody waits."""
        with self._arrived:
            if self._queue and not self._is_urgent:
                self._is_urgent = True
                self._arrived.notify()

    def flush(self, timeout: float | None = None) -> None:
        """Return when everything appended so far is durable and acknowledged.

        Parameters
        ----------
        timeout : float, optional
            Seconds; None waits as long as `close` does.

        Raises
        ------
        StoreFailure, StoreDamaged
            It failed, or the time is over.
        """
        limit = CLOSE_SECONDS if timeout is None else timeout
        self.urge()
        with self._done:
            target = self._appended
            in_time = self._done.wait_for(lambda: self._committed >= target or self._failure is not None, limit)
            if self._failure is not None and self._committed < target:
                raise self._failure
            if not in_time:
                raise _too_slow(self._workdir, limit)

    def close(self) -> None:
        """Write what is queued, end the thread and close the connection; a failure was told already."""
        with self._arrived:
            self._is_closing = True
            self._arrived.notify()
        self._thread.join(CLOSE_SECONDS)
        if self._thread.is_alive():
            raise _too_slow(self._workdir, CLOSE_SECONDS)
        self._catalog.close()

    def _has_room(self) -> bool:
        has_room = self._rows <= QUEUE_ROWS and self._bytes <= QUEUE_BYTES and self._files <= QUEUE_FILES
        return has_room or self._failure is not None or self._is_closing

    def _check_open(self) -> None:
        if self._failure is not None:
            raise self._failure
        if self._is_closing:
            raise SessionClosed(f"The session on {self._workdir.path} has ended. Open a new one.")

    def _is_full(self) -> bool:
        return self._rows >= GROUP_ROWS or self._bytes >= QUEUE_BYTES // 4

    # what the thread does

    def _run(self) -> None:
        try:
            while group := self._next_group():
                self._commit(group)
        except (
            Exception
        ) as error:  # whatever it is: it must reach the session, and nothing may be acknowledged after it
            self._fail(error)

    def _next_group(self) -> list[Entry]:
        """Wait for a group and take it; empty when all is written and the end has come."""
        with self._arrived:
            self._arrived.wait_for(lambda: self._queue or self._is_closing)
            self._arrived.wait_for(lambda: self._is_urgent or self._is_closing or self._is_full(), GROUP_SECONDS)
            group, self._queue = self._queue, []
            self._rows = self._bytes = self._files = 0
            self._is_urgent = False
            self._done.notify_all()
            return group

    def _commit(self, group: list[Entry]) -> None:
        if self._session:
            self._catalog.confirm(self._session)
        with writing(self._workdir):
            in_parallel([construction.flush for entry in group for construction in entry.unflushed])
        published = publish_all(self._workdir, [pair for entry in group for pair in entry.staged])
        rows: list[Row] = []
        position = 0
        for entry in group:
            stores = published[position : position + len(entry.staged)]
            position += len(entry.staged)
            rows += _name_stores(entry, stores)
        conflicts = self._catalog.write(rows, self._session)
        self._keep_reserve()
        if conflicts and self._on_conflict is not None:
            self._on_conflict(conflicts)
        remove_checkpoints(self._workdir, _finished(rows))
        for entry in group:
            entry.acknowledge()
        with self._done:
            self._committed += len(group)
            self._done.notify_all()

    def _keep_reserve(self) -> None:
        """Keep back what a full disk will need; where that cannot be had any more, shorten the log for which it is."""
        if not keep_reserve(self._workdir):
            give_up_reserve(self._workdir)
            with suppress(StoreFailure):  # the next group will tell
                self._catalog.move_log()
            keep_reserve(self._workdir)

    def _fail(self, error: Exception) -> None:
        with self._done:
            self._failure = error
            self._queue.clear()
            self._done.notify_all()
        self._on_failure(error)


def _name_stores(entry: Entry, published: Sequence[StoredResult]) -> list[Row]:
    """Return the rows of an entry with those of the arrays in its stores, each naming its store as it was published."""
    rows = list(entry.rows)
    for (_, uid), result in zip(entry.staged, published, strict=True):
        store = bytes.fromhex(result.store)
        if result.store != uid:
            rows = [_rename_store(row, bytes.fromhex(uid), store) for row in rows]
        for file in result.metadata.arrays:
            layout = file.layout
            rows.append(ArrayRow(bytes.fromhex(file.digest), layout.dtype, layout.shape, store=store, file=file.name))
    return rows


def _rename_store(row: Row, uid: bytes, store: bytes) -> Row:
    return row._replace(store=store) if isinstance(row, (CallRow, ArrayRow)) and row.store == uid else row


def _finished(rows: Sequence[Row]) -> Iterator[bytes]:
    """Yield the keys under which states may stand that nobody needs any more."""
    for row in rows:
        if isinstance(row, CallRow):
            yield row.call_key
        elif isinstance(row, NodeRow):
            yield row.uid


def _weigh(row: Row) -> int:
    if isinstance(row, CallRow):
        return len(row.text or b"")
    if isinstance(row, ArrayRow):
        return len(row.data or b"") + len(row.members or b"")
    return 0


def _too_slow(workdir: WorkDirectory, seconds: float) -> StoreFailure:
    return StoreFailure(
        f"{workdir.path} did not take what was to be written within {seconds:g} s. "
        "Check the disk, and run the same again."
    )
