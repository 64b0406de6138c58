"""Decide what happens next: the one loop of a session.

The loop sleeps on one queue; engines, the committing thread and requests put what happens there. It looks results up in batches, hands
what is missing to the dispatcher, expands loops and ensembles, and tells what happened only after it is durable. It runs in one thread at
a time: in its own for engines that work elsewhere, in the caller's for the in-process engine. The file is longer than
others because it is the one place that says what follows from what.

State: the tasks of all nodes that are not settled, those to look up, those ready to run, the waits and ensembles that may go on, how
many requests there were, the counts, and the error that broke it, if one did.
"""

from __future__ import annotations

from collections.abc import Callable
from queue import Empty, SimpleQueue

from holdfast.errors import GraphError, HoldfastError, SessionClosed
from holdfast.model.fingerprint import call_prefix, operation_text
from holdfast.model.lifecycle import NodeState
from holdfast.model.node import CommittedNode, Node
from holdfast.model.reference import Input, Part, Reference, references
from holdfast.runtime.commitment import Commitment
from holdfast.runtime.contents import Contents, Places
from holdfast.runtime.dispatch import Consumer, Dispatcher, Pending
from holdfast.runtime.ensemble import EnsembleRun
from holdfast.runtime.events import Counts, Event, NodeDone, NodeFailed, NodeStarted
from holdfast.runtime.expansion import RUNS, needed, node_key
from holdfast.runtime.generated import GeneratedNodes
from holdfast.runtime.happening import Broken, Happening, Request
from holdfast.runtime.job import Call, Expanded, Finished, Job, Report, Settled
from holdfast.runtime.ledger import Ledger
from holdfast.runtime.nodecall import NodeCall
from holdfast.runtime.task import Failure, Task, Wait, Waiter, lower
from holdfast.storage.catalog import Catalog
from holdfast.storage.rows import CallRow

_INTERRUPTED = "It was stopped before the result was there. Ask again; what is finished is kept."


class Scheduler:
    """Runs what is missing for what is requested."""

    def __init__(
        self,
        catalog: Catalog,
        ledger: Ledger,
        contents: Contents,
        dispatcher: Dispatcher,
        inbox: SimpleQueue[Happening],
        tell: Callable[[Event], None],
    ) -> None:
        self.catalog = catalog
        self.ledger = ledger
        self.contents = contents
        self.dispatcher = dispatcher
        self.tell = tell
        self.counts = Counts()
        self.tasks: dict[str, Task] = {}
        self.is_stopped = False
        self.broken: Exception | None = None
        self._inbox = inbox
        self._to_look_up: list[Task] = []
        self._ready: list[Task] = []
        self._waits: list[Wait] = []
        self._ensembles: dict[int, EnsembleRun] = {}
        self._requests = 0

    # what the loop does

    def next_happening(self, wait: float) -> Happening | None:
        """Return what happened, sleeping up to `wait` seconds if there is nothing else to do; needs no lock."""
        try:
            return self._inbox.get_nowait()
        except Empty:
            if self.dispatcher.has_room and self.dispatcher.queued:
                return None
            self.ledger.urge()
        try:
            return self._inbox.get(timeout=wait)
        except Empty:
            return None

    def turn(self, happening: Happening | None) -> list[Job]:
        """Take what has happened, do all that follows from it, and return the jobs to submit."""
        try:
            self._take_all(happening)
            while self._to_look_up or self._ready or self._waits or self._ensembles:
                self._look_up()
                self._advance_ready()
                self._advance_waits()
                self._advance_ensembles()
            jobs = self.dispatcher.fill()
            self.ledger.send()
        except Exception as error:  # a damaged catalog, a full disk, a bug: nobody may wait for ever
            self.break_off(error)
            return []
        self.counts.running = self.dispatcher.running
        return jobs

    def abandon(self) -> None:
        """Cancel everything that is under way, and commit what is finished: the session ends, or was interrupted."""
        if self.broken is None:
            self.ledger.send()
        failure = Failure("holdfast", "", "", "SessionClosed", _INTERRUPTED, cause=SessionClosed(_INTERRUPTED))
        for task in list(self.tasks.values()):
            if not task.state.is_final:
                task.failure = failure
                task.become(NodeState.CANCELLED)
                self._watchers(task)
        for wait in self._waits:
            wait.then(failure)
        self.tasks = {uid: task for uid, task in self.tasks.items() if task.state is not NodeState.CANCELLED}
        self._to_look_up, self._ready, self._waits, self._ensembles = [], [], [], {}
        self.dispatcher.forget()
        self.counts.waiting = self.counts.running = 0
        while (late := self._late_request()) is not None:
            late.settled(failure)

    def _take_all(self, happening: Happening | None) -> None:
        while happening is not None:
            self._take(happening)
            try:
                happening = self._inbox.get_nowait()
            except Empty:
                return

    def _take(self, happening: Happening) -> None:
        if isinstance(happening, Report):
            for pending, outcome in self.dispatcher.take(happening):
                self._settle_call(pending, outcome)
        elif isinstance(happening, Commitment):
            self._acknowledge(happening)
        elif isinstance(happening, Request):
            self._take_request(happening)
        elif isinstance(happening, Broken):
            self.break_off(happening.error)
        else:
            self.is_stopped = True

    def _take_request(self, request: Request) -> None:
        self._requests += 1
        watch = self.wait(request.settled)
        watch.waits = 1
        if self.broken is not None:
            watch.failure = _breakage(self.broken)
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

    def _late_request(self) -> Request | None:
        try:
            while not isinstance(happening := self._inbox.get_nowait(), Request):
                continue
        except Empty:
            return None
        return happening

    # what loops, ensembles and calls ask for

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

    def advance_ensemble(self, run: EnsembleRun) -> None:
        """Let an ensemble go on in this turn."""
        self._ensembles[id(run)] = run

    def finish(self, task: Task, text: bytes, places: Places) -> None:
        """Give a loop, an ensemble or a gathered value its result."""
        if task.state.is_final:
            return
        self.ledger.add_value(text, places, task.key, task.node.uid)
        self.ledger.add_node(task, task.key)
        self.compute(task, text)

    def compute(self, task: Task, text: bytes) -> None:
        """Let dependents use a value that will be durable with the next commitment."""
        if task.state.is_final:
            return
        self.contents.note_result(task.node.uid, text)
        self.ledger.finish(task)
        task.is_computed = True
        self._release(task)

    def fail(self, task: Task, failure: Failure, *, row: bool = False) -> None:
        """Settle a task without a result, and tell those that depend on it."""
        if task.state.is_final:
            return
        task.failure = failure
        task.failed_at = self._requests
        task.become(NodeState.FAILED)
        if row:
            self.ledger.add_failure(task.node.uid, failure)
        self.tell(NodeFailed(task.node.uid, task.operation, f"{failure.kind}: {failure.reason}"))
        self._release(task)
        self._watchers(task)

    def _enqueue_ready(self, task: Task) -> None:
        self._ready.append(task)

    def _enqueue_wait(self, wait: Wait) -> None:
        self._waits.append(wait)

    # looking up

    def _task_for(self, reference: Reference) -> Task | None:
        """Return the task of the node that a reference belongs to; None if there is nothing to compute."""
        source = reference.source if isinstance(reference, Part) else reference
        if not isinstance(source, (Node, CommittedNode)):
            return None
        task = self.tasks.get(source.uid)
        if task is None or (task.state is NodeState.FAILED and task.failed_at < self._requests):
            task = Task(source, self._enqueue_ready)
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
                    self._reuse_node(task)
                elif isinstance(task.node, Node):
                    self.counts.waiting += task.is_call
                    self.require(needed(task.node), task)
                else:
                    reason = "its result is not in this working directory"
                    self.fail(task, Failure("data", task.node.uid, "", "NotFound", reason))

    def _reuse_node(self, task: Task) -> None:
        self.counts.reused += 1
        task.reused = True
        task.is_computed = True
        self._release(task)
        self._finalise(task)

    # running

    def _advance_ready(self) -> None:
        tasks, self._ready = self._ready, []
        keyed = [(task, places) for task in tasks if (places := self._prepare(task)) is not None]
        if not keyed:
            return
        found = self.ledger.find_calls(list({task.key for task, _ in keyed}))
        for task, places in keyed:
            row = found.get(task.key) or self._accepted_result(task)
            try:
                if row is not None:
                    self._reuse_call(task, row)
                else:
                    self._start(task, places)
            except (HoldfastError, OSError) as error:
                reason = Failure(task.operation, task.node.uid, "", type(error).__name__, str(error))
                self.fail(task, reason, row=True)

    def _prepare(self, task: Task) -> Places | None:
        """Give a task whose dependencies are settled its call key; None if it cannot run."""
        node = task.node
        assert isinstance(node, Node)
        places: Places = {}
        failure, task.failure = task.failure, None
        try:
            if failure is None:
                task.arguments = self.contents.text_of(needed(node), places)
        except (HoldfastError, OSError) as error:
            failure = Failure(task.operation, node.uid, "", type(error).__name__, str(error))
            self.ledger.add_failure(node.uid, failure)
        if failure is not None:
            self.counts.waiting -= task.is_call
            self.counts.failed += task.is_call
            self.fail(task, failure)
            return None
        task.key = node_key(node, task.arguments)
        return places

    def _accepted_result(self, task: Task) -> CallRow | None:
        """Return the result that stands for a call from earlier code whose change was accepted."""
        node = task.node
        if not isinstance(node, Node) or not self.ledger.acceptances.earlier(node):
            return None
        return self.ledger.find_results(node, [task.key], [task.arguments]).get(task.key)

    def _reuse_call(self, task: Task, row: CallRow) -> None:
        task.key = row.call_key
        self.counts.waiting -= task.is_call
        self.counts.reused += 1
        task.reused = True
        self.ledger.add_node(task, task.key)
        if self.ledger.is_readable(row):
            self.compute(task, self.contents.read_call(row))
        else:
            self.ledger.finish_later(task, row.text or b"")

    def _start(self, task: Task, places: Places) -> None:
        node = task.node
        assert isinstance(node, Node)
        if task.is_call:
            task.become(NodeState.READY)
            self._dispatch(task, node, places)
            return
        task.become(NodeState.RUNNING)
        self.tell(NodeStarted(node.uid, node.name))
        self.ledger.add_needs(bytes.fromhex(node.uid), (task.key,))
        run = RUNS.get(node.scope)
        if run is None:
            raise GraphError("this version has no such control flow")
        run(self, task).begin()

    def _dispatch(self, task: Task, node: Node, places: Places) -> None:
        self.make_call(node, Call(task.key, task.arguments), places, NodeCall(self, task), 0)

    def make_call(self, node: Node, call: Call, places: Places, consumer: Consumer, index: int) -> None:
        """Have a call made, unless it is under way or returned nodes earlier; record its implementation, and tell if that has changed."""
        if self.dispatcher.join(call.key, consumer, index):
            return
        identity = call_prefix(operation_text(node.scope), node.depends)
        document = self.ledger.find_expansion(identity, call.key)
        if document is not None:
            pending = self.dispatcher.hold(node.code, identity, call, consumer, index)
            consumer.started(index)
            self.ledger.add_needs(bytes.fromhex(consumer.store_uid(index)), (call.key,))
            GeneratedNodes(self, pending, document).follow()
            return
        changed = self.ledger.add_run(node)
        if changed is not None:
            self.tell(changed)
        why = self.ledger.why(node)
        self.counts.reasons[why] = self.counts.reasons.get(why, 0) + 1
        self.dispatcher.add(node.code, identity, call, places, consumer, index)

    def _advance_waits(self) -> None:
        waits, self._waits = self._waits, []
        for wait in waits:
            wait.then(wait.failure)

    def _advance_ensembles(self) -> None:
        runs, self._ensembles = self._ensembles, {}
        for run in runs.values():
            run.advance()

    # what follows

    def _settle_call(self, pending: Pending, outcome: Settled) -> None:
        if isinstance(outcome, Expanded):
            for consumer, index in pending.consumers:
                self.ledger.add_needs(bytes.fromhex(consumer.store_uid(index)), (pending.call.key,))
            GeneratedNodes(self, pending, outcome.document, outcome.seconds).keep()
            return
        if isinstance(outcome, Finished):
            consumer, index = pending.consumers[0]
            store = consumer.store_uid(index) if outcome.staged else ""
            self.ledger.add_call(str(pending.operation.name), outcome, store)
        for consumer, index in pending.consumers:
            consumer.settled(index, outcome)

    def _acknowledge(self, commitment: Commitment) -> None:
        """Tell what has become durable, and let those go on that waited for that."""
        self.ledger.forget(commitment)
        for task, text in commitment.late:
            self.contents.know(
                task.node.uid, text or self.contents.read_call(self.catalog.find_calls([task.key])[task.key])
            )
            task.is_computed = True
            self._release(task)
            self._finalise(task)
        for resume in commitment.resumes:
            resume()
        for task in commitment.tasks:
            self.contents.release(task.node.uid)
            self._finalise(task)
        for event in commitment.events:
            self.tell(event)

    def _finalise(self, task: Task) -> None:
        if task.state.is_final:
            return
        task.become(NodeState.DONE)
        self.tell(NodeDone(task.node.uid, task.operation, reused=task.reused))
        self._watchers(task)
        if not task.is_wanted and self.tasks.get(task.node.uid) is task:
            del self.tasks[task.node.uid]  # the catalog knows it

    def _release(self, task: Task) -> None:
        dependents, task.dependents = task.dependents, []
        for waiter in dependents:
            lower(waiter, task.failure)

    def _watchers(self, task: Task) -> None:
        watchers, task.watchers = task.watchers, []
        for watcher in watchers:
            watcher(task)

    def break_off(self, error: Exception) -> None:
        """Fail everything that is under way, and all that is asked for later."""
        self.broken = error
        self._to_look_up, self._ready, self._ensembles = [], [], {}
        self.dispatcher.forget()
        for task in list(self.tasks.values()):
            self.fail(task, _breakage(error))
        waits, self._waits = self._waits, []
        for wait in waits:
            wait.then(_breakage(error))


def _breakage(error: Exception) -> Failure:
    return Failure("holdfast", "", "", type(error).__name__, str(error), cause=error)
