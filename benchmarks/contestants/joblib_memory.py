"""joblib.Memory: one pickle and one directory per result, nothing flushed."""

from __future__ import annotations

from typing import Any

import joblib

from benchmarks import tasks

Notes = dict[str, float]


def prepare() -> None:
    """Start nothing."""


def tasks_in_process(n: int, work: str, notes: Notes) -> Any:
    """Call a cached function `n` times."""
    cached = joblib.Memory(work, verbose=0).cache(tasks.add_one)
    return sum(cached(x) for x in range(n))


nodes = tasks_in_process


def chain(n: int, work: str, notes: Notes) -> Any:
    """Call a cached function on what it returned before."""
    cached = joblib.Memory(work, verbose=0).cache(tasks.add_one)
    value = 0
    for _ in range(n):
        value = cached(value)
    return value


def tree(leaves: int, work: str, notes: Notes) -> Any:
    """Sum numbers pair by pair."""
    memory = joblib.Memory(work, verbose=0)
    leaf, add = memory.cache(tasks.add_one), memory.cache(tasks.add)
    level = [leaf(x) for x in range(leaves)]
    while len(level) > 1:
        level = [add(left, right) for left, right in zip(level[::2], level[1::2], strict=True)]
    return level[0]


def arrays(count: int, work: str, notes: Notes) -> Any:
    """Make arrays of 32 MiB and transform each; mapped when read again."""
    memory = joblib.Memory(work, verbose=0, mmap_mode="r")
    make, double = memory.cache(tasks.make_array), memory.cache(tasks.double_array, ignore=[])
    return sum(float(double(make(i, 32))[::65536].sum()) for i in range(count))


def first_result(n: int, work: str, notes: Notes) -> Any:
    """Compute one task."""
    return joblib.Memory(work, verbose=0).cache(tasks.add_one)(n)
