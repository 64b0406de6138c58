"""Take the outcome of a single call on behalf of its node."""

from __future__ import annotations

from typing import TYPE_CHECKING

from holdfast.model.lifecycle import NodeState
from holdfast.runtime.events import NodeStarted
from holdfast.runtime.follow import guard
from holdfast.runtime.job import Failed, Finished
from holdfast.runtime.task import Task, failure_of
from holdfast.storage.rows import CallRow

if TYPE_CHECKING:
    from holdfast.runtime.scheduler import Scheduler


class NodeCall:
    """The call of one node."""

    __slots__ = ("_scheduler", "_task")

    def __init__(self, scheduler: Scheduler, task: Task) -> None:
        self._scheduler = scheduler
        self._task = task

    def store_uid(self, index: int) -> str:
        """Return the name that a store for the result has."""
        return self._task.node.uid

    def reference(self, index: int) -> str:
        """Return the node."""
        return self._task.node.uid

    def started(self, index: int) -> None:
        """Take note that the call is with the engine."""
        if self._task.state in (NodeState.READY, NodeState.WAITING):
            self._task.become(NodeState.RUNNING)
            if self._scheduler.audience.is_listening:
                self._scheduler.tell(NodeStarted(self._task.node.uid, self._task.operation))

    def made_elsewhere(self, index: int) -> None:
        """Take note that another session makes the call."""
        if self._task.state is NodeState.READY:
            self._task.become(NodeState.WAITING)

    def reuse(self, index: int, row: CallRow) -> None:
        """Give the node the result that another session has made durable."""
        guard(self._scheduler, self._task, lambda: self._scheduler.reuse(self._task, row))

    def settled(self, index: int, outcome: Finished | Failed) -> None:
        """Settle the node."""
        scheduler, task = self._scheduler, self._task
        scheduler.counts.waiting -= 1
        if isinstance(outcome, Failed):
            scheduler.counts.failed += 1
            scheduler.fail(task, failure_of(task.operation, task.node.uid, task.arguments, outcome), row=True)
            return
        scheduler.counts.done += 1
        scheduler.ledger.add_node(task, outcome.key)
        if outcome.is_readable:
            scheduler.compute(task, outcome.text)
        else:
            scheduler.ledger.finish_later(task, outcome.text)
