"""Compute, be killed, reopen, two at once, damage and repair, in any order: a directory behaves like a dictionary."""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

import agreeing
import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule, run_state_machine_as_test

from holdfast.storage.repair import repair
from holdfast.storage.verify import verify

IS_LONG = os.environ.get("HOLDFAST_CRASH") == "long"
MACHINES, STEPS = (2_000, 50) if IS_LONG else (40, 50)

NUMBERS = st.lists(st.integers(0, 11), min_size=1, max_size=4, unique=True)
MEMORY = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None


class Computing:
    """The process that starts those that compute."""

    def __init__(self) -> None:
        command = [sys.executable, agreeing.__file__]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def ask(self, *commands: tuple[str, list[int], int]) -> list[Any]:
        """Return what processes that run at once answer."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps(commands) + "\n")
        self.process.stdin.flush()
        return list(json.loads(self.process.stdout.readline()))


class Machine(RuleBasedStateMachine):
    """A directory, and what is known of it: how often each number had been called when it was told to be durable."""

    computing: Computing

    def __init__(self) -> None:
        super().__init__()
        self.place = Path(tempfile.mkdtemp(prefix="holdfast-", dir=MEMORY))
        self.work = self.place / "work"
        self.durable: dict[int, int] = {}

    def ask(self, *commands: tuple[list[int], int]) -> list[Any]:
        answers = self.computing.ask(*((str(self.work), numbers, microseconds) for numbers, microseconds in commands))
        called = Counter(agreeing.noted(self.work, ".ran"))
        for number, times in self.durable.items():
            assert called[number] == times, f"{number} was called again, although it was durable"
        for number in agreeing.noted(self.work, ".told"):
            self.durable.setdefault(number, called[number])
        for (numbers, _), answer in zip(commands, answers, strict=True):
            if isinstance(answer, list):
                expected = [[number, number, agreeing.length_of(number)] for number in numbers]
                assert answer == expected
        return answers

    @rule(numbers=NUMBERS)
    def compute(self, numbers: list[int]) -> None:
        (answer,) = self.ask((numbers, 0))
        assert isinstance(answer, list), answer
        assert set(numbers) <= self.durable.keys()

    @rule(numbers=NUMBERS, microseconds=st.integers(1, 40_000))
    def be_killed(self, numbers: list[int], microseconds: int) -> None:
        self.ask((numbers, microseconds))

    @rule(numbers=NUMBERS, others=NUMBERS, microseconds=st.sampled_from([0, 0, 5_000, 20_000]))
    def compute_two_at_once(self, numbers: list[int], others: list[int], microseconds: int) -> None:
        one, other = self.ask((numbers, 0), (others, microseconds))
        assert isinstance(one, list) or one == "OwnershipError", one
        assert isinstance(other, list) or other == "OwnershipError" or (other is None and microseconds), other
        assert isinstance(one, list) or isinstance(other, list) or microseconds

    @rule(seed=st.integers(0, 2**32))
    def damage_a_store_and_repair(self, seed: int) -> None:
        chance = random.Random(seed)  # which stores there are depends on when a process was killed
        files = sorted(self.work.glob("nodes/*/*/*"))
        if files:
            file = chance.choice(files)
            file.write_bytes(file.read_bytes()[: chance.randrange(file.stat().st_size)])
            named = {finding.node for finding in repair(self.work).findings}
            lost = {number for number in self.durable if agreeing.node_of(self.work, number).uid in named}
            assert len(lost) <= 1, f"{lost} were taken out for {file}"
            self.durable = {number: times for number, times in self.durable.items() if number not in lost}
            told = [number for number in agreeing.noted(self.work, ".told") if number not in lost]
            self.work.with_suffix(".told").write_text("".join(f"{number}\n" for number in told))

    @rule()
    def look(self) -> None:
        if (self.work / "holdfast.json").exists():
            assert verify(self.work).findings == []

    def teardown(self) -> None:
        shutil.rmtree(self.place)


@pytest.mark.crash
def test_a_directory_behaves_like_a_dictionary() -> None:
    Machine.computing = Computing()
    try:
        run_state_machine_as_test(  # type: ignore[no-untyped-call]
            Machine,
            settings=settings(
                max_examples=MACHINES, stateful_step_count=STEPS, deadline=None, derandomize=True, database=None,
                phases=[Phase.generate], suppress_health_check=list(HealthCheck),
            ),
        )  # fmt: skip
    finally:
        Machine.computing.process.kill()
        Machine.computing.process.communicate()
