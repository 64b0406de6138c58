"""Give each trial a folder of its own, run programs there in forks of this process, and judge what is left.

A fork costs some milliseconds, where a new interpreter takes half a second to import everything; this process itself never opens a
session, so that no fork inherits a thread or a connection. Trials stand in memory where the system offers that: a kill leaves what the
kernel has taken over, so the medium makes no difference to them.

State: the folder under which all trials stand, and how often one was begun.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import judging
import programs
import tracing

SECONDS = 60.0
"""A program that takes longer has not ended."""


class Trials:
    """A folder for many trials."""

    def __init__(self) -> None:
        in_memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
        self.place = Path(tempfile.mkdtemp(prefix="holdfast-crash-", dir=in_memory))
        self._begun = 0

    @contextlib.contextmanager
    def begin(self, template: Path | None = None) -> Iterator[Path]:
        """Make the folder of a trial, with what a template has; it is gone at the end."""
        self._begun += 1
        trial = self.place / f"trial-{self._begun}"
        if template is None:
            trial.mkdir()
        else:
            shutil.copytree(template, trial)
        try:
            yield trial
        finally:
            shutil.rmtree(trial)

    def keep(self, trial: Path, name: str) -> Path:
        """Return a copy of the trial as a template."""
        return shutil.copytree(trial, self.place / name)

    def close(self) -> None:
        """Remove everything."""
        shutil.rmtree(self.place)


def start(trial: Path, program: Callable[[], int]) -> Callable[[], int]:
    """Return a program that runs in the folder of a trial, and writes what it prints to `printed` there."""

    def begin() -> int:
        os.environ["TRIAL"] = str(trial)
        output = os.open(trial / "printed", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(output, 1)
        os.dup2(output, 2)
        return program()

    return begin


def wait(program: Callable[[], int]) -> int:
    """Run a program in a fork and return its status."""
    return os.waitstatus_to_exitcode(os.waitpid(tracing.fork(program), 0)[1])


def printed(trial: Path) -> str:
    """Return the end of what the programs of a trial have printed."""
    return (trial / "printed").read_text()[-600:]


def judge(trial: Path, name: str, *, repair: bool = False) -> list[str]:
    """Have a new process judge a trial."""
    verdict = trial / "verdict"

    def write() -> int:
        verdict.write_text(json.dumps(judging.judge(trial, name, repair=repair)))
        return 0

    status = wait(start(trial, write))
    found: list[str] = json.loads(verdict.read_text()) if status == 0 else [f"the judge ended with {status}"]
    return found


def import_all(trials: Trials) -> None:
    """Import whatever the programs and the judge import while they run, so that no fork has to."""
    with trials.begin() as trial:
        names = trial / "names"

        def run() -> int:
            for name in programs.PROGRAMS:
                programs.run(name)
            judging.judge(trial, "mixed")
            names.write_text("\n".join(sys.modules))
            return 0

        if wait(start(trial, run)):
            raise RuntimeError((trial / "printed").read_text())
        for name in names.read_text().splitlines():
            with contextlib.suppress(ImportError):
                importlib.import_module(name)
