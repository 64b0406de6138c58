"""Kill the coordinator at random moments; nothing finished is lost, and nothing acknowledged runs twice."""

from __future__ import annotations

import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest

WORKLOAD = Path(__file__).with_name("workload.py")

KILLS = 2_000 if os.environ.get("HOLDFAST_CRASH") == "long" else 200

LATEST = 1.6
"""Seconds after which a run is killed at the latest; a run of the whole workload takes longer."""


@dataclass
class Trial:
    """One directory that is killed until it is finished."""

    place: Path
    engine: str
    kills: int = 0

    def __post_init__(self) -> None:
        self.place.mkdir()
        self.kept: set[str] = set()

    @property
    def ran(self) -> list[str]:
        path = self.place / "ran"
        return path.read_text().split() if path.exists() else []

    @property
    def acknowledged(self) -> list[str]:
        path = self.place / "acknowledged"
        return path.read_text().split() if path.exists() else []

    def run(self, seconds: float) -> bool:
        """Run and kill; return whether it had finished before."""
        before = len(self.ran)
        command = [
            sys.executable,
            str(WORKLOAD),
            *(str(self.place / name) for name in ("work", "ran", "acknowledged")),
            self.engine,
        ]
        process = subprocess.Popen(command, stderr=subprocess.PIPE, start_new_session=True)
        try:
            _, errors = process.communicate(timeout=seconds)
            assert process.returncode == 0, errors.decode()
        except subprocess.TimeoutExpired:
            os.kill(process.pid, signal.SIGKILL)
            process.communicate()
            self.kills += 1
        again = set(self.ran[before:]) & self.kept
        assert not again, f"ran again although committed: {sorted(again)[:5]}"
        self.kept = self.committed()
        return "finished" in self.acknowledged

    def committed(self) -> set[str]:
        """Return the values that operations had committed by now."""
        copy = self.place / "copy"
        shutil.rmtree(copy, ignore_errors=True)
        copy.mkdir()
        for path in (self.place / "work").glob("catalog.db*"):
            shutil.copy(path, copy)
        with closing(sqlite3.connect(copy / "catalog.db")) as connection:
            tables = connection.execute("SELECT name FROM sqlite_master WHERE name = 'calls'").fetchall()
            rows = connection.execute("SELECT text FROM calls WHERE text IS NOT NULL").fetchall() if tables else []
        return {text.decode() for (text,) in rows} & set(self.ran)

    def judge(self) -> None:
        """Compare what ran with what was acknowledged, at the end."""
        counts = Counter(self.ran)
        assert len(counts) == 1_100
        rounds = [int(line) for line in self.acknowledged if line.isdigit()]
        assert rounds == sorted(rounds), "a round was acknowledged after a later one"


@pytest.mark.crash
@pytest.mark.parametrize("engine", ["in_process", "processes"])
def test_nothing_finished_is_lost_or_repeated_however_often_it_is_killed(tmp_path: Path, engine: str) -> None:
    chance = random.Random(f"holdfast {engine}")
    kills = trials = 0
    while kills < KILLS // 2:
        trial = Trial(tmp_path / str(trials), engine)
        while not trial.run(chance.uniform(0.05, LATEST)):
            assert trial.kills < 500, "it makes no progress"
        trial.judge()
        kills += trial.kills
        trials += 1


@pytest.mark.crash
def test_workers_of_a_killed_coordinator_end_by_themselves(tmp_path: Path) -> None:
    trial = Trial(tmp_path / "0", "processes")
    command = [
        sys.executable,
        str(WORKLOAD),
        *(str(trial.place / name) for name in ("work", "ran", "acknowledged")),
        "processes",
    ]
    process = subprocess.Popen(command)
    while len(trial.ran) < 50:
        time.sleep(0.01)
        assert process.poll() is None
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    if not children.exists():
        pytest.skip("the kernel does not list children here")
    workers = [
        int(child)
        for thread in Path(f"/proc/{process.pid}/task").iterdir()
        for child in (thread / "children").read_text().split()
    ]
    assert workers
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    end = time.monotonic() + 5
    while any(is_running(worker) for worker in workers):
        assert time.monotonic() < end, "a worker outlived its coordinator"
        time.sleep(0.02)


def is_running(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
