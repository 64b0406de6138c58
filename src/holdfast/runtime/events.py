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
    """A call that was made again, for a check or after a loss, gave another result than before."""

    operation: str
    node: str
    """Reference of the node or of the ensemble's member."""
    arguments: str
    """Its input, shortened."""
    call_key: str
    earlier: str
    """Digest of the result that it gave before."""
    later: str
    """Digest of what it gave now; or, if it failed, the error."""
    is_lost: bool = False
    """Whether the earlier result is lost, so that this one stands; else the earlier one does."""

    @property
    def uid(self) -> str:
        """The node, or the ensemble."""
        return self.node.partition("[")[0]

    def __str__(self) -> str:
        """Return it in lines, for people."""
        stands = ("lost", "kept") if self.is_lost else ("kept", "not kept")
        lines = [f"  {self.operation} {self.node[:12]}{self.node[64:]}, with the input {self.arguments}"]
        lines += [f"    before  {self.earlier}  ({stands[0]})", f"    now     {self.later}  ({stands[1]})"]
        return "\n".join(lines)


@dataclass(frozen=True, slots=True)
class MadeElsewhere:
    """Another session makes calls that are needed here; their results are waited for."""

    operation: str
    session: str
    host: str
    """Empty if that session has left already."""
    process: int


Event = NodeStarted | NodeDone | NodeFailed | RoundDone | CodeChanged | WorkerLost | ResultDiffers | MadeElsewhere


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
    elsewhere: int = 0
    """Of the waiting, those that another session makes."""
    reasons: dict[str, int] = field(default_factory=dict)
    """Calls that were made in this session, by why: `first run`, `new inputs`, `changed code`."""
