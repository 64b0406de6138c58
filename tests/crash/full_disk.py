"""Fill file systems of many sizes, and say what went wrong: while they are full, and after space is made.

Usage: full_disk.py COUNT SEED, within a mount namespace of its own (`unshare -rm`), where each trial mounts a small file system in
memory; with `limit` as a third argument, anywhere: then no file may grow beyond a size, which is what is left where nothing can be mounted.
Prints a report as JSON.

What is tried: a program that needs more than there is; a run in a directory that is full of what nobody needs, of which the collection
makes the space. In both nothing that was acknowledged may be lost, everything can be read while no byte is free, what is refused is told
in one sentence, and the same again finishes once there is space.
"""

from __future__ import annotations

import json
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import programs
from judging import lines
from report import Report
from situations import RUN
from trials import Trials, import_all, judge, printed, start, wait

import holdfast as hf
from holdfast.cli.main import main
from holdfast.errors import HoldfastError

KIB = 1024
SMALLEST, LARGEST = 64 * KIB, 3_000 * KIB
"""Of the file systems that are filled; the program needs a little less than the largest."""

CLUTTER = ("xdr", "ensemble", "json", "loop")
BIG = 64 * 1024 * KIB


class SmallDisk:
    """A file system in memory, of a size that can be changed."""

    def __init__(self, place: Path) -> None:
        self.place = place

    @contextmanager
    def mounted(self, size: int) -> Iterator[None]:
        """Have it, empty, within the block."""
        self.place.mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "none", str(self.place)], check=True)
        try:
            yield
        finally:
            subprocess.run(["umount", str(self.place)], check=True)
            self.place.rmdir()

    def run(self, program: Callable[[], int]) -> Callable[[], int]:
        """Return a program that meets the end of it."""
        return program

    def resize(self, size: int) -> None:
        """Make it larger or smaller; what stands there stays."""
        subprocess.run(["mount", "-o", f"remount,size={size}", str(self.place)], check=True)

    def fill(self) -> int:
        """Take the space that is left, and return how much of it is still free."""
        with suppress(OSError), open(self.place / "ballast", "ab", buffering=0) as stream:
            while True:
                stream.write(bytes(4 * KIB))
        facts = os.statvfs(self.place)
        return facts.f_bavail * facts.f_frsize

    def used(self) -> int:
        facts = os.statvfs(self.place)
        return (facts.f_blocks - facts.f_bfree) * facts.f_frsize


class SmallFiles(SmallDisk):
    """A folder in which no file of a program grows beyond a size."""

    @contextmanager
    def mounted(self, size: int) -> Iterator[None]:
        self.place.mkdir()
        self.resize(size)
        try:
            yield
        finally:
            shutil.rmtree(self.place)

    def run(self, program: Callable[[], int]) -> Callable[[], int]:
        def limited() -> int:
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (self._size, resource.RLIM_INFINITY))
            return program()

        return limited

    def resize(self, size: int) -> None:
        self._size = size

    def fill(self) -> int:
        return 0

    def used(self) -> int:
        return 0


def run_program(name: str) -> Callable[[], int]:
    """Return a program that tells what is refused as the command line does."""

    def run() -> int:
        try:
            return programs.run(name)
        except HoldfastError as error:
            print(f"holdfast: {error}")
            return 1

    return run


def clutter(trial: Path) -> int:
    """Make what nobody needs, and say what is wanted before any of it is there."""
    for name in CLUTTER:
        programs.run(name)
    with hf.Session(trial / "work") as session:
        session.name_target("everything", programs.everything)
    return 0


def command(trial: Path, *words: str) -> Callable[[], int]:
    return lambda: main([*words, "--work", str(trial / "work")])


def run_out_of_space(disk: SmallDisk, trial: Path, size: int) -> Iterator[str]:
    """Run a program that needs more than there is, look at everything, make space, and run it again."""
    with disk.mounted(size):
        _link(disk, trial)
        status = wait(start(trial, disk.run(run_program("all"))))
        yield from _refusal(trial, status)
        if free := disk.fill():
            yield f"{free} bytes are free on the full disk"
        yield from _look(disk, trial)
        disk.resize(BIG)
        with suppress(FileNotFoundError):
            (disk.place / "ballast").unlink()
        yield from judge(trial, "all")


def collect_without_space(disk: SmallDisk, trial: Path, size: int) -> Iterator[str]:
    """Run a command where others left no space, have the collection make it, and run the command again."""
    with disk.mounted(BIG):
        _link(disk, trial)
        shutil.copytree(trial.parent / "cluttered", trial / "work", dirs_exist_ok=True)
        disk.resize(disk.used() + size)
        status = wait(start(trial, disk.run(command(trial, *RUN))))
        yield from _refusal(trial, status)
        if free := disk.fill():
            yield f"{free} bytes are free on the full disk"
        if status:
            (trial / "printed").unlink()
            if wait(start(trial, disk.run(command(trial, "collect", "--apply")))):
                yield f"the collection did not work: {printed(trial)}"
            (trial / "printed").unlink()
            if wait(start(trial, disk.run(command(trial, *RUN)))):
                yield f"the command did not finish after the collection: {printed(trial)}"
        disk.resize(BIG)
        (disk.place / "ballast").unlink()
        yield from judge(trial, "mixed")


def _link(disk: SmallDisk, trial: Path) -> None:
    """Have the working directory of a trial stand on the disk, and its notes beside it."""
    (disk.place / "work").mkdir()
    (trial / "work").symlink_to(disk.place / "work")


def _refusal(trial: Path, status: int) -> Iterator[str]:
    """Say what is wrong with how a program ended that may have met the end of the disk."""
    told = printed(trial)
    if status:
        (trial / "refused").touch()
    if status not in (0, 1):
        yield f"it ended with {status}: {told}"
    elif status == 1 and not _is_clear(trial, told):
        yield f"it does not say what to do: {told}"


def _is_clear(trial: Path, told: str) -> bool:
    sentences = [line for line in told.splitlines() if line.startswith("holdfast: ")]
    names_place = any(str(place) in told for place in (trial / "work", (trial / "work").resolve()))
    says_what_to_do = "ree some space" in told or "free space" in told or "Check " in told
    return len(sentences) == 1 and names_place and says_what_to_do and "Traceback" not in told


def _look(disk: SmallDisk, trial: Path) -> Iterator[str]:
    """Read everything that was acknowledged, by commands."""
    done = {line.split()[1] for line in lines(trial, "acknowledged") if line.startswith("node ")}
    if not done:
        return
    looks = [["status"], ["ls"], ["verify"], ["collect"], *(["show", uid] for uid in sorted(done))]

    def look() -> int:
        return max(command(trial, *words)() for words in looks)

    if wait(start(trial, disk.run(look))):
        yield f"not all can be read on the full disk: {printed(trial)}"


def run(trials: Trials, count: int, seed: int, make: Callable[[Path], SmallDisk]) -> Report:
    """Try so many sizes, both situations in turn."""
    report, chance = Report(), random.Random(seed)
    with trials.begin() as trial:
        if wait(start(trial, lambda: clutter(trial))):
            raise RuntimeError(printed(trial))
        (trial / "work").rename(trials.place / "cluttered")
    for number in range(count):
        situation = run_out_of_space if make is SmallFiles or number % 2 else collect_without_space
        largest = LARGEST if situation is run_out_of_space and make is SmallDisk else 400 * KIB
        size = chance.randrange(SMALLEST, largest, 4 * KIB)
        with trials.begin() as trial:
            found = list(situation(make(trial / "disk"), trial, size))
            report.count("refused" if (trial / "refused").exists() else "had room")
            report.note(f"{situation.__name__}, {size // KIB} KiB", found)
    return report


if __name__ == "__main__":
    trials = Trials()
    try:
        import_all(trials)
        kind = SmallFiles if sys.argv[3:] == ["limit"] else SmallDisk
        print(json.dumps(run(trials, int(sys.argv[1]), int(sys.argv[2]), kind).to_json()))
    finally:
        trials.close()
