"""Run jobs in threads of this process: for functions that release the GIL, as NumPy and simulators do, or that wait.

A thread cannot be stopped from outside. On cancelling or closing, the calls of a running job that have not begun are
dropped; the one under way is waited for shortly, then given up as lost, and what it returns later is forgotten.

State: jobs that wait, jobs that run, and the threads.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from threading import Condition, Thread

from holdfast.runtime.engine import available_cores
from holdfast.runtime.job import Job, Report
from holdfast.runtime.worker import lost, run_job

CLOSING_SECONDS = 0.5
"""How long `close` waits for calls that are under way."""


@dataclass(eq=False, slots=True)
class _Task:
    """A job, and where its report goes."""

    job: Job
    report: Callable[[Report], None]
    is_stopped: bool = False

    def wants_stop(self) -> bool:
        return self.is_stopped


class ThreadsEngine:
    """Runs jobs in daemon threads, which start as they are needed.

    Parameters
    ----------
    workers : int, optional
        How many threads there may be; as many as cores are available if not given.
    """

    name = "threads"
    is_inline = False
    shares_memory = True

    def __init__(self, workers: int | None = None) -> None:
        self.slots = workers or available_cores()
        self._changed = Condition()
        self._waiting: deque[_Task] = deque()
        self._running: set[_Task] = set()
        self._threads = 0
        self._is_closed = False

    def submit(self, job: Job, report: Callable[[Report], None]) -> None:
        """Queue the job."""
        with self._changed:
            is_refused = self._is_closed
            if not is_refused:
                self._waiting.append(_Task(job, report))
                if len(self._running) + len(self._waiting) > self._threads < self.slots:
                    self._threads += 1
                    Thread(target=self._work, name=f"holdfast-{self._threads}", daemon=True).start()
                self._changed.notify()
        if is_refused:
            report(lost(job, "the engine was closed"))

    def cancel(self, ticket: int) -> bool:
        """Drop the job if it waits; let it end after the call under way if it runs, and return False."""
        with self._changed:
            for task in self._running:
                task.is_stopped = task.is_stopped or task.job.ticket == ticket
            dropped = next((task for task in self._waiting if task.job.ticket == ticket), None)
            if dropped is not None:
                self._waiting.remove(dropped)
        if dropped is not None:
            dropped.report(lost(dropped.job, "it was cancelled"))
        return dropped is not None

    def close(self) -> None:
        """Drop what waits, wait shortly for what runs, and report the rest as lost."""
        with self._changed:
            self._is_closed = True
            for task in self._running:
                task.is_stopped = True
            self._changed.notify_all()
            self._changed.wait_for(lambda: not self._running, CLOSING_SECONDS)
            given_up = [*self._running, *self._waiting]
            self._running.clear()
            self._waiting.clear()
        for task in given_up:
            task.report(lost(task.job, "the engine was closed"))

    def _work(self) -> None:
        while (task := self._next()) is not None:
            try:
                report = run_job(task.job, wants_stop=task.wants_stop)
            except BaseException as error:
                report = lost(task.job, f"the engine has failed: {error!r}")
            with self._changed:
                is_expected = task in self._running
                self._running.discard(task)
                if self._is_closed:
                    self._changed.notify_all()
            if is_expected:
                task.report(report)

    def _next(self) -> _Task | None:
        with self._changed:
            while not self._waiting and not self._is_closed:
                self._changed.wait()
            if self._is_closed:
                return None
            task = self._waiting.popleft()
            self._running.add(task)
            return task
