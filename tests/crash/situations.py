"""List what is killed and refused: a program or a command, and what was there before.

A new command, or a new way of keeping results, gets its line here, and is then killed and refused like the others.
"""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import programs
from tracing import CHANGING, Call, Fate, run_traced
from trials import SECONDS, Trials, start, wait

import holdfast as hf
from holdfast.cli.main import main

LATEST = 400
"""Calls of a program after which it is killed at the latest, before what is tried."""


@dataclass(frozen=True)
class Situation:
    """What is tried."""

    does: str
    program: str
    """What is asked for, and must be there in the end."""
    before: str = "ended"
    """What was there: `nothing`; another session that `ended`; one that was `killed`, each time at another call; one that is `done`
    with this program, so that nothing is left to run; one that is `damaged`, in one file; one that is `cluttered`, with what no target
    needs."""
    command: tuple[str, ...] = ()
    """Of the command line; none is a session in Python."""
    only_looks: bool = False
    """Whether it changes nothing."""
    durability: str = "power"
    """Of a session in Python."""

    def run(self) -> int:
        """Run it, as its user would."""
        if self.command:
            return main([*self.command, "--work", os.path.join(os.environ["TRIAL"], "work")])
        try:
            return programs.run(self.program, durability=self.durability)
        except hf.HoldfastError as error:
            print(f"holdfast: {error}")
            return 1


RUN = ("run", f"{programs.__file__}:everything", "--engine", "in_process", "--quiet")

SITUATIONS = (
    Situation("make a directory", "small", "nothing"),
    Situation("publish a small value", "small"),
    Situation("publish a large array, as numpy", "numpy"),
    Situation("publish a long text, as JSON", "json"),
    Situation("publish a large array, as XDR", "xdr"),
    Situation("publish a large array, as HDF5", "hdf5"),
    Situation("map of 1 000", "ensemble"),
    Situation("map of 1 000, in threads", "threads"),
    Situation("loop of 100", "loop"),
    Situation("write checkpoints", "checkpoint"),
    Situation("recover after a kill", "numpy", "killed"),
    Situation("take over from the dead", "mixed", "killed"),
    Situation("holdfast run, from nothing", "mixed", "nothing", RUN),
    Situation("holdfast run, what is done", "mixed", "done", RUN),
    Situation("holdfast verify --repair", "mixed", "damaged", ("verify", "--repair")),
    Situation("holdfast collect", "mixed", "cluttered", ("collect", "--apply")),
    Situation("holdfast verify", "mixed", "done", ("verify",), only_looks=True),
    Situation("holdfast status", "mixed", "done", ("status",), only_looks=True),
    Situation("holdfast ls", "mixed", "done", ("ls",), only_looks=True),
)


class Prepared:
    """What was there before, made once, when it is first needed."""

    def __init__(self, trials: Trials, chance: random.Random) -> None:
        self.trials, self._chance = trials, chance
        self._templates: dict[str, Path] = {}

    @contextmanager
    def begin(self, situation: Situation) -> Iterator[Path]:
        """Make the folder of a trial, as it was before."""
        before = "ended" if situation.before == "killed" else situation.before
        if before not in self._templates:
            self._templates[before] = self._make(before)
        with self.trials.begin(self._templates[before]) as trial:
            if situation.before == "killed":
                begun = start(trial, lambda: programs.run(situation.program))
                latest = _Latest(trial, self._chance.randrange(1, LATEST))
                run_traced(begun, latest, calls=CHANGING, seconds=SECONDS)
            yield trial

    def _make(self, name: str) -> Path:
        with self.trials.begin() as trial:
            if name != "nothing":
                program = "checkpoint" if name == "ended" else "mixed"
                assert wait(start(trial, lambda: programs.run(program))) == 0
            if name == "damaged":
                _damage(trial)
            if name == "cluttered":
                _clutter(trial)
            return self.trials.keep(trial, name)


class _Latest:
    """Kills a program at one of its calls."""

    def __init__(self, trial: Path, left: int) -> None:
        self._root, self._left = str(trial / "work"), left

    def entered(self, call: Call) -> Fate:
        self._left -= call.changes and any(path.startswith(self._root) for path in call.paths)
        return Fate.HAPPENS if self._left else Fate.KILLS

    def left(self, call: Call, result: int) -> None:
        raise AssertionError("no result was asked for")


def _clutter(trial: Path) -> None:
    """Give what is there names, and put beside it what nobody needs."""
    assert wait(start(trial, lambda: main([*RUN, "--work", str(trial / "work")]))) == 0
    noted = {file: (trial / file).read_text() for file in ("acknowledged", "ran")}
    for program in ("xdr", "ensemble", "checkpoint", "numpy"):
        assert wait(start(trial, lambda program=program: programs.run(program))) == 0  # type: ignore[misc]
    for file, text in noted.items():
        (trial / file).write_text(text)


def _damage(trial: Path) -> None:
    """Flip the last bits of the array of the program `mixed`, and take back that it was acknowledged."""
    (file,) = (trial / "work").rglob("*.npy")
    data = file.read_bytes()
    file.write_bytes(data[:-1] + bytes([data[-1] ^ 0xFF]))
    kept = [line for line in (trial / "acknowledged").read_text().splitlines() if file.parent.name not in line]
    (trial / "acknowledged").write_text("".join(f"{line}\n" for line in kept))
