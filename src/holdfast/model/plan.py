"""Say what a request would run, as a value that people and programs can read.

Pure. Never guesses: what depends on results that are not there yet is counted apart from what is certain.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class PlannedCalls:
    """What would be run of one operation, if it is not stopped."""

    operation: str
    calls: int
    """Calls that would be made for certain."""
    depending: int
    """Calls whose inputs are not known yet: they are made, unless these turn out to be what they were before."""
    reasons: Mapping[str, int]
    """How many of `calls` for which reason: `first run`, `code changed`, `new inputs`, `failed before`."""
    seconds_each: float | None
    """Mean time of the calls that were made here; None if there were none."""

    @property
    def seconds(self) -> float | None:
        """How long `calls` would take, one after the other."""
        return None if self.seconds_each is None else self.calls * self.seconds_each


@dataclass(frozen=True, slots=True)
class Plan:
    """What would run for a request."""

    operations: tuple[PlannedCalls, ...]
    """In the order in which they would start."""
    reused: int
    """Nodes and members of ensembles whose results are there; what lies behind them is not counted."""
    unknown: tuple[str, ...]
    """What can only be known while it runs, one sentence each; empty if the counts are exact."""

    @property
    def calls(self) -> int:
        """Calls that would be made for certain."""
        return sum(found.calls for found in self.operations)

    @property
    def depending(self) -> int:
        """Calls that are made, unless their inputs turn out to be what they were before."""
        return sum(found.depending for found in self.operations)

    @property
    def is_exact(self) -> bool:
        """Whether no more than `calls` would run."""
        return not self.depending and not self.unknown

    @property
    def seconds(self) -> float:
        """How long the certain calls of which times are known would take, one after the other."""
        return sum(found.seconds or 0.0 for found in self.operations)

    def to_json(self) -> dict[str, Any]:
        """Return plain dictionaries and lists, for `json.dumps`."""
        operations = [{**asdict(found), "reasons": dict(found.reasons)} for found in self.operations]
        sums = {"calls": self.calls, "depending": self.depending, "exact": self.is_exact, "seconds": self.seconds}
        return {**sums, "reused": self.reused, "operations": operations, "unknown": list(self.unknown)}

    def __str__(self) -> str:
        """Return it in lines, for people."""
        lines = [self._summary(), *map(_line, self.operations)]
        lines += [f"  not known before it runs: {sentence}" for sentence in self.unknown]
        lines.append(f"  reused: {self.reused}")
        return "\n".join(lines)

    def _summary(self) -> str:
        if not self.calls and self.is_exact:
            return "nothing would run"
        count = f"{'' if self.is_exact else 'at least '}{_counted(self.calls)} would be made"
        if self.depending:
            count += f", and {self.depending} more unless what they depend on turns out as it was before"
        if not self.calls:
            return count
        times = [found.seconds for found in self.operations if found.calls]
        if not any(times):
            return f"{count}; how long that takes is not known"
        least = "" if self.is_exact and None not in times else "at least "
        return f"{count}; {least}{_duration(self.seconds)} of work by the times of the past"


def _line(found: PlannedCalls) -> str:
    reasons = [f"{reason} {count}" for reason, count in found.reasons.items()]
    if found.depending:
        reasons.append(f"depending {found.depending}")
    each = "no times known" if found.seconds_each is None else f"{_duration(found.seconds_each)} each"
    return f"  {found.operation}: {_counted(found.calls + found.depending)} ({', '.join(reasons)}), {each}"


def _counted(calls: int) -> str:
    return f"{calls} call" if calls == 1 else f"{calls} calls"


def _duration(seconds: float) -> str:
    """Return a time as people write it.

    Examples
    --------
    >>> _duration(0.0123), _duration(75.0), _duration(7300.0)
    ('0.012 s', '1.2 min', '2.0 h')
    """
    if seconds < 60:
        return f"{seconds:.2g} s"
    return f"{seconds / 60:.1f} min" if seconds < 3600 else f"{seconds / 3600:.1f} h"
