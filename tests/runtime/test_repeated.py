from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy
import pytest

import holdfast as hf
from holdfast.model.graph import sole_call


@hf.operation
def add(a: Any, b: Any = 1) -> Any:
    return a + b


@hf.operation
def below(x: Any, limit: float) -> bool:
    return bool(x < limit)


@hf.operation
def fail_at(x: int, number: int) -> int:
    if x == number:
        raise ValueError(f"no {number} today")
    return x + 1


@hf.operation
def grow(values: Any) -> Any:
    return values + 1


@hf.operation
def follow_on(x: int) -> Any:
    return add(x, 2) if x < 5 else x


def is_single(body: Any, *values: Any) -> bool:
    """Whether a body is made without nodes."""
    holes = {f"p{number}": hf.Placeholder(f"p{number}") for number in range(len(values))}
    return sole_call(hf.trace(lambda **found: body(*found.values()), **holes)) is not None


def test_only_what_is_a_single_call_is_repeated_without_nodes() -> None:
    outside = add(1)
    assert is_single(lambda s: add(s, outside), 0)
    assert is_single(lambda i, s: {"last": s, "next": add(s["next"], i)}, 0, 0)
    assert not is_single(lambda s: add(add(s)), 0)
    assert not is_single(lambda s: hf.fori_loop(0, 2, add, s), 0)
    assert not is_single(lambda i, s: [s[1], s[0]], 0, 0)


@pytest.mark.parametrize("engine", ["in_process", "processes"])
def test_a_loop_leaves_what_its_nodes_would_leave(tmp_path: Path, engine: str, counted: Any, ran: Any) -> None:
    by_hand = add(add(counted(0)))
    with hf.Session(tmp_path / "work", engine=engine, workers=2) as session:
        assert session.result(hf.fori_loop(0, 2, lambda i, s: add(s), counted(0))) == 2
        assert session.status(by_hand) is hf.NodeState.DONE
        assert session.explain(by_hand).reasons
        done = session.counts.done
        assert session.result(by_hand) == 2
        assert session.counts.done == done == 3
    assert len(ran()) == 1


def test_rounds_whose_calls_were_made_before_are_found_however_many_they_are(tmp_path: Path) -> None:
    node: Any = 0
    for _ in range(2_000):
        node = add(node)
    with hf.Session(tmp_path / "work") as session:
        session.result(node)
        done = session.counts.done
        assert session.result(hf.fori_loop(0, 2_000, lambda i, s: add(s), 0)) == 2_000
        assert session.counts.done == done


def test_what_a_body_takes_from_outside_is_computed_once(tmp_path: Path, counted: Any, ran: Any) -> None:
    outside = counted(9)
    with hf.Session(tmp_path / "work") as session:
        assert session.result(hf.fori_loop(0, 5, lambda i, s: add(s, outside), 0)) == 45
        states = session.result(hf.fori_loop(0, 2, lambda i, s: {"sum": add(s["sum"], i), "kept": outside}, {"sum": 1}))
        assert states == {"sum": 2, "kept": 9}
    assert len(ran()) == 1


def test_what_fails_outside_fails_the_loop_and_is_named(session: hf.Session) -> None:
    broken = fail_at(3, 3)
    with pytest.raises(hf.OperationFailed, match="no 3 today"):
        session.result(hf.fori_loop(0, 5, lambda i, s: add(s, broken), 0))


def test_a_round_that_fails_is_named_and_tried_again_when_asked_for(tmp_path: Path) -> None:
    loop = hf.fori_loop(0, 5, lambda i, s: fail_at(s, 3), 0)
    with hf.Session(tmp_path / "work") as session:
        for _ in range(2):
            with pytest.raises(hf.OperationFailed, match=r"fail_at[\s\S]*no 3 today") as failure:
                session.result(loop)
            assert '"number":3,"x":3' in str(failure.value)
        assert session.counts.waiting == 0
    with hf.Session(tmp_path / "work") as session:
        assert list(session.rounds(loop)) == [1, 2, 3]


def test_a_condition_of_several_calls_sees_the_state_of_a_body_of_one(tmp_path: Path) -> None:
    loop = hf.while_loop(lambda x: below(add(x, 1), 2_000), add, 0)
    with hf.Session(tmp_path / "work") as session:
        assert session.result(loop) == 1_999


def test_a_state_may_name_results_of_earlier_rounds(session: hf.Session) -> None:
    fibonacci = hf.fori_loop(0, 50, lambda i, s: {"a": s["b"], "b": add(s["a"], s["b"])}, {"a": 0, "b": 1})
    assert session.result(fibonacci)["a"] == 12_586_269_025
    assert session.rounds(fibonacci)[9] == {"a": 55, "b": 89}


@pytest.mark.parametrize("engine", ["in_process", "threads", "processes"])
def test_a_state_that_is_a_large_array_goes_round(tmp_path: Path, engine: str) -> None:
    loop = hf.while_loop(
        lambda x: below(x["values"][0], 6), lambda x: {"values": grow(x["values"])}, {"values": start()}
    )
    for _ in range(2):
        with hf.Session(tmp_path / "work", engine=engine, workers=2) as session:
            assert session.result(loop)["values"].tolist() == (start() + 6).tolist()
            assert session.rounds(loop)[2]["values"][7] == 10
    longer = hf.while_loop(
        lambda x: below(x["values"][0], 8), lambda x: {"values": grow(x["values"])}, {"values": start()}
    )
    with hf.Session(tmp_path / "work", engine=engine, workers=2) as session:
        assert session.result(longer)["values"][0] == 8
        assert session.counts.done == 11, "two rounds, and what another condition says of nine states"


def start() -> Any:
    return numpy.arange(50_000)


def test_a_round_may_return_nodes(session: hf.Session) -> None:
    assert session.result(hf.fori_loop(0, 4, lambda i, s: follow_on(s), 0)) == 6


def test_loops_side_by_side_share_their_calls(tmp_path: Path) -> None:
    def steps(start: Any) -> Any:
        return hf.fori_loop(0, 20, lambda i, s: add(s), start)

    with hf.Session(tmp_path / "work") as session:
        assert session.result(hf.map(steps, numpy.arange(30))).tolist() == list(range(20, 50))
        assert session.counts.reasons == {"first run": 49}, "each call is made once"
