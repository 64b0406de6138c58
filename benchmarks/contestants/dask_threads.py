"""Dask's threaded scheduler on delayed functions: keeps nothing."""

from __future__ import annotations

from typing import Any

import dask

from benchmarks import tasks

Notes = dict[str, float]


def prepare() -> None:
    """Start nothing."""


def tasks_in_process(n: int, work: str, notes: Notes) -> Any:
    """Compute `n` delayed calls."""
    return sum(dask.compute(*[dask.delayed(tasks.add_one)(x) for x in range(n)], scheduler="threads"))


def chain(n: int, work: str, notes: Notes) -> Any:
    """Compute a chain of delayed calls."""
    value: Any = 0
    for _ in range(n):
        value = dask.delayed(tasks.add_one)(value)
    return value.compute(scheduler="threads")


def tree(leaves: int, work: str, notes: Notes) -> Any:
    """Sum numbers pair by pair."""
    level = [dask.delayed(tasks.add_one)(x) for x in range(leaves)]
    while len(level) > 1:
        level = [dask.delayed(tasks.add)(left, right) for left, right in zip(level[::2], level[1::2], strict=True)]
    return level[0].compute(scheduler="threads")
