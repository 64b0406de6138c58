"""Do several things at once that wait for the disk, or hash long files: in threads, since neither holds Python's lock meanwhile.

Keeps no threads, and no state.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

AT_ONCE = 8
"""Threads; more would wait for the same disk."""


def in_parallel(actions: Sequence[Callable[[], None]]) -> None:
    """Return when all actions are done; a single one is done here.

    Raises
    ------
    Exception
        What the first of them raised that failed; the others have been tried.
    """
    if len(actions) == 1:
        actions[0]()
    elif actions:
        from concurrent.futures import ThreadPoolExecutor  # late: most sessions write small results only

        with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="holdfast-parallel") as threads:
            for done in [threads.submit(action) for action in actions]:
                done.result()
