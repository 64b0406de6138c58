"""Kill graphs at random moments; they end with the uids and results of a run that nobody disturbed, on every engine."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

SCRIPT = Path(__file__).with_name("scenarios.py")
SCENARIOS = ("toy_loop", "adaptive", "long_loop", "mandelbrot")
IS_LONG = os.environ.get("HOLDFAST_CRASH") == "long"
KILLS = 20 if IS_LONG else 3
KILLS_OF_DOCUMENTS = 20 if IS_LONG else 1
TRIALS = 60
"""Runs after which a scenario has to be finished, and killed often enough."""


def start(name: str, work: Path, engine: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, str(SCRIPT), name, str(work), engine]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def outcome(process: subprocess.Popen[bytes], seconds: float) -> dict[str, Any] | None:
    """Return what a run printed; None if it had to be killed after so many seconds."""
    try:
        output, errors = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        return None
    assert process.returncode == 0, errors.decode()
    printed: dict[str, Any] = json.loads(output)
    return printed


def undisturbed(name: str, work: Path) -> tuple[dict[str, Any], float]:
    """Return what a run printed that nobody killed, and how long it took."""
    begun = time.monotonic()
    printed = outcome(start(name, work, "in_process"), 120)
    assert printed is not None
    return printed, time.monotonic() - begun


def kill_until_finished(
    name: str, place: Path, engine: str, expected: dict[str, Any], seconds: float, wanted: int = KILLS
) -> None:
    """Run, kill and run again, in new directories as long as it has not been killed often enough."""
    chance = random.Random(f"{name} {engine}")
    kills = trials = 0
    while kills < wanted:
        trials += 1
        assert trials < TRIALS + wanted, "it ends before it can be killed"
        work = place / str(trials)
        while (printed := outcome(start(name, work, engine), chance.uniform(0.2 * seconds, 1.1 * seconds))) is None:
            kills += 1
            if kills >= wanted:
                printed = outcome(start(name, work, engine), 120)
                break
        assert printed == expected


@pytest.mark.crash
@pytest.mark.parametrize("engine", ["in_process", "processes"])
@pytest.mark.parametrize("name", SCENARIOS)
def test_a_killed_graph_ends_with_the_same_uids_and_results(tmp_path: Path, name: str, engine: str) -> None:
    expected, seconds = undisturbed(name, tmp_path / "undisturbed")
    kill_until_finished(name, tmp_path, engine, expected, seconds)


@pytest.mark.crash
@pytest.mark.parametrize("name", SCENARIOS)
def test_a_killed_document_ends_with_the_same_uids_and_results(tmp_path: Path, name: str) -> None:
    expected, seconds = undisturbed(name, tmp_path / "undisturbed")
    document = tmp_path / f"{name}.json"
    code = f"import holdfast as hf, scenarios; print(hf.WorkGraph(scenarios.SCENARIOS[{name!r}]()).to_json())"
    written = subprocess.run(
        [sys.executable, "-c", code], cwd=SCRIPT.parent, capture_output=True, text=True, check=True, timeout=60
    )
    document.write_text(written.stdout)
    for engine in ("in_process", "processes"):
        kill_until_finished(str(document), tmp_path / engine, engine, expected, seconds, KILLS_OF_DOCUMENTS)
