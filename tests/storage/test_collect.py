from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import holdfast as hf
from holdfast.errors import InvalidData, NotFound, OperationFailed, OwnershipError, StoreDamaged
from holdfast.model.content import encode
from holdfast.storage.catalog import Catalog
from holdfast.storage.collect import Choice, collect
from holdfast.storage.datastore import get_datastore
from holdfast.storage.owner import current_owner
from holdfast.storage.ownership import Ownership
from holdfast.storage.rows import ArrayRow, CallRow, ExpansionRow, FailureRow, NodeRow, ReferentRow, RoundRow
from holdfast.storage.verify import verify
from holdfast.storage.workdir import open_workdir

LONG = os.environ.get("HOLDFAST_CRASH") == "long"


@hf.operation(name="demo.mix", version="1")
def mix(tag: int, a: Any, b: Any = 0) -> int:
    """Return a number that no other arguments give."""
    if tag < 0:
        raise ValueError("broken")
    text = repr((tag, [value.tolist() if isinstance(value, numpy.ndarray) else value for value in (a, b)]))
    return int.from_bytes(sha256(text.encode()).digest()[:6], "big")


@hf.operation(name="demo.grow", version="1")
def grow(tag: int, length: int, value: int) -> numpy.ndarray:
    return numpy.arange(length) + value + tag


@hf.operation(name="demo.is_even", version="1")
def is_even(value: int) -> bool:
    return value % 2 == 0


@hf.operation(name="demo.expand", version="1")
def expand(tag: int, value: int) -> Any:
    """Return nodes."""
    return mix(tag + 1, mix(tag + 2, value))


# what a graph comes down to, in a directory


def rows(work: Path, targets: dict[str, Any] | None = None) -> dict[str, set[Any]]:
    """Return the keys of everything that belongs to results, but for what targets that are not done consist of."""
    workdir = open_workdir(work, create=False)
    with Catalog.open(workdir, read_only=True) as catalog:

        def walk(kind: type[Any]) -> Iterator[Any]:
            for row in catalog.walk(kind):
                assert not isinstance(row, StoreDamaged)
                yield row

        nodes = {row.uid for row in walk(NodeRow)}
        own = nodes | {bytes.fromhex(node.uid) for node in (targets or {}).values()}
        return {
            "nodes": nodes,
            "calls": {row.call_key for row in walk(CallRow)},
            "arrays": {row.digest for row in walk(ArrayRow)},
            "rounds": {(row.loop_key, row.number) for row in walk(RoundRow)},
            "expansions": {row for row in walk(ExpansionRow) if row.owner not in own},
            "failures": {row.uid for row in walk(FailureRow)},
            "referents": {row.uid for row in walk(ReferentRow)},
            "stores": {store.name for store in workdir.nodes.glob("*/*")},
        }


def run(work: Path, targets: dict[str, Any]) -> dict[str, Any]:
    """Compute targets in one session, and return the values of those that do not fail."""
    values = {}
    with hf.Session(work, durability="process") as session:
        for name, node in targets.items():
            session.name_target(name, node)
            try:
                values[name] = session.result(node)
            except OperationFailed:
                values[name] = None
    return values


def same(one: Any, other: Any) -> bool:
    return bool(numpy.array_equal(one, other))


# random graphs


Step = tuple[str, int, int]

KINDS = [
    "call",
    "call",
    "array",
    "list",
    "map",
    "map of graphs",
    "loop",
    "branch",
    "reduce",
    "scan",
    "expand",
    "broken",
]

steps = st.lists(st.tuples(st.sampled_from(KINDS), st.integers(0, 30), st.integers(0, 30)), min_size=2, max_size=7)


def build(plan: list[Step]) -> list[Any]:
    """Return one node for each step; each is computed from one or two of those before."""
    numbers: list[Any] = [1, 2, 3]
    made: list[Any] = []
    for place, (kind, first, second) in enumerate(plan):
        tag, one, other = 1000 * (place + 1), numbers[first % len(numbers)], numbers[second % len(numbers)]
        node = STEPS[kind](tag, one, other)
        made.append(node)
        numbers.append(node if kind in ("call", "expand", "broken") else mix(tag + 9, node))
    return made


STEPS: dict[str, Callable[[int, Any, Any], Any]] = {
    "call": lambda tag, one, other: mix(tag, one, other),
    "array": lambda tag, one, other: grow(tag, 20_000, one),
    "list": lambda tag, one, other: hf.gather([grow(tag, 10_000, one), grow(tag + 1, 10_000, other)]),
    "map": lambda tag, one, other: hf.map(lambda x: mix(tag, x, other), [one, other, 7]),
    "map of graphs": lambda tag, one, other: hf.map(lambda x: grow(tag, 9_000, mix(tag + 1, x, other)), [one, 5]),
    "loop": lambda tag, one, other: hf.fori_loop(0, 3, lambda i, s: mix(tag, i, s), one),
    "branch": lambda tag, one, other: hf.cond(
        is_even(mix(tag, one)), lambda x, y: mix(tag + 1, x), lambda x, y: mix(tag + 2, y), one, other
    ),
    "reduce": lambda tag, one, other: hf.reduce(lambda x, y: mix(tag, x, y), [one, other, 4]),
    "scan": lambda tag, one, other: hf.scan(lambda s, x: (mix(tag, s, x), mix(tag + 1, x)), one, [other, 8])[1],
    "expand": lambda tag, one, other: expand(tag, one),
    "broken": lambda tag, one, other: mix(-tag, hf.map(lambda x: mix(tag, x), [one, other])),
}


@settings(max_examples=500 if LONG else 15, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(plan=steps, kept=st.sets(st.integers(0, 6), min_size=1, max_size=3))
def test_what_is_left_is_what_the_kept_targets_alone_would_have_made(plan: list[Step], kept: set[int]) -> None:
    targets = {f"t{place}": node for place, node in enumerate(build(plan))}
    wanted = {f"t{place}" for place in kept if place < len(plan)} or {"t0"}
    with tempfile.TemporaryDirectory() as folder:
        work, alone = Path(folder) / "work", Path(folder) / "alone"
        values = run(work, targets)
        run(alone, {name: targets[name] for name in targets if name in wanted})
        shown = collect(work, Choice(keep=sorted(wanted)))
        done = collect(work, Choice(keep=sorted(wanted)), apply=True)
        assert (shown.results, shown.size, shown.removed) == (done.results, done.size, done.removed)
        left, least = rows(work, targets), rows(alone, targets)
        if all(values[name] is not None for name in wanted):
            assert left == least
        else:  # what will be needed by a target that is not finished may have been made for another one
            assert all(least[kind] <= left[kind] for kind in least)
        assert verify(work).findings == []
        with hf.Session(work) as session:
            for name in wanted:
                if values[name] is not None:
                    assert same(session.result(targets[name]), values[name])
            assert session.counts.done == 0, "what is kept does not run again"
        again = run(work, targets)
        assert all(same(again[name], values[name]) for name in targets)


# what people choose


@pytest.fixture
def work(tmp_path: Path) -> Path:
    """A directory with two targets that share a part, and a result without a name."""
    work = tmp_path / "work"
    shared = hf.map(lambda x: grow(0, 20_000, x), [1, 2])
    run(work, {"first": mix(1, shared), "second": mix(2, hf.map(lambda x: grow(0, 20_000, x), [2, 3]))})
    with hf.Session(work) as session:
        session.result(grow(5, 9_000, 4))
    return work


def made(work: Path) -> list[str]:
    """Return the operation of each call that is left, in the order in which they were made."""
    with closing(sqlite3.connect(work / "catalog.db")) as connection:
        found = connection.execute("SELECT name FROM calls LEFT JOIN operations ON id = operation ORDER BY calls.rowid")
        return [name for (name,) in found]


def set_age(work: Path, days: float, count: int) -> None:
    """Make the first calls older by the clock."""
    with closing(sqlite3.connect(work / "catalog.db")) as connection, connection:
        changed = "UPDATE calls SET made = made - ? WHERE rowid IN (SELECT rowid FROM calls ORDER BY rowid LIMIT ?)"
        connection.execute(changed, (int(days * 86400), count))


def test_without_apply_nothing_is_changed_and_the_directory_may_be_in_use(work: Path) -> None:
    before = rows(work)
    with hf.Session(work):
        found = collect(work, Choice(drop=["first"]))
        with pytest.raises(OwnershipError, match=f"process {os.getpid()}|this same process"):
            collect(work, apply=True)
    assert {group.operation: group.results for group in found.removed} == {
        "demo.grow": 2,
        "demo.mix": 1,
        "holdfast.map": 1,
    }
    assert found.dropped == ["first"]
    assert [(target.name, target.is_done, target.results) for target in found.kept] == [("second", True, 4)]
    assert rows(work) == before


def test_only_results_stay_if_that_is_asked_for(work: Path) -> None:
    found = collect(work, Choice(results_only=True), apply=True)
    assert [(target.name, target.results) for target in found.kept] == [("first", 1), ("second", 1)]
    assert made(work) == ["demo.mix", "demo.mix"]
    assert not any((work / "nodes").glob("*/*"))
    assert verify(work).findings == []
    with hf.Session(work) as session:
        session.result(mix(1, hf.map(lambda x: grow(0, 20_000, x), [1, 2])))
        assert session.counts.done == 0


def test_arrays_that_a_result_is_made_of_stay_with_it(tmp_path: Path) -> None:
    stacked = hf.map(lambda x: grow(x, 20_000, 1), [1, 2])
    listed = hf.gather([stacked, grow(3, 50, 1), grow(4, 90_000, 1)])
    value = run(tmp_path / "work", {"listed": listed})["listed"]
    collect(tmp_path / "work", Choice(results_only=True), apply=True)
    assert verify(tmp_path / "work").findings == []
    assert made(tmp_path / "work") == ["holdfast.gather"]
    with hf.Session(tmp_path / "work") as session:
        again = session.result(listed)
        assert session.counts.done == 0
    assert all(same(one, other) for one, other in zip(again, value, strict=True))


def test_what_is_young_enough_stays(work: Path) -> None:
    set_age(work, 40, 3)
    choice = Choice(drop=["first", "second"], older_than=30 * 86400)
    found = collect(work, choice, apply=True)
    assert found.results == 3
    assert found.chosen.results == 5
    assert verify(work).findings == [], "a stack keeps its members, also if they are older"
    assert len(made(work)) == 5


def test_what_was_made_first_goes_first_until_it_fits(work: Path) -> None:
    everything = made(work)
    sizes = [collect(work, Choice(down_to=limit)) for limit in (10**9, 500_000, 0)]
    assert sizes[0].results == 0
    assert sizes[2].results == 1, "targets stay in any case"
    assert [group.operation for group in sizes[1].removed] == ["demo.grow"]
    found = collect(work, Choice(drop=["first", "second"], down_to=400_000), apply=True)
    left = made(work)
    assert left == everything[-len(left) :]
    assert 0 < found.chosen.size <= 400_000
    assert verify(work).findings == []


def test_everything_goes_only_if_that_is_said(work: Path) -> None:
    before = rows(work)
    with pytest.raises(InvalidData, match=r"everything would go.*--everything"):
        collect(work, Choice(drop=["first", "second"]), apply=True)
    assert rows(work) == before
    found = collect(work, Choice(drop=["first", "second"], everything=True), apply=True)
    assert found.results == len(before["calls"])
    assert not any(rows(work).values())
    assert verify(work).findings == []


def test_names_that_are_no_targets_are_refused_with_those_that_are(work: Path) -> None:
    for choice in (Choice(drop=["third"]), Choice(keep=["third"])):
        with pytest.raises(NotFound, match=r"no target 'third'\. There are: first, second"):
            collect(work, choice)


def test_a_name_stands_also_for_the_parts_of_a_mapping_and_for_that_of_a_script(tmp_path: Path) -> None:
    with hf.Session(tmp_path) as session:
        session.name_target("study.py:both", {"one": mix(1, 1), "two": mix(2, 2)})
        session.name_target("study.py:other", mix(3, 3))
    assert collect(tmp_path, Choice(drop=["study.py:both"])).dropped == ["study.py:both.one", "study.py:both.two"]
    assert collect(tmp_path, Choice(keep=["other"])).dropped == ["study.py:both.one", "study.py:both.two"]


def test_a_collection_that_is_killed_is_finished_by_the_same_command(work: Path) -> None:
    """Killed by its own timer at some moment of its work, again and again; each time a little later."""
    program = """
import signal, sys
from holdfast.storage.collect import Choice, collect
signal.setitimer(signal.ITIMER_REAL, float(sys.argv[2]))
collect(sys.argv[1], Choice(drop=["first"]), apply=True)
"""
    for step in range(60):
        command = [sys.executable, "-c", program, str(work), str(0.001 * 1.2**step)]
        status = subprocess.run(command, check=False, timeout=60).returncode
        assert verify(work).findings == []
        assert status in (0, -signal.SIGALRM)
        if len(collect(work).kept) == 1:  # the name goes last
            break
    assert [target.name for target in collect(work).kept] == ["second"]
    assert collect(work).results == 0
    assert len(rows(work)["stores"]) == 2


# what is not a result


def test_leftovers_go_and_the_stores_of_needed_nodes_stay(work: Path) -> None:
    kept = mix(7, 1)
    run(work, {"kept": kept})
    workdir = open_workdir(work)
    ownership = Ownership.acquire(workdir, current_owner("test"))
    for uid in (kept.uid, "ab" * 32):
        with get_datastore(workdir, uid, ownership=ownership) as store:
            handle = store.open("w")
            handle.write(encode(numpy.arange(1000)))
            handle.commit()
    ownership.release()
    assert len(rows(work)["stores"]) == 5
    found = collect(work, apply=True)
    assert found.orphans.results == 1
    assert found.orphans.size > 8000
    assert kept.uid in rows(work)["stores"]
    assert "ab" * 32 not in rows(work)["stores"]
    assert os.listdir(workdir.tmp) == []


def test_failures_and_code_go_with_what_needed_them(tmp_path: Path) -> None:
    def study(version: str) -> Any:
        @hf.operation(name="demo.study", version=version)
        def study(x: int) -> int:
            if x < 0:
                raise ValueError("negative")
            return x

        return study

    run(tmp_path, {"good": study("1")(1), "bad": study("2")(-1)})
    run(tmp_path, {"other": study("3")(2)})
    found = collect(tmp_path, Choice(keep=["good"]), apply=True)
    assert found.failures == 1
    with Catalog.open(open_workdir(tmp_path), read_only=True) as catalog:
        versions = [dict(row.parts) for row in catalog.list_implementations("demo.study")]
        assert len(versions) == 2, "that of the target, and the latest"
        assert catalog.totals() == (1, 1, 0)


def test_a_checkpoint_of_unfinished_work_stays(tmp_path: Path) -> None:
    @hf.operation(name="demo.stop", version="1")
    def stop(checkpoint: hf.Checkpoint) -> int:
        checkpoint.write({"step": 3})
        checkpoint.flush()
        raise ValueError("stop")

    run(tmp_path, {"stop": stop(), "good": mix(1, 1)})
    collect(tmp_path, Choice(keep=["good"]), apply=True)
    assert len(list((tmp_path / "checkpoints").glob("*/*/*.state"))) == 1
