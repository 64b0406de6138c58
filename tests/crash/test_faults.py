"""Kill at system calls, have them fail, cut the power, turn the clock: nothing acknowledged is lost, and the same again finishes."""

from __future__ import annotations

import json
import os
import platform
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

SCRIPT = Path(__file__).with_name("run_trials.py")

IS_LONG = os.environ.get("HOLDFAST_CRASH") == "long"
KILLS = 10_000 if IS_LONG else 500
REFUSALS = 6_000 if IS_LONG else 300
CUTS = 20_000 if IS_LONG else 1_000
TURNS = 200 if IS_LONG else 20
AT_ONCE = 2

pytestmark = [
    pytest.mark.crash,
    pytest.mark.skipif(
        (sys.platform, platform.machine()) != ("linux", "x86_64"), reason="system calls are traced on Linux x86-64 only"
    ),
]


def run_trials(kind: str, points: int) -> Counter[str]:
    """Run trials in several processes, fail if they found anything wrong, and return how many of each kind there were."""
    command = [sys.executable, str(SCRIPT), kind, str(points // AT_ONCE)]
    processes = [
        subprocess.Popen([*command, str(seed)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for seed in range(AT_ONCE)
    ]
    counted: Counter[str] = Counter()
    violations: list[str] = []
    for process in processes:
        output, errors = process.communicate()
        assert process.returncode == 0, errors
        report = json.loads(output)
        counted.update(report["points"])
        violations += report["violations"]
    assert not violations, "\n".join([f"{len(violations)} violations", *violations[:10]])
    assert counted.total() == points
    return counted


def test_a_kill_at_any_system_call_loses_and_repeats_nothing() -> None:
    counted = run_trials("kill", KILLS)
    assert {"write", "pwrite64", "fsync", "rename", "mkdir", "unlink"} <= set(counted)


def test_a_call_that_fails_gives_an_error_that_says_so_and_the_same_again_finishes() -> None:
    counted = run_trials("refuse", REFUSALS)
    assert set(counted) == {"ENOSPC", "EDQUOT", "EIO", "ESTALE", "EINTR", "ENOLCK", "EMFILE"}


def test_a_power_cut_at_any_moment_loses_nothing_that_was_acknowledged_and_tears_nothing() -> None:
    counted = run_trials("cut", CUTS)
    levels = {(level, system) for level in ("power", "process") for system in ("strict", "ordered")}
    assert levels <= {tuple(kind.split(", ")[:2]) for kind in counted}
    assert any(kind.endswith("a flush failed") for kind in counted)


@pytest.mark.skipif(shutil.which("cc") is None, reason="turning the clock needs a C compiler: install gcc")
def test_a_wall_clock_that_is_turned_changes_no_decision() -> None:
    run_trials("turn", TURNS)
