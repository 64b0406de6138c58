"""redun on threads, with its database on disk."""

from __future__ import annotations

import os
from typing import Any

import redun
from redun.config import Config

from benchmarks import tasks

Notes = dict[str, float]


@redun.task(namespace="benchmark")
def add_one(x: int) -> int:
    """Return the next number."""
    return tasks.add_one(x)


@redun.task(namespace="benchmark")
def every(n: int) -> list[int]:
    """Ask for all."""
    return [add_one(x) for x in range(n)]


def prepare() -> None:
    """Start nothing."""


def tasks_in_process(n: int, work: str, notes: Notes) -> Any:
    """Run `n` tasks."""
    place = "sqlite:///" + os.path.join(work, "redun.db")
    scheduler = redun.Scheduler(
        config=Config({"backend": {"db_uri": place}, "executors.default": {"type": "local", "max_workers": "2"}})
    )
    scheduler.load()
    return sum(scheduler.run(every(n)))
