"""joblib.Parallel on two processes: keeps nothing."""

from __future__ import annotations

from typing import Any

import joblib

from benchmarks import tasks

Notes = dict[str, float]


def prepare() -> None:
    """Start nothing."""


def tasks_on_processes(n: int, work: str, notes: Notes) -> Any:
    """Call a function `n` times on two processes."""
    return sum(joblib.Parallel(n_jobs=2)(joblib.delayed(tasks.add_one)(x) for x in range(n)))
