from __future__ import annotations

import errno
import threading
from collections.abc import Callable
from functools import partial

import pytest

from holdfast.storage.parallel import AT_ONCE, in_parallel


def test_all_are_done_and_as_many_at_once_as_may_be() -> None:
    meeting = threading.Barrier(AT_ONCE, timeout=20)
    in_parallel([lambda: meeting.wait() and None] * AT_ONCE)
    assert not meeting.broken


def test_one_that_fails_is_told_and_the_others_are_tried() -> None:
    done: list[int] = []

    def refuse() -> None:
        raise OSError(errno.EIO, "lost")

    actions: list[Callable[[], None]] = [partial(done.append, number) for number in range(20)]
    with pytest.raises(OSError, match="lost"):
        in_parallel([*actions[:10], refuse, *actions[10:]])
    assert sorted(done) == list(range(20))


def test_a_single_action_needs_no_thread() -> None:
    names: list[str] = []
    in_parallel([])
    in_parallel([lambda: names.append(threading.current_thread().name)])
    assert names == [threading.current_thread().name]
