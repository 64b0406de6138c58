"""Cut the power at moments of a run, in memory: judge the states in which that could leave the directory.

States are drawn: a moment, and what of the pending changes survives. A state that was judged already, with the same acknowledged, does not
count again.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from dataclasses import replace

import judging
from replay import Change, Choice, Recording, State, keep_order, read_state
from report import Report, share
from situations import SITUATIONS, Prepared, Situation
from tracing import CHANGING, run_traced
from trials import SECONDS, Trials, printed, start, wait

DRAWS = 30
"""So often at most a state is drawn for each that is wanted: small programs have few."""

SECTOR = 512

TEARS: dict[str, Callable[[bytes], bytes]] = {
    "torn after a sector": lambda data: data[:SECTOR],
    "torn in the middle": lambda data: data[: len(data) // 2],
    "torn, its end first": lambda data: bytes(len(data) // 2) + data[len(data) // 2 :],
    "torn into zeros": lambda data: bytes(len(data)),
}


def cut(trials: Trials, count: int, chance: random.Random) -> Report:
    """Judge so many states, of all situations alike: half of file systems that keep a journal, half of the strictest."""
    report = Report()
    prepared = Prepared(trials, chance)
    changing = [situation for situation in SITUATIONS if not situation.only_looks]
    fleeting = [replace(situation, durability="process") for situation in changing if not situation.command]
    runs = [(situation, fails) for situation in changing for fails in (False, True)]
    runs += [(situation, False) for situation in fleeting]
    while report.points.total() < count:
        left = count - report.points.total()
        for place, (situation, fails) in enumerate(runs):
            if wanted := share(left, place, len(runs)):
                cut_in(prepared, situation, fails, wanted, chance, report)
    return report


def cut_in(
    prepared: Prepared, situation: Situation, fails: bool, wanted: int, chance: random.Random, report: Report
) -> None:
    is_ordered = chance.random() < 0.5
    failing = chance.randint(1, _record(prepared, situation, is_ordered).flushes) if fails else 0
    recording = _record(prepared, situation, is_ordered, failing)
    drawn = {state.digest: (where, state) for where, state in _draw(recording, wanted, is_ordered, chance)}
    kind = f"{situation.durability}, {'ordered' if is_ordered else 'strict'}{', a flush failed' if fails else ''}"
    for where, found in _judge(prepared, situation, list(drawn.values()), recording.acknowledged):
        report.count(kind)
        report.note(f"{situation.does}, {kind}, {where}", found)


def _record(prepared: Prepared, situation: Situation, is_ordered: bool, failing: int = 0) -> Recording:
    """Run a situation, and make sure that what was recorded is what there is."""
    with prepared.begin(situation) as trial:
        (trial / "acknowledged").touch()
        before = (trial / "acknowledged").read_bytes()
        recording = Recording(trial, is_ordered=is_ordered, failing=failing)
        status = run_traced(start(trial, situation.run), recording, calls=CHANGING | {"mmap"}, seconds=SECONDS)
        assert status in (0, 1), printed(trial)
        _compare(recording.last(), read_state(trial))
        recording.acknowledged = (trial / "acknowledged").read_bytes()
        recording.moments = [len(before) + moment for moment in recording.moments]
        return recording


def _compare(recorded: State, found: State) -> None:
    """Refuse a recording that was not understood: nothing could be learned from it."""
    differing = {path for path, *_ in {*recorded.contents} ^ {*found.contents}}
    assert not differing, f"what was recorded is not what there is: {sorted(differing)[:5]}"


def _draw(recording: Recording, wanted: int, is_ordered: bool, chance: random.Random) -> Iterator[tuple[str, State]]:
    """Yield different states, and where the power was cut."""
    seen: set[bytes] = set()
    for _ in range(DRAWS * wanted):
        moment = chance.randrange(len(recording.moments))
        how, choice = _choose(recording.pending(moment), is_ordered, chance)
        state = recording.state(moment, choice)
        if state.digest not in seen:
            seen.add(state.digest)
            yield f"cut at {moment} of {len(recording.moments) - 1}, {how}", state
        if len(seen) == wanted:
            return


def _choose(pending: list[Change], is_ordered: bool, chance: random.Random) -> tuple[str, Choice]:
    """Return what survives, in a word and as a choice."""
    files = [change for change in pending if change.file is not None]
    one = chance.choice(pending) if pending else None
    ways: dict[str, list[Change]] = {
        "nothing pending is left": [],
        "all of it is left": pending,
        "only names are left": [change for change in pending if change.names],
        "only bytes are left": files,
        "the first half is left": pending[: len(pending) // 2],
        "one is lost": [change for change in pending if change is not one],
        "one is left": [change for change in pending if change is one],
        "some are left": [change for change in pending if chance.random() < 0.5],
    }
    how = chance.choice([*ways, *TEARS])
    kept = keep_order(pending, ways.get(how, pending)) if is_ordered else frozenset(ways.get(how, pending))
    return how, Choice(kept, files[-1] if files else None, TEARS.get(how, bytes))


def _judge(
    prepared: Prepared, situation: Situation, drawn: list[tuple[str, State]], acknowledged: bytes
) -> list[tuple[str, list[str]]]:
    """Judge states one after the other in one new process: an interpreter for each would take most of the time."""
    with prepared.trials.begin() as place:

        def judge_all() -> int:
            with open(place / "verdicts", "w") as verdicts:
                for number, (_, state) in enumerate(drawn):
                    trial = place / str(number)
                    trial.mkdir()
                    state.write(trial, acknowledged)
                    found = judging.judge(
                        trial,
                        situation.program,
                        may_lose=situation.durability == "process",
                        repair=situation.before == "damaged",
                    )
                    print(json.dumps(found), file=verdicts, flush=True)
            return 0

        status = wait(start(place, judge_all))
        verdicts = [json.loads(line) for line in (place / "verdicts").read_text().splitlines()]
        if status != 0:
            verdicts.append([f"the judge ended with {status}: {printed(place)}"])
        return [(where, found) for (where, _), found in zip(drawn, verdicts, strict=False)]
