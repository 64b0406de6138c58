"""Hold a working directory and an engine for a while, and compute what is asked for.

A session owns its directory from the first line to `close`; leaving it, also by an exception or Ctrl-C, leaves a directory that resumes.
What it decides is the scheduler's, and who turns the loop is the driver's.

State: ownership, catalog, committing thread, engine, scheduler with its driver, and the audience.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict
from queue import SimpleQueue
from time import monotonic
from typing import TYPE_CHECKING, Any

from holdfast.errors import HoldfastError, SessionClosed
from holdfast.model.datatype import DataNode
from holdfast.model.explanation import Explanation
from holdfast.model.lifecycle import NodeState
from holdfast.model.plan import Plan
from holdfast.model.reference import Reference
from holdfast.runtime.accept import Acceptance, acceptance_row, look_at, withdrawn_rows
from holdfast.runtime.audience import Audience
from holdfast.runtime.contents import Contents
from holdfast.runtime.dispatch import Dispatcher
from holdfast.runtime.driver import Driver
from holdfast.runtime.engine import Engine, make_engine
from holdfast.runtime.events import Counts, Event
from holdfast.runtime.explain import explain_task
from holdfast.runtime.happening import Broken, Happening, Request
from holdfast.runtime.ledger import Ledger, code_rows
from holdfast.runtime.plan import plan
from holdfast.runtime.request import operation_error, requested, target_rows
from holdfast.runtime.rounds import Rounds, look
from holdfast.runtime.scheduler import Scheduler
from holdfast.runtime.standing import past_events, stored_state
from holdfast.runtime.task import Failure
from holdfast.storage.catalog import Catalog
from holdfast.storage.commit import GroupCommit
from holdfast.storage.database import Durability
from holdfast.storage.ownership import Ownership, current_owner
from holdfast.storage.rows import Row, SessionRow
from holdfast.storage.selection import get_store_type
from holdfast.storage.staging import sweep_tmp
from holdfast.storage.workdir import now, open_workdir

if TYPE_CHECKING:
    from concurrent.futures import Executor, Future

PROGRESS_SECONDS = 1.0
"""How often at most the catalog is told how far the session is."""


class Session:
    """The scoped active state of a working directory while it is owned.

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
        Another session holds it; says who and since when.

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
        self._workdir = open_workdir(working_directory)
        store_type = get_store_type(self._workdir)
        self.id = os.urandom(8).hex()
        owner = current_owner(self.id)
        self._ownership = Ownership.acquire(self._workdir, owner)
        self._inbox: SimpleQueue[Happening] = SimpleQueue()
        try:
            sweep_tmp(self._workdir)
            told, confirm = self._note_breakage, self._ownership.confirm
            self._commit = GroupCommit(self._workdir, durability=durability, on_failure=told, confirm=confirm)
            self._catalog = Catalog.open(self._workdir, read_only=True)
        except BaseException:
            self._ownership.release()
            raise
        self._contents = Contents(
            self._workdir, self._catalog, shares_memory=self._engine.shares_memory, store_type=store_type
        )
        self._audience = Audience()
        ledger = Ledger(self._catalog, self._contents, self._commit, self._inbox.put, self.id)
        dispatcher = Dispatcher(
            self._engine, self._contents, str(self._workdir.path), self._inbox.put, self._audience.tell
        )
        self._scheduler = Scheduler(self._catalog, ledger, self._contents, dispatcher, self._inbox, self._audience)
        self._driver = Driver(
            self._scheduler, self._engine, self._inbox, self._note_now_and_then, f"holdfast {self.id}"
        )
        self._state = self._driver.state
        self._is_closed = False
        self._owner = owner
        self._started = now()
        self._noted = 0.0
        self._note_progress()
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
            Numbers, strings, bytes, None, read-only arrays, or lists and dictionaries of these.

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
            else:
                future.set_result(self._contents.value_of(item))

        self._require_open()
        self._driver.start()
        self._inbox.put(Request((item,), settled))
        return future

    def status(self, node: Reference | str) -> NodeState:
        """Return where a node stands, given itself or its uid."""
        uid = node if isinstance(node, str) else node.uid
        if isinstance(node, DataNode):
            return NodeState.DONE
        with self._state:
            self._require_open()
            task = self._scheduler.tasks.get(uid)
            if task is not None:
                return task.state
            return stored_state(self._catalog, uid)

    def rounds(self, loop: Reference) -> Rounds:
        """Return the finished rounds of a loop, whether or not it is finished itself.

        Parameters
        ----------
        loop : node
            Made by `while_loop`, `fori_loop` or `scan`, or a part of it.

        Returns
        -------
        Rounds
            A sequence of the states, ``rounds[0]`` after the first round; of a scan, of pairs of state and output. Each is read
            when it is looked at. ``rounds.ended`` tells whether the loop has ended, and why: by its limit, for example.

        Raises
        ------
        GraphError
            It is no loop.
        """
        with self._state:
            self._require_open()
            return look(requested(loop), self._contents, self._catalog, self._state)

    def explain(self, node: Reference | str) -> Explanation:
        """Return why a node ran, was reused, waits or failed; also of one that this session has not been asked for.

        Parameters
        ----------
        node : node, or str
            Itself, its uid or the beginning of that, or a name given by `name_target`.

        Raises
        ------
        NotFound
            Nothing is known of it; says what there is.

        Examples
        --------
        >>> import holdfast as hf, tempfile
        >>> double = hf.operation(lambda x: 2 * x, name="demo.double")
        >>> with hf.Session(tempfile.mkdtemp()) as session:
        ...     value = session.result(double(21))
        ...     session.explain(double(21)).reasons[0].cause
        'first run'
        """
        self._commit.flush()
        with self._state:
            self._require_open()
            return explain_task(self._catalog, self._scheduler.tasks, node)

    def name_target(self, name: str, node: Any) -> None:
        """Keep a name for a node, under which `explain` finds it, and what it needs, which `holdfast collect` does not remove.

        The parts of a mapping or list get names with a dot and their label.
        """
        item = requested(node)
        self._require_open()
        with self._state:
            rows = target_rows(name, item, self._catalog)
        self._commit.append(rows, (), _nothing)

    def plan(self, node: Any, *, accepting: Sequence[Any] = ()) -> Plan:
        """Return what asking for a node would run, how many calls, why, and how long they took in the past; runs nothing.

        Parameters
        ----------
        node : node, part of a node, or list or dictionary of these
        accepting : sequence of operations
            What if the last change of their code were accepted?

        Examples
        --------
        >>> import holdfast as hf, tempfile
        >>> double = hf.operation(lambda x: 2 * x, name="demo.double")
        >>> with hf.Session(tempfile.mkdtemp()) as session:
        ...     print(session.plan(double(21)))
        1 call would be made; how long that takes is not known
          demo.double: 1 call (first run 1), no times known
          reused: 0
        """
        item = requested(node)
        self._require_open()
        self._commit.flush()  # what is finished is looked up in the catalog
        with self._state:
            return plan(self._workdir, self._catalog, [item], accepting)

    def accept(self, operation: Any, *, why: str = "", earlier: str = "", dry: bool = False) -> Acceptance:
        """Declare that a change of an operation's code does not matter: results of the earlier code stand under the code as it is now.

        They stand for the same inputs only; whatever else is asked for runs with the code as it is now.

        Parameters
        ----------
        operation : Operation
        why : str
            Kept, with your name and the time; `explain` tells it of all that stands by it.
        earlier : str
            Beginning of the uid of the code whose results shall stand; by default the latest other code that ran here.
        dry : bool
            Only say what the change is.

        Raises
        ------
        GraphError, NotFound
            There is no reason, or no earlier code.
        """
        self._require_open()
        self._commit.flush()
        with self._state:
            found = look_at(self._catalog, operation, why=why, earlier=earlier, host=self._owner.host)
        if not dry:
            self._keep_acceptances([*code_rows(found.operation, operation.implementation), acceptance_row(found)])
        return found

    def withdraw(self, operation: Any, *, earlier: str = "") -> int:
        """Take back what was accepted of an operation, and return how many acceptances that were; nothing more stands by them.

        What stands already stays: a node has one result for ever. Give the operation a version word to have it computed anew.

        Raises
        ------
        NotFound
            Nothing accepted holds; says what does.
        """
        self._require_open()
        self._commit.flush()
        with self._state:
            rows = withdrawn_rows(self._catalog, str(operation.name), earlier, self._owner.host)
        self._keep_acceptances(rows)
        return len(rows)

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
                self._note_progress(ended=now())
                self._commit.close()
                self._audience.dismiss()
                self._catalog.close()
        finally:
            self._ownership.release()

    def __enter__(self) -> Session:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return (
            f"<session {self.id} in {self._workdir.path} on {self._engine.name}{', closed' if self._is_closed else ''}>"
        )

    def _keep_acceptances(self, rows: Sequence[Row]) -> None:
        self._commit.append(rows, (), _nothing)
        self._commit.flush()
        with self._state:
            self._scheduler.ledger.note_acceptances()

    def _note_now_and_then(self) -> None:
        if monotonic() - self._noted > PROGRESS_SECONDS:
            self._note_progress()

    def _note_progress(self, ended: str | None = None) -> None:
        """Tell the catalog how far the session is, for those who look from outside."""
        self._noted = monotonic()
        owner, progress = json.dumps(asdict(self._owner)), json.dumps(asdict(self.counts))
        row = SessionRow(self.id, owner, self._engine.name, self._started, ended, progress)
        with suppress(HoldfastError):  # a store that refuses to write is told to those who wait for results
            self._commit.append([row], (), _nothing)

    def _note_breakage(self, error: Exception) -> None:
        self._inbox.put(Broken(error))

    def _require_open(self) -> None:
        if self._is_closed:
            raise SessionClosed(
                f"The session in {self._workdir.path} is closed. Open a new one: hf.Session({str(self._workdir.path)!r})."
            )


def _nothing() -> None:
    """Nobody waits for this to be durable."""
