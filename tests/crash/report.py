"""Count the points of a run of trials, and keep what was wrong at them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Report:
    """What trials found."""

    points: Counter[str] = field(default_factory=Counter)
    """How many there were, by kind."""
    missed: int = 0
    """Points that the program did not reach, and that prove nothing; they are not among the others."""
    violations: list[str] = field(default_factory=list)

    def count(self, kind: str) -> None:
        """Count a point."""
        self.points[kind] += 1

    def note(self, where: str, found: Iterable[str]) -> None:
        """Keep what was found there."""
        self.violations += [f"{where}: {what}" for what in found]

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON would have it."""
        return {"points": self.points, "missed": self.missed, "violations": self.violations}


def share(count: int, place: int, places: int) -> int:
    """Return how many of `count` points belong to one of so many places, so that all have alike."""
    return count * (place + 1) // places - count * place // places
