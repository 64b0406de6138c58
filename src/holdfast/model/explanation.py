"""Say why a node ran, was reused, waits or failed, as a value that people and programs can read. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

Outcome = Literal["ran", "reused", "waits", "running", "failed", "cancelled", "not asked for"]

Cause = Literal[
    "first run",
    "code",
    "version",
    "package",
    "input",
    "operation",
    "failed before",
    "same call",
    "accepted",
    "missing",
    "failure",
]
"""What made the difference; `missing` is an input that is not computed yet, `same call` a result that was there already."""


@dataclass(frozen=True, slots=True)
class Reason:
    """One reason."""

    cause: Cause
    text: str
    """One sentence."""
    operation: str
    """Of the node where it lies: the explained one, or one upstream."""
    node: str
    """Its uid."""
    upstream: bool = False
    """Whether it lies in a node that the explained one depends on, and not in that itself."""
    path: str = ""
    """The input with the element in it, or the part of the code."""
    old: str | None = None
    new: str | None = None
    place: str = ""
    """File and line of the code that changed."""
    diff: str = ""
    """What changed in its source, as a unified diff."""


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why a node is where it is."""

    uid: str
    operation: str
    outcome: Outcome
    reasons: tuple[Reason, ...]
    """The node's own first; then those upstream, the nearest first."""
    compared_with: str = ""
    """Uid of the nearest earlier node; empty if there is none."""
    session: str = ""
    """Where it ran or was reused; empty if it did not."""
    at: str = ""
    """When that session began."""

    @property
    def first_changed(self) -> str:
        """Uid of the node furthest upstream that is itself not what it was; empty if none is."""
        changed = [
            reason.node
            for reason in self.reasons
            if reason.cause in ("code", "version", "package", "input", "operation")
        ]
        return changed[-1] if changed else ""

    def to_json(self) -> dict[str, Any]:
        """Return plain dictionaries and lists, for `json.dumps`."""
        return {
            **asdict(self),
            "reasons": [asdict(reason) for reason in self.reasons],
            "first_changed": self.first_changed,
        }

    def __str__(self) -> str:
        """Return it in lines, for people."""
        where = f" in session {self.session}, which began at {self.at}" if self.session else ""
        lines = [f"{self.operation} {self.uid[:12]} {_OUTCOMES[self.outcome]}{where}"]
        for reason in self.reasons:
            lines += reason_lines(reason)
        if self.compared_with:
            lines.append(f"  compared with {self.compared_with[:12]}, the nearest earlier node of this operation")
        return "\n".join(lines)


_OUTCOMES: dict[str, str] = {
    "ran": "ran",
    "reused": "was reused",
    "waits": "waits",
    "running": "is running",
    "failed": "failed",
    "cancelled": "was cancelled",
    "not asked for": "has no result, and nobody has asked for it",
}


def reason_lines(reason: Reason) -> Sequence[str]:
    """Return a reason in lines, for people."""
    where = f"upstream, {reason.operation} {reason.node[:12]}: " if reason.upstream else ""
    return [f"  - {where}{reason.text}", *(f"      {line}" for line in reason.diff.splitlines())]
