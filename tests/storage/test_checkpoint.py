"""The newest whole state wins, whoever wrote it and whatever was damaged, interrupted or thought lost."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

import holdfast as hf
from holdfast.errors import InvalidData, StoreFailure
from holdfast.model.content import encode
from holdfast.storage.checkpoint import (
    AFTER_REFUSAL,
    GENERATIONS,
    LONGEST,
    SHARE,
    SHORTEST,
    CheckpointFacility,
    CheckpointPublisher,
    StoredCheckpoint,
    remove_checkpoints,
)
from holdfast.storage.commit import GroupCommit
from holdfast.storage.rows import CallRow
from holdfast.storage.workdir import WorkDirectory, open_workdir
from holdfast.storage.writer import CatalogWriter

UID = "ab" * 32


def load(place: Any, uid: Any = UID) -> Any:
    found: list[Any] = []
    CheckpointFacility(place, uid).load(found.append)
    return found[0] if found else None


def states(workdir: WorkDirectory) -> list[Path]:
    return sorted(workdir.checkpoints.glob("*/*/*.state"))


# the facility


def test_a_facility_keeps_the_state_of_a_node_of_a_context(tmp_path: Path) -> None:
    node = hf.Integer64([1, 2])
    with hf.WorkerContext(tmp_path / "work") as context:
        CheckpointFacility(context, node).write({"step": 1, "x": numpy.arange(3)})
        assert load(context, node)["x"].tolist() == [0, 1, 2]
        assert load(context.working_directory, node.uid)["step"] == 1
        assert load(context, hf.Integer64([1, 3])) is None


def test_the_state_is_that_of_the_moment_when_it_was_written(workdir: WorkDirectory) -> None:
    array = numpy.zeros(3)
    CheckpointFacility(workdir.path, UID).write(array)
    array += 1
    assert load(workdir.path).tolist() == [0, 0, 0]


def test_only_the_last_few_generations_are_kept(workdir: WorkDirectory) -> None:
    facility = CheckpointFacility(workdir.path, UID)
    for step in range(10):
        facility.write(step)
    assert load(workdir.path) == 9
    assert len(states(workdir)) == GENERATIONS
    assert list(workdir.tmp.iterdir()) == []


def test_a_damaged_generation_is_skipped_with_a_warning_that_names_it(workdir: WorkDirectory) -> None:
    facility = CheckpointFacility(workdir.path, UID)
    facility.write({"step": 1})
    facility.write({"step": 2})
    newest = states(workdir)[-1]
    newest.write_bytes(newest.read_bytes()[:-1])
    with pytest.warns(RuntimeWarning, match=newest.name):
        assert load(workdir.path) == {"step": 1}


def test_a_link_in_the_place_of_a_generation_is_not_followed(workdir: WorkDirectory, tmp_path: Path) -> None:
    CheckpointFacility(workdir.path, UID).write(1)
    (kept,) = states(workdir)
    kept.rename(tmp_path / "elsewhere")
    kept.symlink_to(tmp_path / "elsewhere")
    with pytest.warns(RuntimeWarning):
        assert load(workdir.path) is None


def test_a_writer_that_was_thought_lost_hides_nothing(workdir: WorkDirectory) -> None:
    stale, taken_over = CheckpointFacility(workdir.path, UID), []
    stale.load(print)
    for step in range(5):
        stale.write({"step": step})
    newer = CheckpointFacility(workdir.path, UID)
    newer.load(taken_over.append)
    stale.write({"step": "of the past"})
    assert load(workdir.path) == taken_over[0] == {"step": 4}


def test_a_writer_that_had_not_written_when_it_was_thought_lost_hides_nothing(workdir: WorkDirectory) -> None:
    stale, newer = CheckpointFacility(workdir.path, UID), CheckpointFacility(workdir.path, UID)
    stale.load(print)
    newer.load(print)
    newer.write({"step": 7})
    stale.write({"step": 1})
    assert load(workdir.path) == {"step": 7}


def test_a_writer_whose_call_is_done_leaves_nothing_behind(workdir: WorkDirectory) -> None:
    late = CheckpointFacility(workdir.path, UID)
    late.write(1)
    commit = GroupCommit(workdir, on_failure=print)
    value = encode(42)
    commit.append([CallRow(bytes.fromhex(UID), value.digest, value.text)], [], lambda: None)
    commit.close()
    late.write(2)
    assert states(workdir) == []
    assert not (workdir.checkpoints / UID[:2] / UID).exists()


def test_what_a_kill_between_commit_and_removal_left_is_swept(workdir: WorkDirectory) -> None:
    value = encode(42)
    with CatalogWriter.open(workdir) as catalog:
        catalog.write([CallRow(bytes.fromhex(UID), value.digest, value.text)])
    other = "cd" * 32
    CheckpointFacility(workdir.path, UID).write(1)
    CheckpointFacility(workdir.path, other).write(2)
    (workdir.checkpoints / "notes").mkdir()
    GroupCommit(workdir, on_failure=print).close()
    assert load(workdir.path, other) == 2
    assert len(states(workdir)) == 1


def test_a_folder_that_cannot_be_written_is_told_and_what_is_there_is_loaded(workdir: WorkDirectory) -> None:
    CheckpointFacility(workdir.path, UID).write(1)
    workdir.tmp.rmdir()
    with pytest.raises(StoreFailure):
        CheckpointFacility(workdir.path, UID).write(2)
    assert load(workdir.path) == 1
    with pytest.warns(RuntimeWarning):
        assert load(workdir.path / "missing") is None


def test_a_name_that_is_no_uid_is_refused(workdir: WorkDirectory) -> None:
    with pytest.raises(InvalidData):
        CheckpointFacility(workdir.path, "../../etc")


# the publisher


class Memory:
    """A store that is no file: states in a list."""

    def __init__(self) -> None:
        self.kept: list[Any] = []
        self.refuses = False
        self.clock = 0.0
        self.takes = 0.0

    def write(self, state: Any) -> None:
        if self.refuses:
            raise StoreFailure("full")
        self.clock += self.takes
        self.kept.append(state)

    def load(self, receiver: Callable[[Any], object]) -> bool:
        receiver(self.kept[-1])
        return True


def run(memory: Memory, seconds: float, tick: float) -> CheckpointPublisher:
    publisher = CheckpointPublisher(memory, clock=lambda: memory.clock)
    while memory.clock < seconds:
        publisher.publish(memory.clock)
        memory.clock += tick
    return publisher


@pytest.mark.parametrize("takes", [0.0001, 0.02, 1.0])
def test_writing_takes_a_hundredth_of_the_time(takes: float) -> None:
    memory = Memory()
    memory.takes = takes
    run(memory, 5_000.0, 0.05)
    assert 1 <= len(memory.kept) <= 5_000 * SHARE / takes + 1


def test_a_kill_costs_about_a_hundredth_of_what_was_done_and_never_more_than_ten_minutes() -> None:
    memory = Memory()
    run(memory, 200_000.0, 1.0)
    for earlier, later in zip(memory.kept, memory.kept[1:], strict=False):
        assert later - earlier <= min(LONGEST, max(SHORTEST, SHARE * earlier)) + 2.0
    assert 200_000 - memory.kept[-1] <= LONGEST + 2.0


def test_a_state_that_takes_long_to_write_is_written_nevertheless() -> None:
    memory = Memory()
    memory.takes = 30.0
    run(memory, 10_000.0, 1.0)
    assert len(memory.kept) >= 10_000 // (LONGEST + 35)


def test_one_slow_write_does_not_put_off_the_next() -> None:
    memory = Memory()
    memory.takes = 0.001
    publisher = run(memory, 5.0, 0.01)
    memory.takes = 10.0
    publisher.flush()
    publisher.publish("again")
    memory.takes = 0.001
    publisher.flush()
    memory.clock += 1.0
    publisher.publish("soon")
    assert memory.kept[-1] == "soon"


def test_flush_writes_the_last_state_once() -> None:
    memory = Memory()
    publisher = CheckpointPublisher(memory, clock=lambda: memory.clock)
    publisher.flush()
    publisher.publish(1)
    publisher.publish(2)
    assert memory.kept == []
    publisher.flush()
    publisher.flush()
    assert memory.kept == [2]


def test_a_disk_that_refuses_is_warned_of_and_tried_again_later() -> None:
    memory = Memory()
    publisher = CheckpointPublisher(memory, clock=lambda: memory.clock)
    publisher.publish(1)
    memory.refuses = True
    memory.clock += 1.0
    with pytest.warns(RuntimeWarning, match="not written"):
        publisher.publish(2)
    with pytest.raises(StoreFailure):
        publisher.flush()
    memory.refuses = False
    memory.clock += 1.0
    publisher.publish(3)
    assert memory.kept == []
    memory.clock += AFTER_REFUSAL
    publisher.publish(4)
    assert memory.kept == [4]


def test_a_state_that_cannot_be_stored_is_refused_at_the_first_write(workdir: WorkDirectory) -> None:
    checkpoint = StoredCheckpoint(CheckpointFacility(workdir.path, UID))
    with pytest.raises(hf.UnsupportedValue):
        checkpoint.write({"model": object()})


def test_without_a_place_nothing_is_kept() -> None:
    checkpoint = StoredCheckpoint(None)
    checkpoint.write({"model": object()})
    checkpoint.flush()
    assert checkpoint.load() is None


# generations against a simple model


class Generations(RuleBasedStateMachine):
    """Writers come, write, are taken over and write on; files are damaged. Compared with a list."""

    def __init__(self) -> None:
        super().__init__()
        self.place = tempfile.TemporaryDirectory()
        self.workdir = open_workdir(Path(self.place.name))
        self.good: list[int] = []
        self.count = 0
        self.current = CheckpointFacility(self.workdir.path, UID)
        self.stale: list[CheckpointFacility] = []
        self.check()

    def teardown(self) -> None:
        self.place.cleanup()

    def check(self) -> None:
        found: list[int] = []
        self.current.load(found.append)
        assert found == self.good[-1:]

    @rule()
    def write(self) -> None:
        self.count += 1
        self.current.write(self.count)
        self.good = [*self.good, self.count]
        kept = {int(path.read_bytes().rpartition(b"\n")[2]) for path in states(self.workdir) if path.stat().st_size}
        self.good = [state for state in self.good if state in kept]

    @rule()
    def take_over(self) -> None:
        self.stale.append(self.current)
        self.current = CheckpointFacility(self.workdir.path, UID)
        self.check()

    @precondition(lambda self: self.stale)
    @rule(data=st.data())
    def write_although_thought_lost(self, data: st.DataObject) -> None:
        data.draw(st.sampled_from(self.stale)).write(-1)

    @precondition(lambda self: self.good)
    @rule()
    def lose_the_bytes_of_the_newest(self) -> None:
        for path in states(self.workdir):
            if path.read_bytes().endswith(b"\n%d" % self.good[-1]):
                path.write_bytes(b"")
        self.good.pop()

    @invariant()
    def no_more_than_a_few_are_there(self) -> None:
        assert len(states(self.workdir)) <= GENERATIONS
        assert list(self.workdir.tmp.iterdir()) == []


Generations.TestCase.settings = settings(max_examples=25, stateful_step_count=20, deadline=None, database=None)


@pytest.mark.filterwarnings("ignore:A checkpoint is damaged")
class TestGenerations(Generations.TestCase):  # type: ignore[misc]
    """The machine as a test."""


# kill at every step of a write

WRITE = """
import os, signal, sys
from holdfast.storage.checkpoint import CheckpointFacility

steps = 0

def count(frame, event, called):
    global steps
    if event == "c_call" and frame.f_globals.get("__name__", "").startswith("holdfast.storage"):
        steps += 1
        if steps == int(sys.argv[2]):
            os.kill(os.getpid(), signal.SIGKILL)

facility = CheckpointFacility(sys.argv[1], "ab" * 32)
facility.load(lambda state: None)
sys.setprofile(count)
facility.write({"step": 2, "text": "x" * 100_000})
sys.setprofile(None)
print(steps)
"""


def test_a_kill_at_any_step_of_a_write_leaves_the_old_state_or_the_new(tmp_path: Path) -> None:
    def write(name: str, step: int) -> tuple[int, WorkDirectory]:
        workdir = open_workdir(tmp_path / name)
        for old in range(GENERATIONS):
            CheckpointFacility(workdir.path, UID).write({"step": 1, "old": old})
        ended = subprocess.run(
            [sys.executable, "-c", WRITE, str(workdir.path), str(step)], capture_output=True, text=True
        )
        return int(ended.stdout or -1), workdir

    steps, workdir = write("whole", 0)
    assert load(workdir.path)["step"] == 2
    assert steps > 20
    seen = []
    for step in range(1, steps + 1):
        done, workdir = write(str(step), step)
        assert done == -1
        seen.append(load(workdir.path)["step"])
        CheckpointFacility(workdir.path, UID).write({"step": 3})
        assert load(workdir.path) == {"step": 3}
    assert seen == sorted(seen)
    assert {1, 2} == set(seen)


def test_the_name_of_a_state_says_nothing_of_its_contents(workdir: WorkDirectory) -> None:
    """The same bytes twice are two generations: nothing is left out because it looks the same."""
    facility = CheckpointFacility(workdir.path, sha256(b"call").hexdigest())
    facility.write({"step": 1})
    facility.write({"step": 1})
    assert len(states(workdir)) == 2


def test_states_that_cannot_be_looked_for_do_not_keep_results_from_being_acknowledged(tmp_path: Path) -> None:
    workdir = open_workdir(tmp_path / "work")
    workdir.checkpoints.write_bytes(b"")
    remove_checkpoints(workdir, [bytes(32)])
