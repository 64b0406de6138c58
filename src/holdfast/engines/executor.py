"""Run jobs in an executor of the user's: a pool of `concurrent.futures`, Dask's `Client.get_executor()`, or any other.

Whatever goes wrong between here and the far side is `Lost`, with the reason. Never shuts the executor down; its owner
does. The working directory is taken to be on a file system that the far side shares, and holdfast to be installed
there.

State: the jobs that are under way.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from concurrent.futures import CancelledError, Executor, Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from holdfast.runtime.engine import available_cores
from holdfast.runtime.job import Job, Report
from holdfast.runtime.worker import lost, run_job


def run_remotely(job: Job, path: tuple[str, ...]) -> Report:
    """Make the calls of `job` where this is called, and import modules also from where the coordinator does.

    Parameters
    ----------
    job : Job
    path : tuple of str
        The coordinator's `sys.path`; entries that are missing here are added at the end.
    """
    known = set(sys.path)
    sys.path += [entry for entry in path if entry not in known]
    return run_job(job, interruptible=True)


@dataclass(eq=False, slots=True)
class _Task:
    job: Job
    report: Callable[[Report], None]
    future: Future[Report] | None = None


class ExecutorEngine:
    """Runs jobs in an executor.

    Parameters
    ----------
    executor : concurrent.futures.Executor
        Stays the user's: closing the engine leaves it running.
    slots : int, optional
        How many jobs it runs at the same time; asked from the executor if not given.
    """

    name = "executor"
    is_inline = False

    def __init__(self, executor: Executor, slots: int | None = None) -> None:
        self.slots = slots or _count_slots(executor)
        self.shares_memory = isinstance(executor, ThreadPoolExecutor)
        self._executor = executor
        self._lock = threading.Lock()
        self._tasks: dict[int, _Task] = {}
        self._is_closed = False

    def submit(self, job: Job, report: Callable[[Report], None]) -> None:
        """Hand the job to the executor."""
        task = _Task(job, report)
        with self._lock:
            is_refused = self._is_closed
            if not is_refused:
                self._tasks[job.ticket] = task
        if is_refused:
            report(lost(job, "the engine was closed"))
            return
        path = tuple(entry for entry in sys.path if isinstance(entry, str))
        try:
            task.future = self._executor.submit(run_remotely, job, path)
        except Exception as error:
            self._settle(task, lost(job, f"the executor takes no jobs: {_describe(error)}"))
            return
        task.future.add_done_callback(lambda future: self._settle(task, _outcome(job, future)))

    def cancel(self, ticket: int) -> bool:
        """Take the job back if the executor has not begun it."""
        with self._lock:
            task = self._tasks.get(ticket)
        return task is not None and task.future is not None and task.future.cancel()

    def close(self) -> None:
        """Take back what the executor has not begun, and report what is under way as lost; the executor goes on."""
        with self._lock:
            self._is_closed = True
            tasks = list(self._tasks.values())
        for task in tasks:
            if task.future is not None:
                task.future.cancel()
            self._settle(task, lost(task.job, "the engine was closed"))

    def _settle(self, task: _Task, report: Report) -> None:
        with self._lock:
            is_first = self._tasks.pop(task.job.ticket, None) is not None
        if is_first:
            task.report(report)


def _outcome(job: Job, future: Future[Report]) -> Report:
    try:
        return future.result()
    except CancelledError:
        return lost(job, "it was cancelled")
    except BaseException as error:
        return lost(job, f"the executor lost it: {_describe(error)}")


def _describe(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"


def _count_slots(executor: Any) -> int:
    """Return how many jobs the executor runs at the same time, as far as that can be told from here."""
    found = getattr(executor, "_max_workers", None)
    if isinstance(found, int):
        return found
    client = getattr(executor, "_client", None)  # as in distributed.cfexecutor.ClientExecutor
    if client is not None and hasattr(client, "ncores"):
        return sum(client.ncores().values()) or available_cores()
    return available_cores()
