"""Tell what happened: frozen records that views and subscribers receive.

An event is sent only after what it tells is durable. Nothing here does anything.
"""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class NodeStarted:
    """A node's operation, loop or ensemble has begun to run."""

    uid: str
    operation: str


@dataclass(frozen=True, slots=True)
class NodeDone:
    """A node's result is committed."""

    uid: str
    operation: str
    reused: bool
    """Whether the result was there already, so that nothing ran."""


@dataclass(frozen=True, slots=True)
class NodeFailed:
    """A node failed, or cannot be computed because another one failed."""

    uid: str
    operation: str
    reason: str


@dataclass(frozen=True, slots=True)
class RoundDone:
    """A round of a loop is committed."""

    uid: str
    operation: str
    number: int
    """Rounds finished so far."""


@dataclass(frozen=True, slots=True)
class CodeChanged:
    """An operation runs again because its code is not what it was."""

    operation: str
    parts: tuple[str, ...]
    """Qualified names of what changed, came or went."""


@dataclass(frozen=True, slots=True)
class WorkerLost:
    """A worker vanished; its calls are made again."""

    operation: str
    reason: str


@dataclass(frozen=True, slots=True)
class ResultDiffers:
    """A call that was made again gave another result than before; the first one stands."""

    operation: str
    """Empty if it is not known any more."""
    call_key: str
    stored: str
    """Digest of the result that is kept."""
    found: str
    """Digest of the other one."""


Event = NodeStarted | NodeDone | NodeFailed | RoundDone | CodeChanged | WorkerLost | ResultDiffers


@dataclass(slots=True)
class Counts:
    """How many calls of operations a session has seen; a snapshot for views."""

    done: int = 0
    """Ran in this session and are finished."""
    reused: int = 0
    """Were finished already."""
    running: int = 0
    """With a worker."""
    failed: int = 0
    waiting: int = 0
    """Asked for, and neither finished nor failed yet."""
    reasons: dict[str, int] = field(default_factory=dict)
    """Calls that were made in this session, by why: `first run`, `new inputs`, `changed code`."""
