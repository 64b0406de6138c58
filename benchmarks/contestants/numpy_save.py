"""Plain NumPy: arrays written with `numpy.save` and flushed by hand; the floor for large data."""

from __future__ import annotations

import os
import time
from typing import Any

import numpy

from benchmarks import tasks

Notes = dict[str, float]


def prepare() -> None:
    """Start nothing."""


def arrays(count: int, work: str, notes: Notes) -> Any:
    """Make arrays of 32 MiB, transform each, and keep both; or map what is kept."""
    total = 0.0
    results = [_kept(os.path.join(work, f"{i}b.npy"), work, i) for i in range(count)]
    started = time.perf_counter()
    total = sum(float(array[::65536].sum()) for array in results)
    notes["touch seconds"] = time.perf_counter() - started
    return total


def _kept(path: str, work: str, index: int) -> Any:
    if not os.path.exists(path):
        made = tasks.make_array(index, 32)
        _save(os.path.join(work, f"{index}a.npy"), made)
        _save(path, tasks.double_array(made))
    return numpy.load(path, mmap_mode="r")


def _save(path: str, array: Any) -> None:
    with open(path, "wb") as stream:
        numpy.save(stream, array)
        stream.flush()
        os.fsync(stream.fileno())
