"""Several sessions on one directory, killed at random: each call starts once unless its owner died, and has one result."""

from __future__ import annotations

import os
import random
import runpy
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from holdfast.storage.verify import verify

CROWD = Path(__file__).with_name("crowd.py")

TRIALS = 1_000 if os.environ.get("HOLDFAST_CRASH") == "long" else 20

CALLS: int = runpy.run_path(str(CROWD))["CALLS"]


class Nursery:
    """Starts sessions quickly, as forks of a process that has imported everything."""

    def __init__(self) -> None:
        command = [sys.executable, str(CROWD)]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def ask(self, *words: object) -> int:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        print(*words, file=self.process.stdin, flush=True)
        return int(self.process.stdout.readline())


@pytest.fixture
def nursery() -> Iterator[Nursery]:
    opened = Nursery()
    yield opened
    opened.process.kill()
    opened.process.communicate()


def starts(place: Path) -> list[tuple[str, int]]:
    path = place / "ran"
    lines = path.read_text().splitlines() if path.exists() else []
    return [(line.split()[0], int(line.split()[1])) for line in lines]


def judge(place: Path, killed: set[int]) -> None:
    by_living = Counter(call for call, process in starts(place) if process not in killed)
    distinct = len({call for call, _ in starts(place)})
    # One that is killed may have run ahead of what was durable: what it made of a result that is made again is another call.
    assert distinct >= CALLS if killed else distinct == CALLS
    assert max(by_living.values()) == 1, f"started twice by living sessions: {by_living.most_common(3)}"
    for call, process in starts(place):
        if process in killed:
            continue
        after = starts(place)[starts(place).index((call, process)) + 1 :]
        assert call not in {again for again, _ in after}, f"{call} was started again although its owner lives"
    assert not (place / "differs").exists(), (place / "differs").read_text()
    assert len({path.read_text() for path in place.glob("got.*[0-9]")}) == 1, "sessions got different results"
    assert verify(place / "work").findings == []


@pytest.mark.crash
def test_each_call_starts_once_unless_its_owner_died_and_all_sessions_get_the_same(
    tmp_path: Path, nursery: Nursery
) -> None:
    chance = random.Random("crowd")
    for trial in range(TRIALS):
        place = tmp_path / str(trial)
        place.mkdir()
        engine = chance.choice(["in_process", "threads"])
        sessions = [nursery.ask(place, engine) for _ in range(4)]
        killed: set[int] = set()
        for _ in range(chance.randrange(4)):
            time.sleep(chance.uniform(0.0, 0.3))
            victim = sessions.pop(chance.randrange(len(sessions)))
            os.kill(victim, signal.SIGKILL)
            killed.add(victim)
            nursery.ask("wait", victim)
            if chance.random() < 0.5:
                sessions.append(nursery.ask(place, engine))
        assert [nursery.ask("wait", session) for session in sessions] == [0] * len(sessions), f"trial {trial}"
        judge(place, killed)
        before = starts(place)
        assert nursery.ask("wait", nursery.ask(place, engine)) == 0
        assert starts(place) == before
        assert os.listdir(place / "work" / "sessions") == []
        judge(place, killed)
