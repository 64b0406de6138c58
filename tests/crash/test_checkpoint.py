"""Kill one long operation at random times, on one engine after the other: it goes on, and loses little."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from pathlib import Path

import pytest

WORKLOAD = Path(__file__).with_name("checkpointed.py")

LONG = os.environ.get("HOLDFAST_CRASH") == "long"
STEPS, SECONDS, KILLS = (1_000_000, 0.0002, 20) if LONG else (200_000, 0.00008, 3)

LIMIT = 1.1
"""Times the steps that it needs."""

NOTED = 100
"""Steps for each byte that the workload writes."""

ENGINES = ("in_process", "processes", "threads")


@pytest.mark.crash
def test_an_operation_killed_at_random_times_computes_little_more_than_it_has_to(
    tmp_path: Path, quick_path: Path
) -> None:
    place = tmp_path if LONG else quick_path  # how often it pays to write depends on what the disk takes for it
    chance = random.Random("holdfast checkpoint")
    work, counted = place / "work", place / "counted"
    for kill in range(KILLS + 1):
        engine = ENGINES[kill % len(ENGINES)]
        command = [sys.executable, str(WORKLOAD), str(work), str(counted), str(STEPS), str(SECONDS), engine]
        process = subprocess.Popen(command, stderr=subprocess.PIPE)
        try:
            wait = chance.uniform(0.5, 1.5) * STEPS * SECONDS / (KILLS + 1) + 0.3 if kill < KILLS else 600.0
            _, errors = process.communicate(timeout=wait)
            assert kill == KILLS, "it was finished before all kills"
            assert process.returncode == 0, errors.decode()
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
    computed = counted.stat().st_size * NOTED
    assert STEPS <= computed <= LIMIT * STEPS
    assert not list(work.glob("checkpoints/*/*/*"))
