"""Say what every engine can do.

An engine runs jobs somewhere and reports each exactly once. It never sees a graph, the catalog or the meaning of a result.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from holdfast.errors import GraphError
from holdfast.plugins import load_engine
from holdfast.runtime.job import Job, Report

if TYPE_CHECKING:
    from concurrent.futures import Executor


class Engine(Protocol):
    """A place where jobs run.

    Notes
    -----
    For implementers: `submit` never raises because a worker died; it reports `Lost` instead. `report` may be called from any
    thread, and from within `submit` by an engine that runs jobs in the calling thread.
    """

    name: str
    """What the user calls it."""
    slots: int
    """How many jobs run at the same time."""
    is_inline: bool
    """Whether `submit` itself runs the job, in the calling thread."""
    shares_memory: bool
    """Whether jobs run in the coordinating process, so that arrays need not travel."""

    def submit(self, job: Job, report: Callable[[Report], None]) -> None:
        """Start `job`, or queue it; call `report` exactly once when all its calls have an outcome."""

    def cancel(self, ticket: int) -> bool:
        """Stop the job if that is possible, and report its calls as `Lost`; return whether it was."""

    def close(self) -> None:
        """Stop taking jobs, end all workers, and return within seconds."""


def available_cores() -> int:
    """Return how many cores this process may use, which may be fewer than the machine has."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def make_engine(engine: str | Executor | Engine, workers: int | None) -> Engine:
    """Return the engine that was named, or that wraps an executor of the user's.

    Raises
    ------
    NotFound, MissingExtra, GraphError
        There is none of that name, a package for it is missing, or it is something else.
    """
    if isinstance(engine, str):
        kind = load_engine(engine)
        made: Engine = kind() if engine == "in_process" else kind(workers=workers)
        return made
    if hasattr(engine, "slots"):
        return engine  # type: ignore[return-value]
    if not hasattr(engine, "submit"):
        raise GraphError(
            f"{engine!r} is no engine. Use 'in_process', 'threads', 'processes', or a concurrent.futures.Executor."
        )
    wrapped: Engine = load_engine("executor")(engine, slots=workers)
    return wrapped
