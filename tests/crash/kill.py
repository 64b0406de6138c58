"""Kill a session, or a command, at one of its system calls, judge what is left, and have it run again.

A point is the n-th call of one kind that changes something in the working directory, in all threads. Where they run beside each other,
another run may meet another file there, so a point that is drawn twice is no repetition.

State: of one run, how many calls of each kind there were.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from report import Report, share
from situations import SITUATIONS, Prepared, Situation
from tracing import CHANGING, Call, Fate, run_traced
from trials import SECONDS, Trials, judge, printed, start


class Killing:
    """Lets all calls happen up to the given one, and kills at that."""

    def __init__(self, trial: Path, name: str = "", ordinal: int = 0) -> None:
        self.counts: Counter[str] = Counter()
        self.where = ""
        self._root = str(trial / "work")
        self._point = name, ordinal

    def entered(self, call: Call) -> Fate:
        if not call.changes or not any(path.startswith(self._root) for path in call.paths):
            return Fate.HAPPENS
        self.counts[call.name] += 1
        if (call.name, self.counts[call.name]) != self._point:
            return Fate.HAPPENS
        self.where = f"{call.name} {self._point[1]} {[path.removeprefix(self._root) for path in call.paths]}"
        return Fate.KILLS

    def left(self, call: Call, result: int) -> None:
        raise AssertionError("no result was asked for")


def kill(trials: Trials, count: int, chance: random.Random) -> Report:
    """Kill so often, in all situations alike."""
    report = Report()
    prepared = Prepared(trials, chance)
    killed = [situation for situation in SITUATIONS if not situation.only_looks]
    for place, situation in enumerate(killed):
        kill_in(prepared, situation, share(count, place, len(killed)), chance, report)
    return report


def kill_in(prepared: Prepared, situation: Situation, count: int, chance: random.Random, report: Report) -> None:
    points = _points(_reference(prepared, situation), chance)
    done = 0
    while done < count:
        with prepared.begin(situation) as trial:
            watcher = Killing(trial, *next(points))
            status = run_traced(start(trial, situation.run), watcher, calls=CHANGING, seconds=SECONDS)
            if not watcher.where:
                report.missed += 1
                if status not in (0, 1):
                    report.note(f"{situation.does}, unharmed", [f"it ended with {status}: {printed(trial)}"])
                continue
            done += 1
            report.count(watcher.where.split()[0])
            found = judge(trial, situation.program, repair=situation.before == "damaged")
            report.note(f"{situation.does}, killed at {watcher.where}", found)


def _reference(prepared: Prepared, situation: Situation) -> Counter[str]:
    with prepared.begin(situation) as trial:
        watcher = Killing(trial)
        status = run_traced(start(trial, situation.run), watcher, calls=CHANGING, seconds=SECONDS)
        assert status in (0, 1), printed(trial)
        return watcher.counts


def _points(counts: Counter[str], chance: random.Random) -> Iterator[tuple[str, int]]:
    """Yield points without end: all kinds of calls in turn, and of each kind all ordinals before one comes again."""
    waiting: dict[str, list[int]] = {name: [] for name in counts}
    while True:
        for name, ordinals in waiting.items():
            if not ordinals:
                ordinals.extend(range(1, counts[name] + 1))
                chance.shuffle(ordinals)
            yield name, ordinals.pop()
