"""Several sessions work on one directory: each call is made once, and nobody waits for the dead."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import holdfast as hf
from holdfast.errors import OperationFailed, OwnershipError
from holdfast.model.lifecycle import NodeState
from holdfast.runtime import sharing
from holdfast.runtime.events import Event, MadeElsewhere
from holdfast.storage import doorbell
from holdfast.storage.ownership import unlock
from holdfast.storage.workdir import open_workdir

OPERATIONS = '''
import os, time
from pathlib import Path
import holdfast as hf

def leave(place, line):
    with open(Path(place) / "ran", "a") as stream:
        stream.write(f"{line} {os.getpid()}\\n")

@hf.operation(name="share.patient", version="1")
def patient(place, x):
    """Returns something else each time that it is made; waits for a sign."""
    leave(place, f"patient-{x}")
    while not (Path(place) / "go").exists():
        time.sleep(0.01)
    if (Path(place) / "fail").exists():
        raise ValueError("told to fail")
    return f"{x} by {os.getpid()}"

@hf.operation(name="share.step", version="1")
def step(place, x):
    leave(place, f"step-{x}")
    time.sleep(0.01)
    return x + 1

@hf.operation(name="share.below", version="1")
def below(x, limit):
    return x < limit

@hf.operation(name="share.add", version="1")
def add(place, left, right):
    leave(place, f"add-{left}-{right}")
    time.sleep(0.01)
    return left + right

@hf.operation(name="share.fan", version="1")
def fan(place, x):
    leave(place, f"fan-{x}")
    return [step(place, 100 * x + i) for i in range(20)]

def work_of(place):
    return {
        "patient": patient(place, 1),
        "map": hf.map(lambda x: step(place, x), range(60)),
        "loop": hf.while_loop(lambda x: below(x, 15), lambda x: step(place, x), -1000 + 1000),
        "tree": hf.reduce(lambda left, right: add(place, left, right), [2**i for i in range(16)]),
        "fan": fan(place, 5),
    }
'''

ASK = (
    OPERATIONS
    + """
import sys
place, what, engine = sys.argv[1:]
with hf.Session(Path(place) / "work", engine=engine) as session:
    print("in", flush=True)
    value = session.result(work_of(place)[what])
    print(value.tolist() if hasattr(value, "tolist") else value, flush=True)
"""
)

SCOPE: dict[str, Any] = {}
exec(OPERATIONS, SCOPE)

Ask = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def ask(tmp_path: Path) -> Iterator[Ask]:
    """Start a session in another process, which asks for something, and return when it is in."""
    started: list[subprocess.Popen[str]] = []

    def begin(what: str, engine: str = "in_process") -> subprocess.Popen[str]:
        command = [sys.executable, "-c", ASK, str(tmp_path), what, engine]
        program = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        started.append(program)
        assert program.stdout is not None
        assert program.stdout.readline() == "in\n"
        return program

    yield begin
    for program in started:
        program.kill()
        program.communicate()


def work_of(place: Path, what: str) -> Any:
    return SCOPE["work_of"](str(place))[what]


def ran(place: Path) -> list[str]:
    path = place / "ran"
    return path.read_text().splitlines() if path.exists() else []


def wait_until(holds: Callable[[], bool]) -> None:
    end = time.monotonic() + 30
    while not holds():
        assert time.monotonic() < end, "it never came to that"
        time.sleep(0.01)


def wait_for_call(place: Path, process: int) -> None:
    wait_until(lambda: f"patient-1 {process}" in ran(place))


@pytest.mark.parametrize(
    ("what", "calls", "engine"),
    [
        ("map", 60, "in_process"),
        ("map", 60, "threads"),
        ("loop", 15, "in_process"),
        ("tree", 15, "threads"),
        ("fan", 21, "in_process"),
    ],
)
def test_sessions_that_want_the_same_start_each_call_once_and_get_the_same(
    tmp_path: Path, ask: Ask, what: str, calls: int, engine: str
) -> None:
    others = [ask(what, engine) for _ in range(2)]
    with hf.Session(tmp_path / "work", engine=engine) as session:
        value = session.result(work_of(tmp_path, what))
    answers = [other.communicate(timeout=60) for other in others]
    mine = str(value.tolist() if hasattr(value, "tolist") else value)
    assert [answer for answer, _ in answers] == [f"{mine}\n"] * 2, answers
    started = [line.split()[0] for line in ran(tmp_path)]
    assert len(started) == calls
    assert len(set(started)) == calls


@pytest.mark.parametrize("engine", ["in_process", "threads"])
def test_who_is_deep_in_a_call_lets_others_in_and_what_it_makes_is_waited_for(
    tmp_path: Path, ask: Ask, engine: str
) -> None:
    other = ask("patient", engine)
    wait_for_call(tmp_path, other.pid)
    told: list[Event] = []
    with hf.Session(tmp_path / "work", engine="threads") as session:
        session.listen(told.append)
        assert session.result(work_of(tmp_path, "loop")) == 15
        node = work_of(tmp_path, "patient")
        future = session.publish(node)
        wait_until(lambda: session.status(node) is NodeState.WAITING)
        wait_until(lambda: session.counts.elsewhere == 1)
        (tmp_path / "go").touch()
        assert future.result(60) == f"1 by {other.pid}"
        assert (session.counts.reused, session.counts.elsewhere) == (1, 0)
        assert sum(session.counts.reasons.values()) == session.counts.done == 15 + 16
    (waited,) = [event for event in told if isinstance(event, MadeElsewhere)]
    assert (waited.operation, waited.process, waited.host) == ("share.patient", other.pid, os.uname().nodename)
    assert len([line for line in ran(tmp_path) if line.startswith("patient")]) == 1


def test_nobody_waits_for_the_dead(tmp_path: Path, ask: Ask) -> None:
    other = ask("patient")
    wait_for_call(tmp_path, other.pid)
    with hf.Session(tmp_path / "work", engine="threads") as session:
        node = work_of(tmp_path, "patient")
        future = session.publish(node)
        wait_until(lambda: session.counts.elsewhere == 1)
        other.kill()
        wait_for_call(tmp_path, os.getpid())
        (tmp_path / "go").touch()
        assert future.result(60) == f"1 by {os.getpid()}"
        assert session.counts.done == 1


def test_a_stopped_session_is_not_robbed_of_what_it_makes(tmp_path: Path, ask: Ask) -> None:
    other = ask("patient")
    wait_for_call(tmp_path, other.pid)
    with hf.Session(tmp_path / "work", engine="threads") as session:
        future = session.publish(work_of(tmp_path, "patient"))
        wait_until(lambda: session.counts.elsewhere == 1)
        os.kill(other.pid, signal.SIGSTOP)
        time.sleep(2.5)  # longer than it takes to follow a dead one
        assert not future.done()
        os.kill(other.pid, signal.SIGCONT)
        (tmp_path / "go").touch()
        assert future.result(60) == f"1 by {other.pid}"


def test_what_fails_elsewhere_is_tried_here(tmp_path: Path, ask: Ask) -> None:
    (tmp_path / "fail").touch()
    other = ask("patient")
    wait_for_call(tmp_path, other.pid)
    with hf.Session(tmp_path / "work", engine="threads") as session:
        future = session.publish(work_of(tmp_path, "patient"))
        wait_until(lambda: session.counts.elsewhere == 1)
        (tmp_path / "go").touch()
        with pytest.raises(OperationFailed, match="told to fail"):
            future.result(60)
    assert len(ran(tmp_path)) == 2


def test_a_late_writer_changes_nothing_after_it_was_followed(tmp_path: Path, ask: Ask) -> None:
    """It is stopped, taken for one of another machine that is dead, followed, and goes on."""
    late = ask("patient")
    wait_for_call(tmp_path, late.pid)
    os.kill(late.pid, signal.SIGSTOP)
    work = tmp_path / "work"
    (entry,) = (work / "sessions").glob("*.json")
    entry.write_text(json.dumps({**json.loads(entry.read_text()), "host": "elsewhere", "boot": "other"}))
    (work / "owner.lock").unlink()  # locks do not reach other machines
    with pytest.raises(OwnershipError, match=f"process {late.pid} on elsewhere.*holdfast unlock --work"):
        hf.Session(work)
    assert [owner.process for owner in unlock(open_workdir(work))] == [late.pid]
    (tmp_path / "go").touch()
    with hf.Session(work) as session:
        assert session.result(work_of(tmp_path, "patient")) == f"1 by {os.getpid()}"
        os.kill(late.pid, signal.SIGCONT)
        _, errors = late.communicate(timeout=60)
        assert late.returncode == 1
        assert "OwnershipError" in errors
        assert "Nothing more is written to it from here" in errors
    with hf.Session(work) as session:
        assert session.result(work_of(tmp_path, "patient")) == f"1 by {os.getpid()}"


def test_a_newcomer_is_told_who_does_not_answer(tmp_path: Path, ask: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    other = ask("patient")
    wait_for_call(tmp_path, other.pid)
    os.kill(other.pid, signal.SIGSTOP)
    monkeypatch.setattr(sharing, "ANSWER_SECONDS", 0.5)
    with pytest.raises(OwnershipError, match=f"process {other.pid} on .* does not answer") as refused:
        hf.Session(tmp_path / "work")
    assert refused.value.process == other.pid
    os.kill(other.pid, signal.SIGCONT)
    (tmp_path / "go").touch()
    monkeypatch.undo()
    with hf.Session(tmp_path / "work") as session:
        assert session.result(work_of(tmp_path, "patient")) == f"1 by {other.pid}"


def test_where_nobody_can_ring_sessions_look_now_and_then(
    tmp_path: Path, ask: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doorbell, "HAS_NAMES", False)
    with hf.Session(tmp_path / "work", engine="threads") as session:
        future = session.publish(work_of(tmp_path, "patient"))
        wait_for_call(tmp_path, os.getpid())
        other = ask("patient")  # comes in when this session has looked
        (tmp_path / "go").touch()
        assert future.result(60) == f"1 by {os.getpid()}"
        assert other.communicate(timeout=60)[0] == f"1 by {os.getpid()}\n"
    assert len(ran(tmp_path)) == 1


def test_alone_nothing_is_written_down(tmp_path: Path) -> None:
    with hf.Session(tmp_path / "work") as session:
        assert session.result(work_of(tmp_path, "loop")) == 15
        names = os.listdir(tmp_path / "work" / "sessions")
        assert names == [f"{session.id}.json"]
    assert os.listdir(tmp_path / "work" / "sessions") == []
