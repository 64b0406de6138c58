"""Ray on two cores: keeps nothing. Its start is apart."""

from __future__ import annotations

import os
from typing import Any

os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")

import ray

from benchmarks import tasks

Notes = dict[str, float]


def prepare() -> None:
    """Start Ray on this machine."""
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="error")


def tasks_in_process(n: int, work: str, notes: Notes) -> Any:
    """Run `n` remote tasks."""
    remote = ray.remote(tasks.add_one)
    return sum(ray.get([remote.remote(x) for x in range(n)]))


def chain(n: int, work: str, notes: Notes) -> Any:
    """Run a chain of remote tasks."""
    remote = ray.remote(tasks.add_one)
    value: Any = 0
    for _ in range(n):
        value = remote.remote(value)
    return ray.get(value)
