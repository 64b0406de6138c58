"""`holdfast accept`, as a user types it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

STUDY = """
import holdfast as hf

def helper(x):
    return x * x

@hf.operation
def square(x: float) -> float:
    return helper(x)

@hf.operation
def add(x: float, y: float) -> float:
    return helper(x) + y

final = add(square(3.0), 1.0)
"""


def holdfast(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "holdfast.cli.main", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, cwd=folder)


@pytest.fixture
def changed(tmp_path: Path) -> Path:
    """A script that has run, and whose helper was written in other words since."""
    (tmp_path / "study.py").write_text(STUDY)
    assert holdfast(tmp_path, "run", "study.py:final", "--engine", "in_process").returncode == 0
    (tmp_path / "study.py").write_text(STUDY.replace("x * x", "x ** 2"))
    return tmp_path


def calls(folder: Path) -> int:
    return int(json.loads(holdfast(folder, "run", "study.py:final", "--dry", "--json").stdout)["calls"])


def test_a_dry_look_shows_the_change_and_what_would_stand_and_writes_nothing(changed: Path) -> None:
    told = holdfast(changed, "accept", "study.py", "--dry")
    assert (told.returncode, told.stderr) == (0, "")
    assert told.stdout.count("-    return x * x\n") == 2  # of two operations
    assert "at least 1 call would be made" in told.stdout
    assert "If that were accepted: nothing would run" in told.stdout
    assert calls(changed) == 1


def test_one_operation_or_all_that_changed_are_accepted_and_taken_back(changed: Path) -> None:
    assert holdfast(changed, "accept", "study.py:square", "--why", "the same power").returncode == 0
    assert calls(changed) == 1  # the other one
    told = holdfast(changed, "accept", "study.py", "--why", "the same power")
    assert "study.add: code" in told.stdout
    assert "study.square: code" not in told.stdout
    assert calls(changed) == 0
    assert "study.add: withdrawn" in holdfast(changed, "accept", "study.py:add", "--withdraw").stdout
    assert calls(changed) == 1


def test_json_tells_the_same(changed: Path) -> None:
    (told,) = json.loads(holdfast(changed, "accept", "study.py:add", "--why", "because", "--json").stdout)
    assert (told["operation"], told["why"], told["changes"][0]["cause"]) == ("study.add", "because", "code")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["study.py:square"], "Say why the change does not matter"),
        (["study.py:final", "--why", "x"], "no operation 'final'. Operations in it: square, add"),
        (["other.py", "--why", "x"], "There is no file 'other.py'"),
        (["study.py:square", "--withdraw"], "No acceptance of study.square holds here"),
    ],
)
def test_what_cannot_be_accepted_is_told_in_one_sentence(changed: Path, arguments: list[str], message: str) -> None:
    told = holdfast(changed, "accept", *arguments)
    assert (told.returncode, told.stdout) == (1, "")
    assert message in told.stderr
    assert "Traceback" not in told.stderr
