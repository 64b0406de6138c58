"""Hold a working directory and an engine for a while, and compute what is asked for.

A session is in its directory from the first line to `close`; leaving it, also by an exception or Ctrl-C, leaves a directory that resumes.
What it decides is the scheduler's, and who turns the loop is the driver's.

State: ownership, catalog, committing thread, engine, scheduler with its driver, and the audience.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from itertools import count
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any

from holdfast.errors import HoldfastError
from holdfast.model.reference import Reference
from holdfast.runtime.audience import Audience
from holdfast.runtime.commitment import Commitment
from holdfast.runtime.contents import Contents
from holdfast.runtime.dispatch import Dispatcher
from holdfast.runtime.driver import Driver
from holdfast.runtime.elsewhere import Elsewhere
from holdfast.runtime.engine import Engine, make_engine
from holdfast.runtime.events import Counts, Event
from holdfast.runtime.happening import Broken, Differing, Happening, Request, Rung
from holdfast.runtime.inquiry import Inquiry
from holdfast.runtime.ledger import Ledger
from holdfast.runtime.presence import Presence
from holdfast.runtime.request import operation_error, requested, target_rows
from holdfast.runtime.scheduler import Scheduler
from holdfast.runtime.sharing import Sharing
from holdfast.runtime.standing import past_events
from holdfast.runtime.task import Failure
from holdfast.storage.catalog import Catalog, open_to_write
from holdfast.storage.commit import GroupCommit
from holdfast.storage.database import Durability
from holdfast.storage.owner import current_owner
from holdfast.storage.ownership import Ownership
from holdfast.storage.rows import Conflict
from holdfast.storage.selection import get_store_type
from holdfast.storage.staging import sweep_tmp

if TYPE_CHECKING:
    from concurrent.futures import Executor, Future


class Session(Inquiry):
    """The scoped active state of a working directory, alone or beside other sessions.

    Parameters
    ----------
    working_directory : path
        Made if it does not exist; refused, untouched, if it holds other things.
    engine : str, concurrent.futures.Executor or Engine
        ``"in_process"``, ``"threads"``, ``"processes"``, or an executor of yours, which is left open.
    workers : int, optional
        How many jobs run at once; by default as many as there are cores.
    durability : {"power", "process"}
        What finished results survive: a power cut, or only the end of the process, for more speed.

    Raises
    ------
    WorkingDirectoryError
        The directory cannot be used; says why.
    OwnershipError
        A session on another machine may be using it, one on this machine does not answer, somebody has it alone, or this same process
        has a session there already; says who and since when.

    Examples
    --------
    >>> import holdfast as hf, tempfile
    >>> double = hf.operation(lambda x: 2 * x, name="demo.double")
    >>> with hf.Session(tempfile.mkdtemp()) as session:
    ...     session.result(double(21))
    42
    """

    def __init__(
        self,
        working_directory: str | os.PathLike[str] = ".",
        *,
        engine: str | Executor | Engine = "in_process",
        workers: int | None = None,
        durability: Durability = "power",
    ) -> None:
        self._engine = make_engine(engine, workers)
        self._workdir = open_to_write(working_directory)
        store_type = get_store_type(self._workdir)
        self.id = os.urandom(8).hex()
        self._owner = current_owner(self.id)
        self._ownership = Ownership.acquire(self._workdir, self._owner, exclusive=False)
        self._inbox: SimpleQueue[Happening] = SimpleQueue()
        self._sharing = Sharing(self._ownership)
        self._elsewhere: Elsewhere | None = None
        try:
            self._sharing.join(rung=self._note_ring, failed=self._note_breakage)
            sweep_tmp(self._workdir)
            self._commit = GroupCommit(
                self._workdir,
                durability=durability,
                on_failure=self._note_breakage,
                on_conflict=self._note_conflicts,
                session=self.id,
                is_dead=self._ownership.is_dead,
            )
            self._catalog = Catalog.open(self._workdir, read_only=True)
        except BaseException:
            self._leave()
            raise
        self._contents = Contents(
            self._workdir, self._catalog, shares_memory=self._engine.shares_memory, store_type=store_type
        )
        self._audience = Audience()
        ledger = Ledger(self._catalog, self._contents, self._commit, self._note_commitment, self.id)
        elsewhere = self._elsewhere = Elsewhere(self._sharing, ledger.look, ledger.end_session, self._audience.tell)
        self._tickets = count(1)
        directory, put, tell = str(self._workdir.path), self._inbox.put, self._audience.tell
        dispatcher = Dispatcher(
            self._engine, self._contents, directory, put, tell, tickets=self._tickets, elsewhere=elsewhere
        )
        self._scheduler = Scheduler(
            self._catalog, ledger, self._contents, dispatcher, elsewhere, self._inbox, self._audience
        )
        self._presence = Presence(self._commit, self._owner, self._engine.name, self._scheduler.counts)
        self._driver = Driver(
            self._scheduler, self._engine, self._inbox, self._presence.note_now_and_then, f"holdfast {self.id}"
        )
        self._state = self._driver.state
        self._is_closed = False
        if not self._engine.is_inline:
            self._driver.start()

    def result(self, node: Any, *, timeout: float | None = None) -> Any:
        """Return the value of a node; what is missing for it runs first, and nothing else.

        Parameters
        ----------
        node : node, part of a node, or list or dictionary of these
        timeout : float, optional
            Seconds after which to give up waiting; the work goes on.

        Returns
        -------
        Any
            Numbers, strings, bytes, None, read-only arrays, tables, datasets, or lists and dictionaries of these.

        Raises
        ------
        OperationFailed
            An operation failed; names it, its node and its input, and holds the traceback.
        TimeoutError
            The time ran out.
        """
        item = requested(node)
        self._require_open()
        failures = self._driver.run([item], timeout)
        if failures:
            raise operation_error(failures[0])
        with self._state:
            return self._contents.values_of([item])[0]

    def results(self, nodes: Sequence[Any], *, timeout: float | None = None) -> list[Any]:
        """Return the values of several nodes, in order; independent ones run in parallel.

        Raises
        ------
        OperationFailed
            An operation failed; the others have finished nevertheless, and are kept.
        """
        items = [requested(node) for node in nodes]
        self._require_open()
        failures = self._driver.run(items, timeout)
        if failures:
            raise operation_error(failures[0])
        with self._state:
            return self._contents.values_of(items)

    def publish(self, node: Any) -> Future[Any]:
        """Ask for a node's value, and return at once with a future for it."""
        from concurrent.futures import Future

        future: Future[Any] = Future()
        item = requested(node)

        def settled(failure: Failure | None) -> None:
            if failure is not None:
                future.set_exception(operation_error(failure))
                return
            try:
                future.set_result(self._contents.value_of(item))
            except Exception as error:  # a damaged store, a missing library: for whoever waits, not for the loop
                future.set_exception(error)

        self._require_open()
        self._driver.start()
        self._inbox.put(Request((item,), settled))
        return future

    def name_target(self, name: str, node: Any) -> None:
        """Keep a name for a node, under which `explain` finds it, and what it needs, which `holdfast collect` does not remove.

        The parts of a mapping or list get names with a dot and their label.
        """
        item = requested(node)
        self._require_open()
        with self._state:
            rows = target_rows(name, item, self._catalog)
        self._commit.append(rows)

    def subscribe(self, node: Reference | str) -> Iterator[Event]:
        """Return an iterator over what happens to a node; what already happened comes first, and its end ends the iterator."""
        uid = node if isinstance(node, str) else node.uid
        with self._state:
            self._require_open()
            events = self._audience.subscribe(uid, past_events(self._catalog, uid, self._scheduler.tasks.get(uid)))
        self._driver.start()
        return events

    def listen(self, listener: Callable[[Event], None]) -> None:
        """Have `listener` called with every event, in the session's own thread; one that fails is not called again."""
        self._audience.listen(listener)

    @property
    def counts(self) -> Counts:
        """How many calls of operations are done, reused, running, failed and waiting."""
        return self._scheduler.counts

    def close(self) -> None:
        """Commit what is finished, end the workers and give the directory back; harmless when repeated."""
        if self._is_closed:
            return
        self._is_closed = True
        self._driver.stop()
        try:
            with self._state:
                self._scheduler.abandon()
                self._presence.end()
                self._commit.close()
                self._audience.dismiss()
                self._catalog.close()
        finally:
            self._leave()

    def __enter__(self) -> Session:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return (
            f"<session {self.id} in {self._workdir.path} on {self._engine.name}{', closed' if self._is_closed else ''}>"
        )

    def _note_conflicts(self, conflicts: tuple[Conflict, ...]) -> None:
        self._inbox.put(Differing(conflicts))

    def _note_commitment(self, commitment: Commitment) -> None:
        if commitment.calls:
            self._sharing.release(commitment.calls)
        self._inbox.put(commitment)

    def _note_breakage(self, error: Exception) -> None:
        with suppress(HoldfastError):
            self._sharing.give_up()
        self._inbox.put(Broken(error))

    def _note_ring(self) -> None:
        if self._elsewhere:
            self._elsewhere.hurry()
            self._inbox.put(Rung())

    def _leave(self) -> None:
        try:
            self._sharing.close()
        finally:
            self._ownership.release()
