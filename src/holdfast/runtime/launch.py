"""Start nodes whose inputs are computed: reuse what their call gave before, have the call made, or expand the node.

The call keys of all that is ready in one turn are looked up together. What is started is settled elsewhere.

State: the tasks that are ready.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from holdfast.errors import GraphError, HoldfastError
from holdfast.model.fingerprint import call_prefix
from holdfast.model.lifecycle import NodeState
from holdfast.model.node import Node
from holdfast.runtime.dispatch import Consumer
from holdfast.runtime.events import NodeStarted
from holdfast.runtime.expansion import RUNS, needed, node_key
from holdfast.runtime.generated import GeneratedNodes
from holdfast.runtime.job import Call
from holdfast.runtime.nodecall import NodeCall
from holdfast.runtime.places import Places
from holdfast.runtime.task import Failure, Task
from holdfast.storage.rows import CallRow

if TYPE_CHECKING:
    from holdfast.runtime.scheduler import Scheduler


class Launch:
    """Starts tasks on behalf of a scheduler."""

    def __init__(self, scheduler: Scheduler) -> None:
        self._scheduler = scheduler
        self._ledger = scheduler.ledger
        self._contents = scheduler.contents
        self._dispatcher = scheduler.dispatcher
        self._counts = scheduler.counts
        self._ready: list[Task] = []

    @property
    def is_due(self) -> bool:
        """Whether a task is ready."""
        return bool(self._ready)

    def add(self, task: Task) -> None:
        """Take a task of which all that it needs is settled."""
        self._ready.append(task)

    def forget(self) -> None:
        """Start nothing of what is ready."""
        self._ready = []

    def start(self) -> None:
        """Start all tasks that are ready, or give them what is known."""
        tasks, self._ready = self._ready, []
        keyed = [(task, places) for task in tasks if (places := self._prepare(task)) is not None]
        if not keyed:
            return
        found = self._ledger.find_calls(list({task.key for task, _ in keyed}))
        for task, places in keyed:
            row = found.get(task.key)
            if row is None and self._ledger.acceptances.has_any:
                row = self._accepted_result(task)
            try:
                if row is not None:
                    self.reuse(task, row)
                else:
                    self._start(task, places)
            except (HoldfastError, OSError) as error:
                reason = Failure(task.operation, task.node.uid, "", type(error).__name__, str(error))
                self._scheduler.fail(task, reason, row=True)

    def _prepare(self, task: Task) -> Places | None:
        """Give a task whose dependencies are settled its call key; None if it cannot run."""
        node = task.node
        if not isinstance(node, Node):
            reason = "its result is not in this working directory"
            self._scheduler.fail(task, Failure("data", node.uid, "", "NotFound", reason))
            return None
        places: Places = {}
        failure, task.failure = task.failure, None
        try:
            if failure is None:
                task.arguments = self._contents.text_of(needed(node), places)
        except (HoldfastError, OSError) as error:
            failure = Failure(task.operation, node.uid, "", type(error).__name__, str(error))
            self._ledger.add_failure(node.uid, failure)
        if failure is not None:
            self._counts.waiting -= task.is_call
            self._counts.failed += task.is_call
            self._scheduler.fail(task, failure)
            return None
        task.key = node_key(node, task.arguments)
        return places

    def _accepted_result(self, task: Task) -> CallRow | None:
        """Return the result that stands for a call from earlier code whose change was accepted."""
        node = task.node
        if not isinstance(node, Node) or not self._ledger.acceptances.earlier(node):
            return None
        return self._ledger.find_results(node, [task.key], [task.arguments]).get(task.key)

    def reuse(self, task: Task, row: CallRow) -> None:
        """Give a task the result that its call has already."""
        task.key = row.call_key
        self._counts.waiting -= task.is_call
        self._counts.reused += 1
        task.reused = True
        self._ledger.add_node(task, task.key)
        if self._ledger.is_readable(row):
            self._scheduler.compute(task, self._contents.read_call(row))
        else:
            self._ledger.finish_later(task, row.text or b"")

    def _start(self, task: Task, places: Places) -> None:
        node = task.node
        assert isinstance(node, Node)
        if task.is_call:
            task.become(NodeState.READY)
            self.make_calls(node, [(0, Call(task.key, task.arguments))], places, NodeCall(self._scheduler, task))
            return
        task.become(NodeState.RUNNING)
        self._scheduler.tell(NodeStarted(node.uid, node.name))
        self._ledger.add_needs(bytes.fromhex(node.uid), (task.key,))
        run = RUNS.get(node.scope)
        if run is None:
            raise GraphError("this version has no such control flow")
        run(self._scheduler, task).begin()

    def make_calls(self, node: Node, calls: Iterable[tuple[int, Call]], places: Places, consumer: Consumer) -> None:
        """Have calls of one operation made that are not under way and did not return nodes earlier; the consumer knows each by a number."""
        identity = call_prefix(node.scope, node.depends)
        why, made = "", 0
        for index, call in calls:
            if self._dispatcher.join(call.key, consumer, index) or self._follow(node, identity, call, consumer, index):
                continue
            why = why or self._note_run(node, identity)
            made += 1
            self._dispatcher.add(node.code, identity, call, places, consumer, index, why)
        if made:
            self._counts.reasons[why] = self._counts.reasons.get(why, 0) + made

    def _follow(self, node: Node, identity: bytes, call: Call, consumer: Consumer, index: int) -> bool:
        """Follow the nodes that a call returned earlier; return whether it did."""
        document = self._ledger.find_expansion(identity, call.key)
        if document is None:
            return False
        pending = self._dispatcher.hold(node.code, identity, call, consumer, index)
        consumer.started(index)
        self._ledger.add_needs(bytes.fromhex(consumer.store_uid(index)), (call.key,))
        GeneratedNodes(self._scheduler, pending, document).follow()
        return True

    def _note_run(self, node: Node, identity: bytes) -> str:
        """Record the implementation of an operation that is about to run, tell if it has changed, and return why it runs."""
        changed = self._ledger.add_run(node, identity)
        if changed is not None:
            self._scheduler.tell(changed)
        return self._ledger.why(identity)
