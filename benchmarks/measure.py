"""Measure in turn: A, B, A, B …, each in a process of its own and, when cold, in a directory of its own.

What is compared is always compared within one round, so that a machine that slows down slows both.
"""

from __future__ import annotations

import compileall
import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path

LIMIT = 1800.0
"""Seconds after which a process is given up."""

ROOT = Path(__file__).parents[1]


@dataclass(frozen=True, slots=True)
class Step:
    """One process: a workload of a contestant, or any command, timed as a whole."""

    label: str
    """How results name it."""
    contestant: str = ""
    workload: str = ""
    size: int = 0
    keep: str = ""
    """Steps of one round with the same word share a directory; empty for one of its own."""
    command: tuple[str, ...] = ()
    """Arguments of the interpreter, instead of a workload; ``{work}`` stands for the directory."""


@dataclass(slots=True)
class Sample:
    """What the rounds of one step gave."""

    step: Step
    rounds: list[dict[str, float]] = field(default_factory=list)

    def all(self, name: str) -> list[float]:
        """Return one figure of every round."""
        return [measured[name] for measured in self.rounds]

    def median(self, name: str) -> float:
        """Return the median of one figure."""
        return statistics.median(self.all(name))


def compile_ours() -> None:
    """Compile what an installer compiles of the others, so that no process does so while it is measured."""
    for folder in ("src", "benchmarks"):
        compileall.compile_dir(ROOT / folder, quiet=2)


def is_available(step: Step) -> bool:
    """Return whether the package of a step's contestant is installed: its name is the first word of the contestant's."""
    return not step.contestant or find_spec(step.contestant.partition("_")[0]) is not None


def run_rounds(steps: Sequence[Step], rounds: int, scratch: str) -> dict[str, Sample]:
    """Run all steps in order, so many times, and return the samples by label."""
    samples = {step.label: Sample(step) for step in steps}
    for _ in range(rounds):
        with tempfile.TemporaryDirectory(dir=scratch) as place:
            for step in steps:
                work = Path(place) / (step.keep or f"own-{step.label.replace('/', '-').replace(' ', '-')}")
                work.mkdir(exist_ok=True)
                samples[step.label].rounds.append(run_step(step, work))
                if not step.keep:
                    shutil.rmtree(work)
    return samples


def run_step(step: Step, work: Path) -> dict[str, float]:
    """Run one step and return its figures: ``whole`` is the time of the whole process, in seconds."""
    if step.command:
        arguments = [word.replace("{work}", str(work)) for word in step.command]
    else:
        arguments = ["-m", "benchmarks.one", step.contestant, step.workload, str(step.size), str(work)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "src")])}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    os.sync()
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    ended = subprocess.run(
        [sys.executable, *arguments], capture_output=True, text=True, timeout=LIMIT, env=environment, check=False
    )
    whole = time.perf_counter() - started
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if ended.returncode:
        raise RuntimeError(f"{step.label} failed:\n{ended.stderr[-2000:]}")
    measured = {} if step.command else json.loads(ended.stdout.splitlines()[-1])
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {**measured, "whole": whole, "whole cpu": cpu, "written": written(work)}


def written(work: Path) -> float:
    """Return how many bytes a directory holds."""
    return float(sum(path.stat().st_size for path in work.rglob("*") if path.is_file()))
