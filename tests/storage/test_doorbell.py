"""A ring is heard by all others, also by who listens later, and by nobody who is gone."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator

import pytest

from holdfast.storage import doorbell
from holdfast.storage.doorbell import Doorbell

MakeBell = Callable[[], tuple[str, Doorbell]]


@pytest.fixture
def bell() -> Iterator[MakeBell]:
    """Make bells under names that nobody else has."""
    made: list[Doorbell] = []

    def make() -> tuple[str, Doorbell]:
        name = os.urandom(8).hex()
        made.append(Doorbell(name))
        return name, made[-1]

    yield make
    for opened in made:
        opened.close()


def test_a_ring_is_heard_by_all_others_also_if_they_listen_later(bell: MakeBell) -> None:
    (first, one), (second, two), (third, three) = bell(), bell(), bell()
    everybody = [first, second, third]
    one.ring(everybody)
    assert two.wait()
    assert three.wait()
    heard = threading.Event()
    threading.Thread(target=lambda: one.wait() and heard.set(), daemon=True).start()
    assert not heard.wait(0.2), "it heard itself"
    two.ring(everybody)
    assert heard.wait(10)


def test_who_listens_is_freed_when_its_bell_is_to_be_closed(bell: MakeBell) -> None:
    _, one = bell()
    ended = threading.Event()
    threading.Thread(target=lambda: one.wait() or ended.set(), daemon=True).start()
    one.stop()
    assert ended.wait(10)


def test_ringing_at_who_is_gone_or_never_was_does_nothing(bell: MakeBell) -> None:
    (_, one), (second, two) = bell(), bell()
    two.close()
    one.ring([second, "nobody", ""])
    child = os.fork()
    if child == 0:
        os._exit(0)
    os.waitpid(child, 0)
    one.ring([second])


def test_a_bell_that_nobody_hears_never_blocks_who_rings(bell: MakeBell) -> None:
    (_, one), (deaf, _) = bell(), bell()
    one.ring([deaf] * 10_000)


def test_without_names_waiting_ends_by_itself(bell: MakeBell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doorbell, "HAS_NAMES", False)
    monkeypatch.setattr(doorbell, "LOOK_SECONDS", 0.05)
    _, one = bell()
    assert one.wait()
    one.ring(["nobody"])
    one.stop()
    assert not one.wait()
