"""Of two sessions that claim a call one gets it."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable, Iterator

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from holdfast.storage.claims import Claims
from holdfast.storage.confine import make_folder
from holdfast.storage.workdir import WorkDirectory, open_workdir

Start = Callable[..., "subprocess.Popen[str]"]

KEYS = [bytes([number]) * 32 for number in range(6)]

TAKE_ALL = """
import sys
from holdfast.storage.claims import Claims
from holdfast.storage.workdir import open_workdir
workdir, name = open_workdir(sys.argv[1]), sys.argv[2]
claims = Claims(workdir, name)
claims.share([])
got = 0
for number in range(300):
    keys = [bytes([number % 256, number // 256, part]) + bytes(29) for part in range(5)]
    got += 5 - len(claims.take(keys))
print(got, flush=True)
"""


@pytest.fixture
def opened(workdir: WorkDirectory) -> Iterator[Callable[[str], Claims]]:
    make_folder(workdir.sessions)
    made: list[Claims] = []

    def open_claims(session: str) -> Claims:
        made.append(Claims(workdir, session))
        return made[-1]

    yield open_claims
    for claims in made:
        claims.close()


def test_what_was_under_way_before_sharing_cannot_be_had(opened: Callable[[str], Claims]) -> None:
    first, second = opened("first"), opened("second")
    first.share(KEYS[:2])
    assert second.sharing() == {"first"}
    assert second.take(KEYS[:3]) == {KEYS[0]: "first", KEYS[1]: "first"}
    assert first.take(KEYS) == {KEYS[2]: "second"}


def test_a_claim_of_ones_own_can_be_had_again_and_one_of_others_not_released(opened: Callable[[str], Claims]) -> None:
    first, second = opened("first"), opened("second")
    assert first.take(KEYS[:2]) == {}
    assert first.take(KEYS[:2]) == {}
    second.release(KEYS)
    assert second.holders(KEYS) == {KEYS[0]: "first", KEYS[1]: "first"}
    first.release(KEYS[:1])
    assert second.take(KEYS[:2]) == {KEYS[1]: "first"}


def test_who_is_dropped_has_nothing_and_shares_nothing(opened: Callable[[str], Claims]) -> None:
    first, second = opened("first"), opened("second")
    first.share(KEYS)
    second.share([])
    second.drop("first")
    assert second.sharing() == {"second"}
    assert second.take(KEYS) == {}


def test_of_processes_that_claim_at_once_each_call_goes_to_one(workdir: WorkDirectory, start: Start) -> None:
    make_folder(workdir.sessions)
    programs = [start(TAKE_ALL, workdir.path, f"session{number}") for number in range(3)]
    assert sum(int(program.communicate(timeout=60)[0]) for program in programs) == 300 * 5


def test_a_process_that_is_killed_while_it_claims_leaves_no_half_of_it(workdir: WorkDirectory, start: Start) -> None:
    make_folder(workdir.sessions)
    claims = Claims(workdir, "mine")
    for number in range(5):
        program = start(TAKE_ALL, workdir.path, f"dead{number}")
        while f"dead{number}" not in claims.sharing():
            assert program.poll() is None
        os.kill(program.pid, signal.SIGKILL)
        program.wait()
        keys = [bytes([n % 256, n // 256, part]) + bytes(29) for n in range(300) for part in range(5)]
        assert len([key for key, held in claims.holders(keys).items() if held == f"dead{number}"]) % 5 == 0
        claims.drop(f"dead{number}")
        assert claims.holders(keys) == {}
    claims.close()


class Agreement(RuleBasedStateMachine):
    """Claims of two sessions against a dictionary."""

    def __init__(self) -> None:
        super().__init__()
        import tempfile
        from pathlib import Path

        self.place = tempfile.TemporaryDirectory()
        workdir = open_workdir(Path(self.place.name) / "work")
        make_folder(workdir.sessions)
        self.sessions = {name: Claims(workdir, name) for name in ("a", "b")}
        self.model: dict[bytes, str] = {}

    keys = st.lists(st.sampled_from(KEYS), unique=True, max_size=4)
    names = st.sampled_from(["a", "b"])

    @rule(name=names, keys=keys)
    def take(self, name: str, keys: list[bytes]) -> None:
        expected = {key: self.model[key] for key in keys if self.model.get(key, name) != name}
        assert self.sessions[name].take(keys) == expected
        self.model.update({key: name for key in keys if key not in expected})

    @rule(name=names, keys=keys)
    def release(self, name: str, keys: list[bytes]) -> None:
        self.sessions[name].release(keys)
        self.model = {key: held for key, held in self.model.items() if key not in keys or held != name}

    @rule(name=names, other=names)
    def drop(self, name: str, other: str) -> None:
        self.sessions[name].drop(other)
        self.model = {key: held for key, held in self.model.items() if held != other}

    @invariant()
    def agrees(self) -> None:
        assert self.sessions["a"].holders(KEYS) == self.model

    def teardown(self) -> None:
        for claims in self.sessions.values():
            claims.close()
        self.place.cleanup()


TestAgreement = Agreement.TestCase
TestAgreement.settings = settings(max_examples=20, stateful_step_count=20, deadline=None)
