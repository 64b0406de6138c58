"""A change of code that was accepted lets earlier results stand, and nothing else."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import holdfast as hf
from holdfast.errors import NotFound
from holdfast.model.node import Node
from holdfast.runtime.acceptance import Acceptances, path_between
from holdfast.storage.catalog import Catalog
from holdfast.storage.rows import AcceptanceRow
from holdfast.storage.workdir import open_workdir


def operation_of(version: str, factor: int = 2) -> Any:
    def double(x: Any) -> Any:
        return factor * x

    return hf.operation(double, name="accepted.double", version=version)


@hf.operation(version="1", name="accepted.below")
def below(state: Any) -> bool:
    return bool(state < 20)


@hf.operation(version="1", name="accepted.total")
def total(values: Any) -> int:
    return int(sum(values))


@hf.operation(version="1", name="accepted.more")
def more(left: Any, right: Any) -> Any:
    return left + right


def studies(double: Any) -> list[Any]:
    @hf.graph
    def twice(x: Any) -> Any:
        return double(double(x))

    return [
        double(double(5)),
        total(hf.map(double, [1, 2, 3])),
        hf.map(twice, [7, 8]),
        hf.while_loop(below, double, 1),
        hf.fori_loop(0, 3, lambda index, state: double(state), 100),
        hf.cond(below(double(3)), lambda x: double(x), lambda x: x, 30),
        hf.reduce(lambda left, right: double(more(left, right)), [1, 2, 3]),
    ]


def test_everything_that_ran_stands_under_the_accepted_code(tmp_path: Path) -> None:
    first, second = operation_of("1"), operation_of("2")
    with hf.Session(tmp_path / "work") as session:
        values = session.results(studies(first))
    with hf.Session(tmp_path / "work") as session:
        assert session.plan(studies(second)).calls > 0
        session.accept(second, why="the same in other words")
        assert session.plan(studies(second)).calls == 0
        assert repr(session.results(studies(second))) == repr(values)
        assert session.counts.reasons == {}  # not one call was made
    with hf.Session(tmp_path / "work") as session:  # and lastingly so
        session.results(studies(second))
        assert session.counts.reasons == {}


def test_a_large_result_stands_where_it_is(tmp_path: Path) -> None:
    def fill(x: Any) -> Any:
        import numpy

        return numpy.full(50_000, float(x))

    first, second = (hf.operation(fill, name="accepted.fill", version=version) for version in "12")
    with hf.Session(tmp_path / "work", engine="processes", workers=1) as session:
        session.results([first(1), hf.map(first, [2, 3])])
        stores = len(list((tmp_path / "work" / "nodes").glob("*/*")))
        session.accept(second, why="the same")
        one, ensemble = session.results([second(1), hf.map(second, [2, 3])])
        assert (one[0], ensemble[1][-1]) == (1.0, 3.0)
        assert session.counts.reasons == {"first run": 3}
    assert len(list((tmp_path / "work" / "nodes").glob("*/*"))) == stores


def test_what_is_new_runs_with_the_new_code(tmp_path: Path) -> None:
    first, second = operation_of("1"), operation_of("2", factor=3)
    with hf.Session(tmp_path / "work") as session:
        assert session.result(hf.map(first, [1, 2])).tolist() == [2, 4]
        session.accept(second, why="for old inputs")
        assert session.result(hf.map(second, [1, 2, 3])).tolist() == [2, 4, 9]
        assert (session.result(second(1)), session.result(second(4))) == (2, 12)
        assert session.counts.reasons == {"first run": 2, "new inputs": 2}


def test_a_result_of_the_new_code_goes_before_one_that_stands(tmp_path: Path) -> None:
    first, second = operation_of("1"), operation_of("2", factor=3)
    with hf.Session(tmp_path / "work") as session:
        session.results([first(1), second(1)])
        session.accept(second, why="half of it had run already")
        assert session.result(hf.map(second, [1])).tolist() == [3]


def test_an_acceptance_counts_for_its_operation_only(tmp_path: Path) -> None:
    def triple(x: Any) -> Any:
        return 3 * x

    other = hf.operation(triple, name="accepted.triple", version="2")
    with hf.Session(tmp_path / "work") as session:
        session.results([operation_of("1")(1), hf.operation(triple, name="accepted.triple", version="1")(1)])
        session.accept(operation_of("2"), why="renamed")
        session.results([operation_of("2")(1), other(1)])
        assert session.counts.done == 3


def test_acceptances_reach_back_over_several_changes(tmp_path: Path) -> None:
    third = operation_of("3")(1)
    with hf.Session(tmp_path / "work") as session:
        session.result(operation_of("1")(1))
        session.accept(operation_of("2"), why="first")
        session.accept(operation_of("3"), why="second")
        session.result(third)
        assert session.counts.done == 1
        reasons = [reason for reason in session.explain(third).reasons if reason.cause == "accepted"]
    assert [reason.text.rpartition(": ")[2] for reason in reasons] == ["second", "first"]


def test_who_when_and_why_are_told_also_upstream(tmp_path: Path) -> None:
    with hf.Session(tmp_path / "work") as session:
        session.result(total(hf.map(operation_of("1"), [1])))
    with hf.Session(tmp_path / "work") as session:
        session.accept(operation_of("2"), why="only a new name")
        node = total(hf.map(operation_of("2"), [1]))
        session.result(node)
        explanation = session.explain(node)
    (reason,) = [reason for reason in explanation.reasons if reason.cause == "accepted"]
    assert "only a new name" in reason.text
    assert "@" in reason.text
    assert (reason.operation, reason.upstream) == ("accepted.double", True)
    assert "code" not in [reason.cause for reason in explanation.reasons]


def test_what_is_withdrawn_lets_nothing_more_stand_and_is_still_told(tmp_path: Path) -> None:
    second = operation_of("2", factor=3)
    with hf.Session(tmp_path / "work") as session:
        session.results([total([operation_of("1")(1)]), operation_of("1")(2)])
        session.accept(second, why="a mistake")
        assert session.result(second(1)) == 2
        assert session.result(total([second(1)])) == 2
        assert session.withdraw(second) == 1
        assert session.result(second(2)) == 6
        assert session.result(second(1)) == 2  # a node has one result for ever
        for node in (second(1), total([second(1)])):
            assert "withdrawn since, by" in str(session.explain(node))
        with pytest.raises(NotFound, match=r"No acceptance of .* holds here"):
            session.withdraw(second)
    with hf.Session(tmp_path / "work") as session:
        assert session.result(operation_of("3", factor=3)(1)) == 3  # the way out: another version word
        session.accept(second, why="not a mistake")
        with pytest.raises(NotFound, match="those that hold are from"):
            session.withdraw(second, earlier="zz")
        assert session.withdraw(second, earlier=operation_of("3").implementation.uid[:8]) == 1


def test_of_an_ensemble_a_withdrawn_acceptance_is_told_with_the_change(tmp_path: Path) -> None:
    second = operation_of("2")
    with hf.Session(tmp_path / "work") as session:
        session.result(hf.map(operation_of("1"), [1]))
    with hf.Session(tmp_path / "work") as session:
        session.accept(second, why="a mistake")
        session.result(hf.map(second, [1]))
        session.withdraw(second)
        causes = [reason.cause for reason in session.explain(hf.map(second, [1])).reasons]
    assert causes == ["accepted", "version"]


def test_a_plan_says_what_would_stand_if_a_change_were_accepted(tmp_path: Path) -> None:
    first, second = operation_of("1"), operation_of("2")
    with hf.Session(tmp_path / "work") as session:
        session.results([first(1), hf.map(first, [2, 3])])
        asked = [second(1), hf.map(second, [2, 3, 4])]
        assert session.plan(asked).calls == 4
        assert session.plan(asked, accepting=[second]).calls == 1
        assert session.plan(asked).calls == 4  # it was only a question


def test_others_find_what_was_accepted_before_the_session_ends(tmp_path: Path) -> None:
    with hf.Session(tmp_path / "work") as session:
        session.result(operation_of("1")(1))
        session.accept(operation_of("2"), why="the same")
        with Catalog.open(open_workdir(tmp_path / "work"), read_only=True) as catalog:  # durable before it returns
            (row,) = catalog.find_acceptances()
    assert (row.operation, row.why, row.withdrawn) == ("accepted.double", "the same", "")


# what leads where

CODES = [bytes([number]) * 32 for number in range(6)]


def accepted(pairs: list[tuple[int, int]]) -> list[AcceptanceRow]:
    return [AcceptanceRow("demo.f", CODES[earlier], CODES[later], "me", "", "why") for earlier, later in pairs]


def earlier_than(rows: list[AcceptanceRow], later: int) -> list[int]:
    node = Node(("demo", "f"), {}, (CODES[later].hex(),))
    return [bytes.fromhex(code)[0] for code in Acceptances(rows).earlier(node)]


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), unique=True, max_size=12), st.integers(0, 5))
def test_what_stands_is_what_a_path_of_acceptances_leads_to(pairs: list[tuple[int, int]], later: int) -> None:
    rows = accepted(pairs)
    reached = earlier_than(rows, later)
    assert len(reached) == len(set(reached))
    assert later not in reached
    for earlier in range(6):
        path = path_between(rows, "demo.f", CODES[earlier].hex(), CODES[later].hex())
        assert bool(path) == (earlier in reached)
        if path:
            assert (path[0].later, path[-1].earlier) == (CODES[later], CODES[earlier])
            assert all(first.earlier == second.later for first, second in pairwise(path))


def test_the_latest_acceptance_is_looked_at_first_and_a_withdrawn_one_never() -> None:
    rows = accepted([(1, 3), (2, 3), (0, 2)])
    assert earlier_than(rows, 3) == [2, 1, 0]
    assert earlier_than([*rows[:2], rows[2]._replace(withdrawn="by me")], 3) == [2, 1]


def test_nothing_is_looked_up_twice_where_nothing_was_accepted() -> None:
    asked: list[Any] = []
    look: Callable[[Any], Any] = lambda keys: asked.append(keys) or {}  # noqa: E731
    other = Node(("demo", "g"), {}, (CODES[2].hex(),))
    Acceptances(accepted([(1, 2)])).find(other, [b"key"], [b"{}"], look)
    assert asked == [[b"key"]]
