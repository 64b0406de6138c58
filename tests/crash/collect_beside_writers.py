"""Collect again and again while four processes come, write and go, some of them killed. Usage: collect_beside_writers.py ROUNDS SEED.

In each round every writer asks for results, of which it names the last, and checks that nothing of what its session made is made twice:
a collection removes nothing that a live session uses. What was acknowledged under its name must be there afterwards, and nothing damaged.
Prints a report as JSON.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from report import Report
from tracing import fork
from trials import Trials, import_all, printed, start, wait

import holdfast as hf
from holdfast.errors import OwnershipError
from holdfast.storage.collect import collect
from holdfast.storage.verify import verify

WRITERS = 4
LATEST = 0.4
"""Seconds after which one of the writers is killed at the latest."""

PATIENCE = 30.0
"""Seconds that a process waits for the directory."""


@hf.operation
def part(writer: int, number: int, member: int) -> np.ndarray:
    return np.arange(20_000) + writer + number + member


@hf.operation
def combine(parts: Any) -> float:
    return float(np.sum(parts))


def target(writer: int, number: int) -> Any:
    """Return what a writer is asked for in a round."""
    return combine(hf.map(lambda member: part(writer, number, member), [1, 2]))


def expected(writer: int, number: int) -> float:
    return float(2 * np.arange(20_000).sum() + 20_000 * (2 * writer + 2 * number + 3))


def patiently(act: Callable[[], int]) -> int:
    """Act as soon as the directory can be had."""
    limit = time.monotonic() + PATIENCE
    while True:
        try:
            return act()
        except OwnershipError:
            if time.monotonic() > limit:
                raise
            time.sleep(0.01)


def write(trial: Path, writer: int, number: int) -> int:
    """Make results in a session, name the last, and note that it was acknowledged."""

    def act() -> int:
        with hf.Session(trial / "work") as session:
            node = target(writer, number)
            session.result(part(writer, number, 1))
            session.result(part(writer, -number, 1))  # nobody will need this
            (trial / f"done-{writer}").unlink(missing_ok=True)  # the name stands for another node now
            session.name_target(f"writer {writer}", node)
            assert session.result(node) == expected(writer, number)
            assert session.counts.done <= 4, (
                f"made twice: {session.counts}"
            )  # two parts, what nobody needs, and the sum
        (trial / f"done-{writer}").write_text(str(number))
        return 0

    return patiently(act)


def collect_until(trial: Path) -> int:
    """Collect until a file says that the writers are done."""
    while not (trial / "stop").exists():
        patiently(lambda: collect_once(trial))
    return 0


def collect_once(trial: Path) -> int:
    """Collect."""
    collect(trial / "work", apply=True)
    return 0


def judge(trial: Path) -> int:
    """Print what is wrong: with the directory, and with what was acknowledged."""
    found = [str(finding) for finding in verify(trial / "work").findings]
    with hf.Session(trial / "work") as session:
        for writer in range(WRITERS):
            done = trial / f"done-{writer}"
            if done.exists():
                number = int(done.read_text())
                if session.result(target(writer, number)) != expected(writer, number):
                    found.append(f"writer {writer} has another value")
        if session.counts.done:
            found.append(f"{session.counts.done} results ran again although they were acknowledged by name")
    print("\n".join(found))
    return 1 if found else 0


def run_round(trial: Path, number: int, chance: random.Random, report: Report) -> None:
    """Start all, kill one of them in every other round, and judge when they have ended."""
    (trial / "stop").unlink(missing_ok=True)
    collector = fork(start(trial, lambda: collect_until(trial)))
    writers = [fork(start(trial, lambda writer=writer: write(trial, writer, number))) for writer in range(WRITERS)]  # type: ignore[misc]
    victim = chance.choice([None, collector, *writers])
    if victim is not None:
        time.sleep(chance.uniform(0.0, LATEST))
        os.kill(victim, signal.SIGKILL)
    statuses = {pid: os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in writers}
    (trial / "stop").touch()
    statuses[collector] = os.waitstatus_to_exitcode(os.waitpid(collector, 0)[1])
    for pid, status in statuses.items():
        if status and not (pid == victim and status == -signal.SIGKILL):
            report.note(f"round {number}", [f"a process ended with {status}: {printed(trial)}"])
    report.count("killed" if victim is not None and statuses[victim] else "whole")
    if wait(start(trial, lambda: judge(trial))):
        report.note(f"round {number}", [printed(trial)])


def run(trials: Trials, rounds: int, seed: int) -> Report:
    """Go on with one directory for so many rounds."""
    report, chance = Report(), random.Random(seed)
    with trials.begin() as trial:
        if wait(start(trial, lambda: write(trial, 0, 1))):
            raise RuntimeError(f"the directory cannot be begun: {printed(trial)}")
        for number in range(2, rounds + 2):
            run_round(trial, number, chance, report)
        if wait(start(trial, lambda: collect_once(trial))):
            report.note("the last collection", [printed(trial)])
        stores = sum(1 for _ in (trial / "work" / "nodes").glob("*/*"))
        if stores > 4 * WRITERS:  # two parts each, and where another store holds an equal array, that one too
            report.note("in the end", [f"{stores} stores are left"])
    return report


if __name__ == "__main__":
    trials = Trials()
    try:
        import_all(trials)
        print(json.dumps(run(trials, int(sys.argv[1]), int(sys.argv[2])).to_json()))
    finally:
        trials.close()
