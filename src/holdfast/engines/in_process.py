"""Run jobs in the calling thread, one after the other: for debugging, and where nothing is gained by waiting.

Ctrl-C reaches the user's function and leaves `submit` as a KeyboardInterrupt; that job is not reported.
"""

from __future__ import annotations

from collections.abc import Callable

from holdfast.runtime.job import Job, Report
from holdfast.runtime.worker import lost, run_job


class InProcessEngine:
    """Runs each job within `submit`."""

    name = "in_process"
    slots = 1
    is_inline = True
    shares_memory = True

    def __init__(self) -> None:
        self._is_closed = False

    def submit(self, job: Job, report: Callable[[Report], None]) -> None:
        """Run the job here and now, and report it.

        Raises
        ------
        KeyboardInterrupt
            The user pressed Ctrl-C meanwhile; nothing was reported.
        """
        report(lost(job, "the engine was closed") if self._is_closed else run_job(job, interruptible=True))

    def cancel(self, ticket: int) -> bool:
        """Return False: whoever could ask waits for the job."""
        return False

    def close(self) -> None:
        """Report further jobs as lost."""
        self._is_closed = True
