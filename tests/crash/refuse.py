"""Have system calls of a session, or of a command, fail with an errno, once or for good; then run it again.

It must end well, or with an error that says what was refused: one sentence on the command line, an error of holdfast's in Python, and
never a traceback, a hang or a signal. Whatever was acknowledged is there, and the same again finishes.

State: of one run, how many calls of each kind there were, and which was refused first.
"""

from __future__ import annotations

import errno
import os
import random
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import cycle
from pathlib import Path

from report import Report, share
from situations import SITUATIONS, Prepared, Situation
from tracing import CALLS, Call, Fate, run_traced
from trials import Trials, judge, printed, start

TRACED = frozenset(CALLS) - {"close", "mmap"}
"""A close that fails has closed nevertheless, which a call that does not happen cannot show."""

SECONDS = 45.0
"""The catalog is waited for 30 seconds where locks are refused."""

NEEDING_SPACE = frozenset({"write", "writev", "pwrite64", "pwritev", "fsync", "fdatasync", "ftruncate", "fallocate"})
NEEDING_SPACE |= {
    "mkdir",
    "mkdirat",
    "mknod",
    "mknodat",
    "rename",
    "renameat",
    "link",
    "linkat",
    "symlink",
    "symlinkat",
}
SLOW = frozenset(
    {"read", "pread64", "write", "pwrite64", "open", "openat", "fsync", "fdatasync", "ftruncate", "fallocate"}
)

MANY = 10
"""Interruptions in a row: that they end is part of what they are. So often, too, a lock is refused to whoever only looks, and waits."""


def _needs_space(call: Call) -> bool:
    return call.name in NEEDING_SPACE or (call.name in ("open", "openat") and bool(call.flags & os.O_CREAT))


REFUSED: dict[int, Callable[[Call], bool]] = {
    errno.ENOSPC: _needs_space,
    errno.EDQUOT: _needs_space,
    errno.EIO: lambda call: call.name != "fcntl",
    errno.ESTALE: lambda call: call.name != "fcntl",
    errno.EINTR: lambda call: call.name in SLOW or call.takes_lock,
    errno.ENOLCK: lambda call: call.takes_lock,
    errno.EMFILE: lambda call: call.name in ("open", "openat"),
}
"""Errors, and the calls that may give them. To give a lock back never fails so."""


class Refusing:
    """Lets calls happen, but for the n-th that may fail so, or all from that on."""

    def __init__(self, trial: Path, number: int = 0, name: str = "", ordinal: int = 0, times: float = 1) -> None:
        self.counts: Counter[tuple[int, str]] = Counter()
        self.where = ""
        self._root = str(trial / "work")
        self._number, self._point, self._left = number, (name, ordinal), times

    def entered(self, call: Call) -> Fate | int:
        possible = [number for number, may_fail in REFUSED.items() if may_fail(call)]
        if not possible or not any(path.startswith(self._root) for path in call.paths):
            return Fate.HAPPENS
        self.counts.update((number, call.name) for number in possible)
        if self._number not in possible:
            return Fate.HAPPENS
        is_first = not self.where and (call.name, self.counts[self._number, call.name]) == self._point
        if is_first:
            self.where = f"{call.name} {self._point[1]} {[path.removeprefix(self._root) for path in call.paths]}"
        if not self.where or self._left <= 0:
            return Fate.HAPPENS
        self._left -= 1
        return self._number

    def left(self, call: Call, result: int) -> None:
        raise AssertionError("no result was asked for")


def refuse(trials: Trials, count: int, chance: random.Random) -> Report:
    """Refuse so often, in all situations and with all errors alike."""
    report = Report()
    prepared = Prepared(trials, chance)
    for place, situation in enumerate(SITUATIONS):
        refuse_in(prepared, situation, share(count, place, len(SITUATIONS)), chance, report)
    return report


def refuse_in(prepared: Prepared, situation: Situation, count: int, chance: random.Random, report: Report) -> None:
    with prepared.begin(situation) as trial:
        watcher = Refusing(trial)
        assert _run(trial, situation, watcher) in (0, 1), printed(trial)
    points, done = _points(watcher.counts, chance, situation.only_looks), 0
    while done < count:
        number, name, ordinal, times = next(points)
        with prepared.begin(situation) as trial:
            watcher = Refusing(trial, number, name, ordinal, times)
            status = _run(trial, situation, watcher)
            if not watcher.where:
                report.missed += 1
                continue
            done += 1
            report.count(errno.errorcode[number])
            where = f"{situation.does}, {errno.errorcode[number]} {times:g} times at {watcher.where}"
            is_damage = number == errno.EIO or situation.before == "damaged"
            report.note(where, _told(status, printed(trial), is_damage=is_damage))
            report.note(f"{where}, and again", judge(trial, situation.program, repair=situation.before == "damaged"))


def _points(
    counts: Counter[tuple[int, str]], chance: random.Random, only_looks: bool
) -> Iterator[tuple[int, str, int, float]]:
    """Yield points without end: all errors in turn, of each all kinds of calls in turn, and of these any ordinal."""
    names = {number: cycle(sorted(name for found, name in counts if found == number)) for number in REFUSED}
    numbers = [number for number in REFUSED if any(found == number for found, _ in counts)]
    while True:
        for times in (1.0, float("inf")):
            for number in numbers:
                name = next(names[number])
                ordinal = chance.randint(1, counts[number, name])
                if number == errno.ENOLCK and times > 1:  # where there are no locks, there were none before
                    ordinal = 1
                is_brief = number == errno.EINTR or (number == errno.ENOLCK and only_looks)
                yield number, name, ordinal, min(times, MANY) if is_brief else times


def _told(status: int | None, text: str, *, is_damage: bool) -> Iterator[str]:
    """Yield what is wrong with the end of a run; only what cannot be read may be taken for damage."""
    says_so = any(line.startswith("holdfast: ") for line in text.splitlines())
    finds_damage = "\n  ! " in text
    if status is None:
        yield f"it hung: {text}"
    elif status < 0:
        yield f"signal {-status} ended it: {text}"
    elif status not in (0, 1):
        yield f"it ended with {status}: {text}"
    elif finds_damage and not is_damage:
        yield f"it was taken for damage: {text}"
    elif status == 1 and not says_so and not finds_damage:
        yield f"it did not say what was refused: {text}"


def _run(trial: Path, situation: Situation, watcher: Refusing) -> int | None:
    return run_traced(start(trial, situation.run), watcher, calls=TRACED, seconds=SECONDS)
