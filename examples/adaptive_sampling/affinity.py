"""Keep one thread and those it starts on one processor core for a while.

The one trick of this example, alone in its file. OpenMM's CPU platform hands every force evaluation to a thread pool,
even if that pool has one thread. For 22 atoms the hand-over costs more than the forces: about 500 steps/s when the two
threads sit on two cores of which one is idle, 5000 steps/s when they share one (measured: 2 cores, OpenMM 8.6, OBC2).

Never changes what is computed. Does nothing where the operating system has no affinity (macOS).
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PROCESSOR_FIELD = 39
"""Number of the field `processor` in /proc/<pid>/stat, counted from 1. Source: Linux manual page proc_pid_stat(5)."""


@contextmanager
def one_core() -> Iterator[None]:
    """Bind the calling thread, and threads it starts meanwhile, to the core it is on; afterwards free it."""
    if sys.platform != "linux":
        yield
        return
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {_current_core()} & cores or cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, cores)


def _current_core() -> int:
    """Return the number of the core on which the calling thread runs."""
    text = Path("/proc/thread-self/stat").read_text()
    after_name = text.rpartition(")")[2].split()  # the name, field 2, may hold blanks
    return int(after_name[PROCESSOR_FIELD - 3])
