"""Turn the wall clock while a session or a command runs: it does what it does in a twin of the directory with a true clock.

The clock is turned at calls that change the directory, by seconds up to a year, forwards and back; `clock.c` does that for this process and
its forks. What ran, what was acknowledged and how it ended must be the same, and the directory must be judged well, by a clock
that is still wrong.
"""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from judging import lines
from report import Report, share
from situations import SITUATIONS, Prepared, Situation
from tracing import CHANGING, Call, Fate, run_traced
from trials import SECONDS, Trials, judge, printed, start, wait

YEAR = 366 * 24 * 3600
JUMPS = (1, 61, 3_601, 86_401, 30 * 86_400, YEAR)
"""Seconds."""

TURNS = 3
LATEST = 200
"""Calls after which the clock is turned the last time."""

_FILE = "HOLDFAST_CLOCK"


class Clock:
    """The clock of this process; loads itself by running the interpreter anew."""

    def __init__(self) -> None:
        if _FILE not in os.environ:
            self._load()
        self._file = Path(os.environ[_FILE])

    def set(self, seconds: int) -> None:
        """Have it be wrong by so many seconds."""
        with open(self._file, "r+b") as stream:
            stream.write(seconds.to_bytes(8, sys.byteorder, signed=True))

    def close(self) -> None:
        """Remove its files; what is loaded stays."""
        shutil.rmtree(self._file.parent)

    @staticmethod
    def _load() -> None:
        place = Path(tempfile.mkdtemp(prefix="holdfast-clock-"))
        library, source = place / "clock.so", Path(__file__).with_name("clock.c")
        subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-o", library, source, "-ldl"], check=True)
        (place / "wrong-by").write_bytes(bytes(8))
        environment = {**os.environ, _FILE: str(place / "wrong-by"), "LD_PRELOAD": str(library)}
        os.execve(sys.executable, sys.orig_argv, environment)


class _Turning:
    """Turns the clock at some calls."""

    def __init__(self, trial: Path, clock: Clock, turns: dict[int, int]) -> None:
        self._root, self._clock, self._turns = str(trial / "work"), clock, turns
        self._calls = 0

    def entered(self, call: Call) -> Fate:
        if call.changes and any(path.startswith(self._root) for path in call.paths):
            self._calls += 1
            if self._calls in self._turns:
                self._clock.set(self._turns[self._calls])
        return Fate.HAPPENS

    def left(self, call: Call, result: int) -> None:
        raise AssertionError("no result was asked for")


def turn(trials: Trials, count: int, chance: random.Random) -> Report:
    """Turn the clock in so many runs, in all situations alike."""
    report, clock = Report(), Clock()
    prepared = Prepared(trials, chance)
    try:
        for place, situation in enumerate(SITUATIONS):
            for _ in range(share(count, place, len(SITUATIONS))):
                _turn_in(prepared, situation, clock, chance, report)
    finally:
        clock.close()
    return report


def _turn_in(prepared: Prepared, situation: Situation, clock: Clock, chance: random.Random, report: Report) -> None:
    with prepared.begin(situation) as trial:
        twin = shutil.copytree(trial, trial.with_name("twin"))
        clock.set(0)
        expected = wait(start(twin, situation.run)), *_done(twin)
        shutil.rmtree(twin)
        turns = {chance.randrange(LATEST): chance.choice((1, -1)) * chance.choice(JUMPS) for _ in range(TURNS)}
        clock.set(next(iter(turns.values())))
        watcher = _Turning(trial, clock, turns)
        status = run_traced(start(trial, situation.run), watcher, calls=CHANGING, seconds=SECONDS)
        report.count(situation.does)
        where = f"{situation.does}, turned {turns}"
        if (status, *_done(trial)) != expected:
            report.note(where, [f"it ended with {status} and did another thing: {printed(trial)}"])
        report.note(where, judge(trial, situation.program, repair=situation.before == "damaged"))


def _done(trial: Path) -> tuple[list[str], ...]:
    """Return what ran, which steps it made, and what was acknowledged; threads may do it in another order."""
    return tuple(sorted(lines(trial, file)) for file in ("ran", "steps", "acknowledged"))
