"""What a goal is: a ratio within one run, and the functions that take it from the samples. Measures nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from benchmarks.measure import Sample, Step

Samples = Mapping[str, Sample]

Measure = Callable[[Samples, int], float]
"""Takes the samples and the number of a round, returns the figure of that round."""

NUMPY = Step("import numpy", command=("-c", "import numpy"))
HOLDFAST = "holdfast_session"


@dataclass(frozen=True, slots=True)
class Goal:
    """One comparison."""

    text: str
    wanted: float
    measure: Measure
    at_least: bool = True
    """Whether the figure must be at least, or at most, what is wanted."""
    unit: str = "×"


@dataclass(frozen=True, slots=True)
class Workload:
    """Steps that are measured in turn, and the goals that compare them."""

    name: str
    title: str
    steps: tuple[Step, ...]
    goals: tuple[Goal, ...]
    rounds: int = 3


def rate(samples: Samples, label: str, number: int, share: float = 1.0) -> float:
    """Return tasks per second of one round."""
    sample = samples[label]
    return share * sample.step.size / sample.rounds[number]["seconds"]


def faster(label: str, other: str, share: float = 1.0) -> Measure:
    """Return the ratio of two rates."""
    return lambda samples, number: rate(samples, label, number, share) / rate(samples, other, number)


def longer(label: str, other: str, figure: str = "whole") -> Measure:
    """Return the ratio of two times."""
    return lambda samples, number: samples[label].rounds[number][figure] / samples[other].rounds[number][figure]


def per_item(label: str, figure: str) -> Measure:
    """Return a figure for each task."""
    return lambda samples, number: samples[label].rounds[number][figure] / samples[label].step.size


def plain(label: str, figure: str, factor: float = 1.0) -> Measure:
    """Return a figure as it is."""
    return lambda samples, number: factor * samples[label].rounds[number][figure]


def at_most(text: str, wanted: float, measure: Measure, unit: str = "×") -> Goal:
    """Return the goal that a figure is not above what is wanted."""
    return Goal(text, wanted, measure, at_least=False, unit=unit)


def ours(label: str, workload: str, size: int, keep: str = "") -> Step:
    """Return a step of holdfast."""
    return Step(label, HOLDFAST, workload, size, keep)
