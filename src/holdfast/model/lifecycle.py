"""Say which states a node passes through, and which way.

Pure: one table of transitions and one function that applies it; only the scheduler calls it.
"""

from __future__ import annotations

from enum import Enum

from holdfast.errors import HoldfastError


class NodeState(Enum):
    """Where a node stands."""

    DECLARED = "declared"
    """Described, and nobody has asked for it in this session."""
    WAITING = "waiting"
    """Asked for; what it depends on is not settled, or another session makes its call."""
    READY = "ready"
    """Its inputs are there; it waits for a free worker."""
    RUNNING = "running"
    """A worker has it, or its loop or ensemble is under way."""
    SUSPENDED = "suspended"
    """Stopped on the way with its state kept; the next run goes on."""
    DONE = "done"
    """Its result is committed. Final."""
    FAILED = "failed"
    """It failed, or something that it depends on did. Final in this session; the next one tries again."""
    CANCELLED = "cancelled"
    """Nobody wants it any more. Final in this session."""

    __hash__ = object.__hash__  # each state is one object; that of `Enum` hashes a name, at three times the cost

    @property
    def is_final(self) -> bool:
        """Whether nothing more happens to the node in this session."""
        return not TRANSITIONS[self]


_S = NodeState

TRANSITIONS: dict[NodeState, frozenset[NodeState]] = {
    _S.DECLARED: frozenset({_S.WAITING, _S.DONE}),
    _S.WAITING: frozenset({_S.READY, _S.RUNNING, _S.DONE, _S.FAILED, _S.CANCELLED}),
    _S.READY: frozenset({_S.WAITING, _S.RUNNING, _S.DONE, _S.FAILED, _S.CANCELLED}),
    _S.RUNNING: frozenset({_S.READY, _S.SUSPENDED, _S.DONE, _S.FAILED, _S.CANCELLED}),
    _S.SUSPENDED: frozenset({_S.READY, _S.CANCELLED}),
    _S.DONE: frozenset(),
    _S.FAILED: frozenset(),
    _S.CANCELLED: frozenset(),
}
"""What may follow each state. `RUNNING` goes back to `READY` when a worker was lost, `READY` to `WAITING` when another session
has the call."""


def advance(current: NodeState, following: NodeState) -> NodeState:
    """Return `following` if it may come after `current`.

    Raises
    ------
    HoldfastError
        It may not: a bug of holdfast, not of the user.
    """
    if following not in TRANSITIONS[current]:
        raise HoldfastError(f"A node cannot go from {current.value} to {following.value}. Please report this as a bug.")
    return following
