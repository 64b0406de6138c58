"""Nodes that are done: they are found together, told once, and nothing is made for them."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import pytest

import holdfast as hf
from holdfast.errors import OperationFailed, StoreDamaged
from holdfast.runtime.contents import AT_ONCE
from holdfast.runtime.events import Event, NodeDone


@hf.operation
def increase(x: int) -> int:
    return x + 1


@hf.operation
def total(xs: list[int]) -> int:
    return sum(xs)


def listened(session: hf.Session) -> list[Event]:
    events: list[Event] = []
    session.listen(events.append)
    return events


def test_more_nodes_than_are_looked_up_at_once_come_back_in_order(tmp_path: Path) -> None:
    count = AT_ONCE + 10
    with hf.Session(tmp_path) as session:
        assert session.results([increase(x) for x in range(count)]) == list(range(1, count + 1))
    with hf.Session(tmp_path) as session:
        nodes = [increase(x) for x in range(count + 5)]
        assert session.results(nodes) == list(range(1, count + 6))
        assert (session.counts.done, session.counts.reused) == (5, count)


def test_a_node_that_is_done_is_told_and_counted_once_however_often_it_is_asked_for(tmp_path: Path) -> None:
    with hf.Session(tmp_path) as session:
        session.result(increase(1))
    with hf.Session(tmp_path) as session:
        events = listened(session)
        assert session.results([increase(1), increase(1)]) == [2, 2]
        assert session.result(total([increase(1), increase(1)])) == 4
        assert session.result(increase(1)) == 2
        reused = [event for event in events if isinstance(event, NodeDone) and event.reused]
        assert reused == [NodeDone(increase(1).uid, str(increase.name), reused=True)]
        assert (session.counts.done, session.counts.reused) == (1, 1)
        assert session.status(increase(1)) is hf.NodeState.DONE
        assert [type(event) for event in session.subscribe(increase(1))] == [NodeDone]


def test_done_and_missing_and_failing_nodes_may_be_asked_for_together(tmp_path: Path) -> None:
    fails = hf.operation(lambda x: x / 0, name="lookup.fails")
    with hf.Session(tmp_path) as session:
        session.results([increase(1), increase(2)])
    with hf.Session(tmp_path) as session:
        with pytest.raises(OperationFailed, match="ZeroDivisionError"):
            session.results([increase(1), fails(1), total([increase(2), increase(3)]), total([fails(1), increase(1)])])
        assert session.result(total([increase(2), increase(3)])) == 7
        assert (session.counts.done, session.counts.reused) == (2, 2)


@pytest.mark.parametrize("change", ["UPDATE nodes SET call_key = zeroblob(32)", "UPDATE calls SET text = x'33'"])
def test_what_is_not_what_was_written_is_an_error_and_no_value(tmp_path: Path, change: str) -> None:
    with hf.Session(tmp_path) as session:
        session.result(increase(1))
    with sqlite3.connect(tmp_path / "catalog.db") as catalog:
        catalog.execute(change)
    with hf.Session(tmp_path) as session, pytest.raises(StoreDamaged, match="verify"):
        session.result(increase(1), timeout=60)


def test_a_large_result_is_read_from_its_store_only_when_it_is_needed(tmp_path: Path) -> None:
    long: Any = hf.operation(lambda n: "x" * n, name="lookup.long")
    with hf.Session(tmp_path) as session:
        session.result(long(300_000))
    (store,) = (tmp_path / "nodes").glob("*/*/data.*")
    kept = store.read_bytes()
    store.unlink()
    with hf.Session(tmp_path) as session:
        assert session.status(long(300_000)) is hf.NodeState.DONE
        with pytest.raises(StoreDamaged):
            session.result(long(300_000))
        store.write_bytes(kept)
        assert session.result(long(300_000)) == "x" * 300_000


@pytest.mark.parametrize("done", [0, 1, 99, 150, 200, 299])
def test_of_a_chain_only_what_is_missing_runs_and_only_the_last_done_step_is_reused(tmp_path: Path, done: int) -> None:
    steps: list[Any] = [0]
    for _ in range(300):
        steps.append(increase(steps[-1]))
    with hf.Session(tmp_path) as session:
        session.result(steps[done])
    with hf.Session(tmp_path) as session:
        events = listened(session)
        assert session.result(steps[300]) == 300
        assert (session.counts.done, session.counts.reused) == (300 - done, min(done, 1))
        reused = [event.uid for event in events if isinstance(event, NodeDone) and event.reused]
        assert reused == ([steps[done].uid] if done else [])


def test_of_a_wide_graph_what_is_done_behind_what_is_missing_is_reused_once_each(tmp_path: Path) -> None:
    leaves = [increase(x) for x in range(100)]
    with hf.Session(tmp_path) as session:
        session.results(leaves[:50])
    sums = [total(leaves[start : start + 10]) for start in range(0, 100, 5)]
    with hf.Session(tmp_path) as session:
        assert session.result(total(sums)) == sum(sum(range(s + 1, min(s + 11, 101))) for s in range(0, 100, 5))
        assert (session.counts.done, session.counts.reused) == (50 + 20 + 1, 50)
