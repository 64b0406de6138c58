"""Parsl on threads, with its checkpoints at every task's end and without its log, which costs it a factor of seven to eleven."""

from __future__ import annotations

import glob
import os
from typing import Any

import parsl
from parsl.config import Config
from parsl.dataflow.memoization import BasicMemoizer
from parsl.executors.threads import ThreadPoolExecutor

from benchmarks import tasks

Notes = dict[str, float]


def prepare() -> None:
    """Start nothing: the kernel needs the directory of the measurement."""


def _load(work: str) -> None:
    runs = os.path.join(work, "runinfo")
    config = Config(
        executors=[ThreadPoolExecutor(max_threads=2)],
        run_dir=runs,
        memoizer=BasicMemoizer(
            checkpoint_mode="task_exit", checkpoint_files=glob.glob(os.path.join(runs, "*", "checkpoint"))
        ),
        initialize_logging=False,
        usage_tracking=0,
    )
    parsl.load(config)


def tasks_in_process(n: int, work: str, notes: Notes) -> Any:
    """Run `n` cached apps."""
    _load(work)
    app = parsl.python_app(tasks.add_one, cache=True)
    with parsl.dfk():
        return sum(future.result() for future in [app(x) for x in range(n)])


def chain(n: int, work: str, notes: Notes) -> Any:
    """Run a chain of cached apps."""
    _load(work)
    app = parsl.python_app(tasks.add_one, cache=True)
    value: Any = 0
    with parsl.dfk():
        for _ in range(n):
            value = app(value)
        return value.result()


def tree(leaves: int, work: str, notes: Notes) -> Any:
    """Sum numbers pair by pair."""
    _load(work)
    leaf, add = parsl.python_app(tasks.add_one, cache=True), parsl.python_app(tasks.add, cache=True)
    with parsl.dfk():
        level: list[Any] = [leaf(x) for x in range(leaves)]
        while len(level) > 1:
            level = [add(left, right) for left, right in zip(level[::2], level[1::2], strict=True)]
        return level[0].result()
