"""Decide what happens next: the one loop of a session.

The loop sleeps on one queue; engines, the committing thread and requests put events there. It looks results up in batches, hands what
is missing to the dispatcher, expands loops and ensembles, and tells what happened only after it is durable. It runs in one thread at a
time: in its own for engines that work elsewhere, in the caller's for the in-process engine.

State: the tasks of all nodes that are not settled, those to look up, those ready to run, the waits and ensembles that may go on, what this
turn will commit, the calls whose results are not durable yet, the implementations seen, and the counts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING

from holdfast.errors import GraphError, HoldfastError
from holdfast.model.content import array_digests
from holdfast.model.control import GATHER, MAP, WHILE_LOOP
from holdfast.model.datatype import DataNode, File
from holdfast.model.fingerprint import call_key, call_prefix, operation_text
from holdfast.model.graph import Graph
from holdfast.model.lifecycle import NodeState
from holdfast.model.node import Node
from holdfast.model.reference import Input, Part, Reference, references
from holdfast.runtime.commitment import Commitment, array_rows, call_row, composite_rows
from holdfast.runtime.contents import Contents, Places
from holdfast.runtime.dispatch import Dispatcher
from holdfast.runtime.ensemble import EnsembleRun
from holdfast.runtime.events import CodeChanged, Counts, Event, NodeDone, NodeFailed, NodeStarted
from holdfast.runtime.iteration import LoopRun
from holdfast.runtime.job import ArraySource, Call, Failed, Finished, Job, Report, Stack
from holdfast.runtime.task import Failure, Task, Wait, Waiter, failure_of, lower
from holdfast.storage.catalog import Catalog
from holdfast.storage.commit import GroupCommit
from holdfast.storage.rows import CallRow, FailureRow, ImplementationRow, NodeRow, Row

if TYPE_CHECKING:
    from holdfast.runtime.dispatch import Pending


@dataclass(frozen=True, slots=True)
class Request:
    """Somebody wants results."""

    items: tuple[Input, ...]
    settled: Callable[[Failure | None], None]
    """Called when all are durable or failed."""


@dataclass(frozen=True, slots=True)
class Committed:
    """A group is durable."""

    commitment: Commitment


@dataclass(frozen=True, slots=True)
class Broken:
    """The store refuses to write; nothing more can be promised."""

    error: Exception


@dataclass(frozen=True, slots=True)
class Stop:
    """The loop is to end."""


Happening = Request | Report | Committed | Broken | Stop


@dataclass(slots=True)
class Prefixes:
    """What the call keys of an operation and implementation begin with, by both."""

    known: dict[tuple[tuple[str, ...], tuple[str, ...]], bytes] = field(default_factory=dict)

    def of(self, scope: tuple[str, ...], depends: tuple[str, ...]) -> bytes:
        """Return the prefix."""
        found = self.known.get((scope, depends))
        if found is None:
            found = self.known[scope, depends] = call_prefix(operation_text(scope), depends)
        return found


class Scheduler:
    """Runs what is missing for what is requested."""

    def __init__(
        self, catalog: Catalog, commit: GroupCommit, contents: Contents, dispatcher: Dispatcher, inbox: SimpleQueue[Happening], tell: Callable[[Event], None]
    ) -> None:
        self.catalog = catalog
        self.contents = contents
        self.dispatcher = dispatcher
        self.inbox = inbox
        self.counts = Counts()
        self.tasks: dict[str, Task] = {}
        self.is_stopped = False
        self.broken: Exception | None = None
        self._commit = commit
        self._tell = tell
        self._prefixes = Prefixes()
        self._to_look_up: list[Task] = []
        self._ready: list[Task] = []
        self._waits: list[Wait] = []
        self._ensembles: dict[int, EnsembleRun] = {}
        self._outgoing = Commitment()
        self._fresh: dict[bytes, CallRow] = {}
        self._implementations: set[tuple[str, str]] = set()
        self._requests = 0

    # what the loop does

    def next_happening(self, wait: float) -> Happening | None:
        """Return what happened, sleeping up to `wait` seconds if there is nothing else to do; needs no lock."""
        try:
            return self.inbox.get_nowait()
        except Empty:
            if self.dispatcher.has_room and self.dispatcher.queued:
                return None
            self._commit.urge()
        try:
            return self.inbox.get(timeout=wait)
        except Empty:
            return None

    def turn(self, happening: Happening | None) -> list[Job]:
        """Take what has happened, do all that follows from it, and return the jobs to submit."""
        while happening is not None:
            self._take(happening)
            try:
                happening = self.inbox.get_nowait()
            except Empty:
                happening = None
        while self._to_look_up or self._ready or self._waits or self._ensembles:
            self._look_up()
            self._advance_ready()
            self._advance_waits()
            self._advance_ensembles()
        jobs = self.dispatcher.fill()
        self._send_commitment()
        self.counts.running = self.dispatcher.running
        return jobs

    def abandon(self) -> None:
        """Settle everything that is under way as cancelled, at the end of a session."""
        failure = Failure("holdfast", "", "", "SessionClosed", "The session was closed before the result was there. Ask again in a new one.")
        self._send_commitment()
        for task in list(self.tasks.values()):
            if not task.state.is_final:
                task.failure = failure
                task.become(NodeState.CANCELLED)
                self._watchers(task)
        for wait in self._waits:
            wait.then(failure)
        while (left := self._left_over()) is not None:
            left.settled(failure)

    def _left_over(self) -> Request | None:
        """Return a request that came too late."""
        try:
            while not isinstance(happening := self.inbox.get_nowait(), Request):
                continue
        except Empty:
            return None
        return happening

    def _take(self, happening: Happening) -> None:
        if isinstance(happening, Report):
            for pending, outcome in self.dispatcher.take(happening):
                self._settle_call(pending, outcome)
        elif isinstance(happening, Committed):
            self._acknowledge(happening.commitment)
        elif isinstance(happening, Request):
            self._take_request(happening)
        elif isinstance(happening, Broken):
            self._break(happening.error)
        else:
            self.is_stopped = True

    def _take_request(self, request: Request) -> None:
        self._requests += 1
        watch = self.wait(request.settled)
        watch.waits = 1
        if self.broken is not None:
            watch.failure = _store_failure(self.broken)
        else:
            for item in request.items:
                for reference in references(item):
                    self._watch(reference, watch)
        lower(watch, None)

    def _watch(self, reference: Reference, watch: Wait) -> None:
        task = self._task_for(reference)
        if task is None:
            return
        task.is_wanted = True
        if task.state.is_final:
            watch.failure = watch.failure or task.failure
            return
        watch.waits += 1
        task.watchers.append(lambda settled: lower(watch, settled.failure))

    # what others ask of the scheduler

    def require(self, item: Input, waiter: Waiter) -> None:
        """Let `waiter` proceed when all references of `item` are computed or failed; at once if they are."""
        waiter.waits += 1
        for reference in references(item):
            task = self._task_for(reference)
            if task is None:
                continue
            if task.failure is not None:
                waiter.failure = waiter.failure or task.failure
            elif not task.is_computed:
                waiter.waits += 1
                task.dependents.append(waiter)
        lower(waiter, None)

    def wait(self, then: Callable[[Failure | None], None]) -> Wait:
        """Return a wait that calls back from the loop."""
        return Wait(then, self._enqueue_wait)

    def _enqueue_ready(self, task: Task) -> None:
        self._ready.append(task)

    def _enqueue_wait(self, wait: Wait) -> None:
        self._waits.append(wait)

    def prefix(self, scope: tuple[str, ...], depends: tuple[str, ...]) -> bytes:
        """Return what the call keys of an operation and implementation begin with."""
        return self._prefixes.of(scope, depends)

    def find_calls(self, keys: Sequence[bytes]) -> dict[bytes, CallRow]:
        """Return the results of calls that are durable, or will be with a commitment that is under way."""
        found = self.catalog.find_calls(keys)
        if self._fresh:
            found.update({key: self._fresh[key] for key in keys if key in self._fresh})
        return found

    def commit_rows(self, rows: Iterable[Row]) -> None:
        """Make rows durable together with, or after, everything that was computed before."""
        self._outgoing.rows.extend(rows)

    def commit_value(self, text: bytes, places: Places, key: bytes, uid: str) -> None:
        """Make a composed value durable under a call key."""
        rows, staged = composite_rows(self.contents, text, places, key, uid)
        self._outgoing.rows.extend(rows)
        if staged:
            self._outgoing.staged.append((staged, uid))

    def keep_constants(self, item: Input) -> None:
        """Make the data nodes of an input durable, so that their uid is enough to find them."""
        for reference in references(item):
            source = reference.source if isinstance(reference, Part) else reference
            if isinstance(source, DataNode):
                if source.datatype is File:
                    raise GraphError(f"{source!r} is part of a loop's state, which cannot hold files. Use the file in the body instead.")
                places: Places = {}
                text = self.contents.text_of(source, places)
                key = call_key(self.prefix(source.datatype.scope, ()), text)
                self.commit_value(text, places, key, source.uid)
                self._outgoing.rows.append(NodeRow(bytes.fromhex(source.uid), key, str(source.datatype), source.fingerprint().compact_json()))

    def note_member_arrays(self, arrays: Mapping[str, ArraySource]) -> None:
        """Remember the arrays of an ensemble's member until they are durable."""
        self.contents.note_arrays(arrays)
        self._outgoing.arrays.extend(arrays)

    def tell_durable(self, event: Event) -> None:
        """Send an event as soon as everything committed so far is durable."""
        self._outgoing.events.append(event)

    def note_run(self, node: Node) -> None:
        """Record the implementation of an operation that is about to run, and tell if it has changed."""
        found, name = node.code.implementation, node.name
        if (name, found.uid) in self._implementations:
            return
        self._implementations.add((name, found.uid))
        earlier = self.catalog.latest_implementation(name)
        if earlier is not None and earlier.uid != bytes.fromhex(found.uid):
            changed = dict(earlier.parts).items() ^ found.parts.items()
            self._tell(CodeChanged(name, tuple(sorted({part for part, _ in changed}))))
        if earlier is None or earlier.uid != bytes.fromhex(found.uid):
            self.commit_rows([ImplementationRow(bytes.fromhex(found.uid), name, found.parts)])

    def finish(self, task: Task, text: bytes, places: Places, key: bytes) -> None:
        """Give a loop, an ensemble or a gathered value its result."""
        if task.state.is_final:
            return
        places = self._unknown(text, places)
        self.commit_value(text, places, key, task.node.uid)
        self._outgoing.rows.append(_node_row(task, key))
        self.note_member_arrays(places)
        self._compute(task, text)

    def _unknown(self, text: bytes, places: Places) -> Places:
        """Return the places of those arrays of a text that have no row yet."""
        if not places:
            return {}
        named = [digest for digest in array_digests(text) if digest in places]
        stacked = [digest for name in named if isinstance(place := places[name], Stack) for digest in place.digests]
        wanted = [digest for digest in (*named, *stacked) if digest in places]
        known = self.catalog.find_arrays([bytes.fromhex(digest) for digest in wanted])
        return {digest: places[digest] for digest in wanted if bytes.fromhex(digest) not in known}

    def fail(self, task: Task, failure: Failure, *, row: bool = False) -> None:
        """Settle a task without a result, and tell those that depend on it."""
        if task.state.is_final:
            return
        task.failure = failure
        task.failed_at = self._requests
        task.become(NodeState.FAILED)
        if row:
            self.commit_rows([failure_row(task.node.uid, failure)])
        self._tell(NodeFailed(task.node.uid, task.operation, f"{failure.kind}: {failure.reason}"))
        self._release(task)
        self._watchers(task)

    # looking up

    def _task_for(self, reference: Reference) -> Task | None:
        """Return the task of the node that a reference belongs to; None if there is nothing to compute."""
        source = reference.source if isinstance(reference, Part) else reference
        if isinstance(source, (DataNode, Graph)):
            return None
        task = self.tasks.get(source.uid)
        if task is None or (task.state is NodeState.FAILED and task.failed_at < self._requests):
            task = Task(source, self._enqueue_ready)  # type: ignore[arg-type]
            self.tasks[source.uid] = task
            self._to_look_up.append(task)
        return task

    def _look_up(self) -> None:
        while self._to_look_up:
            tasks, self._to_look_up = self._to_look_up, []
            found = self.catalog.find_call_keys([bytes.fromhex(task.node.uid) for task in tasks])
            for task in tasks:
                key = found.get(bytes.fromhex(task.node.uid))
                if key is not None:
                    task.key = key
                    self._reuse(task)
                elif isinstance(task.node, Node):
                    self.counts.waiting += task.node.code is not None
                    self.require(task.node.inputs, task)
                else:
                    self.fail(task, Failure("data", task.node.uid, "", "NotFound", "its result is not in this working directory"))

    def _reuse(self, task: Task) -> None:
        task.reused = True
        task.is_computed = True
        task.become(NodeState.DONE)
        self.counts.reused += 1
        self._tell(NodeDone(task.node.uid, task.operation, reused=True))
        self._release(task)
        self._watchers(task)
        self._prune(task)

    # running

    def _advance_ready(self) -> None:
        tasks, self._ready = self._ready, []
        keyed = [(task, places) for task in tasks if (places := self._prepare(task)) is not None]
        if not keyed:
            return
        found = self.find_calls(list({task.key for task, _ in keyed}))
        for task, places in keyed:
            row = found.get(task.key)
            if row is not None:
                self._reuse_call(task, row)
            else:
                self._start(task, places)

    def _prepare(self, task: Task) -> Places | None:
        """Give a task whose dependencies are settled its call key; None if it cannot run."""
        if task.failure is not None:
            failure, task.failure = task.failure, None
            self._uncount(task)
            self.fail(task, failure)
            return None
        node = task.node
        assert isinstance(node, Node)
        places: Places = {}
        try:
            inputs = {label: item for label, item in node.inputs.items() if not isinstance(item, Graph)}
            task.arguments = self.contents.text_of(inputs, places)
        except (HoldfastError, OSError) as error:
            self._uncount(task)
            self.fail(task, Failure(task.operation, node.uid, "", type(error).__name__, str(error)), row=True)
            return None
        bodies = tuple(f"{label}:{item.uid}" for label, item in node.inputs.items() if isinstance(item, Graph))
        task.key = call_key(self.prefix(node.scope, node.depends + bodies), task.arguments)
        return places

    def _uncount(self, task: Task) -> None:
        if isinstance(task.node, Node) and task.node.code is not None:
            self.counts.waiting -= 1
            self.counts.failed += 1

    def _reuse_call(self, task: Task, row: CallRow) -> None:
        if isinstance(task.node, Node) and task.node.code is not None:
            self.counts.waiting -= 1
        self.counts.reused += 1
        task.reused = True
        self._outgoing.rows.append(_node_row(task, task.key))
        if row.store is not None and task.key in self._fresh:
            self._outgoing.late.append((task, row.text or b""))
        else:
            self._compute(task, self.contents.read_call(row))

    def _start(self, task: Task, places: Places) -> None:
        node = task.node
        assert isinstance(node, Node)
        if node.code is not None:
            task.become(NodeState.READY)
            self._dispatch(task, places)
            return
        task.become(NodeState.RUNNING)
        self._tell(NodeStarted(node.uid, node.name))
        if node.scope == MAP:
            self._ensembles[id(task)] = EnsembleRun(self, task)
        elif node.scope == WHILE_LOOP:
            task.loop = LoopRun(self, task)
            task.loop.begin()
        elif node.scope == GATHER:
            self._gather(task, node)
        else:
            self.fail(task, Failure(node.name, node.uid, "", "GraphError", "holdfast has no such control flow"))

    def _dispatch(self, task: Task, places: Places) -> None:
        node = task.node
        assert isinstance(node, Node)
        if self.dispatcher.join(task.key, _TaskConsumer(self, task), 0):
            return
        self.note_run(node)
        self.dispatcher.add(node.code, self.prefix(node.scope, node.depends), Call(task.key, task.arguments), places, _TaskConsumer(self, task), 0)

    def _gather(self, task: Task, node: Node) -> None:
        places: Places = {}
        text = self.contents.gather(self.contents.elements(node.inputs["members"], places), places)
        self.finish(task, text, places, task.key)

    def advance_ensemble(self, run: EnsembleRun) -> None:
        """Let an ensemble go on in this turn."""
        self._ensembles[id(run.task)] = run

    def _advance_waits(self) -> None:
        waits, self._waits = self._waits, []
        for wait in waits:
            wait.then(wait.failure)

    def _advance_ensembles(self) -> None:
        runs, self._ensembles = self._ensembles, {}
        for run in runs.values():
            run.advance()

    # outcomes

    def _settle_call(self, pending: Pending, outcome: Finished | Failed) -> None:
        if isinstance(outcome, Finished):
            store = self._store_uid(pending) if outcome.staged else ""
            row = call_row(outcome, bytes.fromhex(store) if store else None)
            self._fresh[outcome.key] = row
            self._outgoing.calls.append(outcome.key)
            self._outgoing.rows += [row, *array_rows(outcome)]
            if store:
                self._outgoing.staged.append((outcome.staged, store))
        for consumer, index in pending.consumers:
            consumer.settled(index, outcome)

    def _store_uid(self, pending: Pending) -> str:
        consumer, index = pending.consumers[0]
        return consumer.task.node.uid if isinstance(consumer, _TaskConsumer) else consumer.member_uid(index)  # type: ignore[attr-defined, no-any-return]

    def _compute(self, task: Task, text: bytes) -> None:
        """Let dependents use a value that will be durable with the next commitment."""
        if task.state.is_final:
            return
        self.contents.note_result(task.node.uid, text)
        self._outgoing.tasks.append(task)
        task.is_computed = True
        self._release(task)

    def compute_later(self, task: Task, outcome: Finished) -> None:
        """Let dependents use a value whose store is under construction only when it has its lasting name."""
        self._outgoing.late.append((task, outcome.text))

    def _acknowledge(self, commitment: Commitment) -> None:
        for key in commitment.calls:
            self._fresh.pop(key, None)
        for task, text in commitment.late:
            if not text:
                text = self.contents.read_call(self.catalog.find_calls([task.key])[task.key])
            self.contents.know(task.node.uid, text)
            task.is_computed = True
            self._release(task)
            self._finalise(task)
        for resume in commitment.resumes:
            resume()
        for task in commitment.tasks:
            self.contents.release(task.node.uid)
            self._finalise(task)
        self.contents.release_arrays(commitment.arrays)
        for event in commitment.events:
            self._tell(event)

    def _finalise(self, task: Task) -> None:
        task.become(NodeState.DONE)
        self._tell(NodeDone(task.node.uid, task.operation, reused=task.reused))
        self._watchers(task)
        self._prune(task)

    def _release(self, task: Task) -> None:
        dependents, task.dependents = task.dependents, []
        for waiter in dependents:
            lower(waiter, task.failure)

    def _watchers(self, task: Task) -> None:
        watchers, task.watchers = task.watchers, []
        for watcher in watchers:
            watcher(task)

    def _prune(self, task: Task) -> None:
        """Forget a finished task that nobody asked for by itself; the catalog knows it."""
        if not task.is_wanted and task.node.uid in self.tasks:
            del self.tasks[task.node.uid]

    # committing

    def _send_commitment(self) -> None:
        outgoing = self._outgoing
        if outgoing.is_empty or self.broken is not None:
            return
        self._outgoing = Commitment()
        inbox = self.inbox
        self._commit.append(outgoing.rows, outgoing.staged, lambda: inbox.put(Committed(outgoing)))

    def resume_when_durable(self, resume: Callable[[], None]) -> None:
        """Call `resume` in the loop once everything computed so far is durable."""
        self._outgoing.resumes.append(resume)

    def _break(self, error: Exception) -> None:
        """Fail everything that is under way: the store cannot keep it."""
        self.broken = error
        for task in list(self.tasks.values()):
            if not task.state.is_final:
                self.fail(task, _store_failure(error))


class _TaskConsumer:
    """Takes the outcome of a call on behalf of a node."""

    __slots__ = ("_scheduler", "task")

    def __init__(self, scheduler: Scheduler, task: Task) -> None:
        self._scheduler = scheduler
        self.task = task

    def started(self, index: int) -> None:
        """Take note that the call is with the engine."""
        if self.task.state is NodeState.READY:
            self.task.become(NodeState.RUNNING)
            self._scheduler._tell(NodeStarted(self.task.node.uid, self.task.operation))

    def settled(self, index: int, outcome: Finished | Failed) -> None:
        """Settle the node."""
        scheduler, task = self._scheduler, self.task
        scheduler.counts.waiting -= 1
        if isinstance(outcome, Failed):
            scheduler.counts.failed += 1
            scheduler.fail(task, failure_of(task.operation, task.node.uid, task.arguments, outcome), row=True)
            return
        scheduler.counts.done += 1
        scheduler._outgoing.rows.append(_node_row(task, outcome.key))
        if outcome.staged:
            scheduler.compute_later(task, outcome)
        else:
            scheduler.note_member_arrays(outcome.arrays)
            scheduler._compute(task, outcome.text)


def failure_row(uid: str, failure: Failure) -> FailureRow:
    """Return the row that keeps a failure."""
    return FailureRow(bytes.fromhex(uid), failure.operation, failure.node, failure.kind, failure.reason, failure.traceback, failure.arguments)


def _store_failure(error: Exception) -> Failure:
    return Failure("holdfast", "", "", type(error).__name__, str(error))


def _node_row(task: Task, key: bytes) -> NodeRow:
    node = task.node
    assert isinstance(node, Node)
    return NodeRow(bytes.fromhex(node.uid), key, node.name, node.fingerprint().compact_json())
