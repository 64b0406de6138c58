from __future__ import annotations

import errno
import threading
from collections.abc import Callable
from functools import partial

import pytest

from holdfast.storage.flush import AT_ONCE, flush_together


def test_all_are_flushed_and_those_that_can_wait_do_so_together() -> None:
    meeting = threading.Barrier(AT_ONCE, timeout=20)
    flush_together([lambda: meeting.wait() and None] * AT_ONCE)
    assert not meeting.broken


def test_one_that_fails_is_told_and_the_others_are_tried() -> None:
    flushed: list[int] = []

    def refuse() -> None:
        raise OSError(errno.EIO, "lost")

    flushes: list[Callable[[], None]] = [partial(flushed.append, number) for number in range(20)]
    with pytest.raises(OSError, match="lost"):
        flush_together([*flushes[:10], refuse, *flushes[10:]])
    assert sorted(flushed) == list(range(20))


def test_nothing_to_flush_needs_no_thread() -> None:
    names: list[str] = []
    flush_together([])
    flush_together([lambda: names.append(threading.current_thread().name)])
    assert names == [threading.current_thread().name]
