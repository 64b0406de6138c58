"""Settle tasks: let others use what is computed, tell what is durable, fail what can have no result.

A value may be used before it is durable; nothing is told before. Decides nothing about what runs.
"""

from __future__ import annotations

from holdfast.model.lifecycle import NodeState
from holdfast.runtime.audience import Audience
from holdfast.runtime.commitment import Commitment
from holdfast.runtime.contents import Contents
from holdfast.runtime.events import NodeDone, NodeFailed
from holdfast.runtime.ledger import Ledger
from holdfast.runtime.lookup import LookUp
from holdfast.runtime.places import Places
from holdfast.runtime.task import Failure, Task, lower


class Settlement:
    """Gives tasks their ends."""

    def __init__(self, lookup: LookUp, ledger: Ledger, contents: Contents, audience: Audience) -> None:
        self._lookup = lookup
        self._ledger = ledger
        self._contents = contents
        self._audience = audience

    def finish(self, task: Task, text: bytes, places: Places) -> None:
        """Give a loop, an ensemble or a gathered value its result."""
        if task.state.is_final:
            return
        self._ledger.add_value(text, places, task.key, task.node.uid, task.operation)
        self._ledger.add_node(task, task.key)
        self.compute(task, text)

    def compute(self, task: Task, text: bytes) -> None:
        """Let dependents use a value that will be durable with the next commitment."""
        if task.state.is_final:
            return
        self._contents.note_result(task.node.uid, text)
        self._ledger.finish(task)
        task.is_computed = True
        _release(task)

    def fail(self, task: Task, failure: Failure, *, row: bool = False) -> None:
        """Settle a task without a result, and tell those that depend on it."""
        if task.state.is_final:
            return
        task.failure = failure
        task.failed_at = self._lookup.requests
        task.become(NodeState.FAILED)
        if row:
            self._ledger.add_failure(task.node.uid, failure)
        self._audience.tell(NodeFailed(task.node.uid, task.operation, f"{failure.kind}: {failure.reason}"))
        _release(task)
        _answer(task)

    def cancel(self, task: Task, failure: Failure) -> None:
        """End a task of which nobody knows whether its result will ever be there."""
        if task.state.is_final:
            return
        task.failure = failure
        task.become(NodeState.CANCELLED)
        _answer(task)

    def acknowledge(self, commitment: Commitment) -> None:
        """Tell what has become durable, and let those go on that waited for that."""
        self._ledger.forget(commitment)
        for task, text in commitment.late:
            self._contents.know(task.node.uid, text or self._read(task.key))
            task.is_computed = True
            _release(task)
            self._finalise(task)
        for resume in commitment.resumes:
            resume()
        for task in commitment.tasks:
            self._contents.release(task.node.uid)
            self._finalise(task)
        for event in commitment.events:
            self._audience.tell(event)

    def _read(self, key: bytes) -> bytes:
        return self._contents.read_call(self._ledger.find_calls([key])[key])

    def _finalise(self, task: Task) -> None:
        if task.state.is_final:
            return
        task.become(NodeState.DONE)
        if self._audience.is_listening:
            self._audience.tell(NodeDone(task.node.uid, task.operation, reused=task.reused))
        _answer(task)
        self._lookup.drop(task)


def _release(task: Task) -> None:
    """Let those go on that wait for the value."""
    dependents, task.dependents = task.dependents, None
    for waiter in dependents or ():
        lower(waiter, task.failure)


def _answer(task: Task) -> None:
    """Let requests go on."""
    watchers, task.watchers = task.watchers, None
    for waiter in watchers or ():
        lower(waiter, task.failure)
