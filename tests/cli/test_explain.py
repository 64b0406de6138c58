"""`holdfast explain`, as a user types it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

STUDY = """
import holdfast as hf

def helper(x):
    return x * x

@hf.operation
def square(x: float) -> float:
    return helper(x)

final = square(3.0)
"""


def holdfast(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "holdfast.cli.main", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, cwd=folder)


def run(folder: Path, text: str) -> None:
    (folder / "study.py").write_text(text)
    assert holdfast(folder, "run", "study.py:final", "--engine", "in_process").returncode == 0


def test_explain_shows_the_function_that_changed_and_how(tmp_path: Path) -> None:
    run(tmp_path, STUDY)
    run(tmp_path, STUDY.replace("x * x", "x ** 2"))
    for name in ("study.py:final", "final"):
        told = holdfast(tmp_path, "explain", name)
        assert (told.returncode, told.stderr) == (0, "")
        assert "its code changed: study.helper" in told.stdout or "its code changed: .helper" in told.stdout
        assert "-    return x * x\n" in told.stdout
        assert "+    return x ** 2\n" in told.stdout


def test_explain_gives_json_and_takes_the_beginning_of_a_uid(tmp_path: Path) -> None:
    run(tmp_path, STUDY)
    told = json.loads(holdfast(tmp_path, "explain", "final", "--json").stdout)
    assert (told["outcome"], told["reasons"][0]["cause"]) == ("ran", "first run")
    assert told["uid"][:12] in holdfast(tmp_path, "explain", told["uid"][:8]).stdout


def test_explain_says_what_there_is_if_it_finds_nothing(tmp_path: Path) -> None:
    run(tmp_path, STUDY)
    told = holdfast(tmp_path, "explain", "finale")
    assert (told.returncode, told.stdout) == (1, "")
    assert "Targets: study.py:final" in told.stderr
    assert "Traceback" not in told.stderr
