"""Say where a node stands, and what has happened to it so far, from its task and the catalog. Decides nothing."""

from __future__ import annotations

from holdfast.model.lifecycle import NodeState
from holdfast.runtime.events import Event, NodeDone, NodeFailed, NodeStarted, RoundDone
from holdfast.runtime.task import Task
from holdfast.storage.catalog import Catalog


def stored_state(catalog: Catalog, uid: str) -> NodeState:
    """Return what the catalog knows of a node's state."""
    key = bytes.fromhex(uid)
    if catalog.find_call_keys([key]):
        return NodeState.DONE
    return NodeState.FAILED if catalog.find_failures([key]) else NodeState.DECLARED


def past_events(catalog: Catalog, uid: str, task: Task | None) -> list[Event]:
    """Return what has happened to a node so far, for a subscriber who comes late."""
    if task is None:
        state, operation, failure, loop = stored_state(catalog, uid), "", None, None
    else:
        state, operation, failure, loop = task.state, task.operation, task.failure, task.loop
    if state is NodeState.DONE:
        return [NodeDone(uid, operation, reused=task is None or task.reused)]
    if task is not None and state is NodeState.FAILED:
        return [NodeFailed(uid, operation, failure.reason if failure else "")]
    if state is NodeState.RUNNING:
        started: list[Event] = [NodeStarted(uid, operation)]
        return [*started, RoundDone(uid, operation, loop.number)] if loop is not None and loop.number else started
    return []
