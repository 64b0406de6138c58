from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy
import pytest

import holdfast as hf
from holdfast.errors import GraphError, IterationLimit
from holdfast.runtime.rounds import LoopEnd


@hf.operation
def add(a: Any, b: Any = 1) -> Any:
    return a + b


@hf.operation
def running(total: float, x: float) -> Any:
    return [total + x, total * x]


@hf.operation
def below(x: float, limit: float) -> bool:
    return x < limit


def test_a_fori_loop_counts_from_lower_to_below_upper(session: hf.Session) -> None:
    assert session.result(hf.fori_loop(0, 5, add, 0)) == 10
    assert session.result(hf.fori_loop(3, 5, lambda i, s: {"i": i, "s": add(s["s"], i)}, {"i": 0, "s": 0})) == {
        "i": 4,
        "s": 7,
    }
    assert session.result(hf.fori_loop(5, 3, add, "first")) == "first"
    assert session.result(hf.fori_loop(add(0), add(2), add, 0)) == 3


def test_a_fori_loop_with_a_higher_bound_goes_on(tmp_path: Path, counted: Any, ran: Any) -> None:
    def loop(upper: int) -> Any:
        return hf.fori_loop(0, upper, lambda i, s: counted(add(s, i)), 0)

    with hf.Session(tmp_path / "work") as session:
        session.result(loop(10))
    with hf.Session(tmp_path / "work") as session:
        assert session.result(loop(15)) == sum(range(15))
        assert session.counts.done == 10, "five rounds of two calls"
        assert session.result(loop(4)) == 6
    assert len(ran()) == 15


def test_a_scan_carries_a_state_and_stacks_the_outputs(session: hf.Session) -> None:
    carry, ys = hf.scan(running, 0.0, [1.0, 2.0, 3.0])
    assert session.result(carry) == 6.0
    assert session.result(ys).tolist() == [0.0, 2.0, 9.0]
    carry, ys = hf.scan(
        lambda c, x: (add(c, x["a"]), {"seen": x["b"]}), 0, {"a": numpy.arange(3), "b": ["p", "q", "r"]}
    )
    assert session.result((carry, ys)) == [3, [{"seen": "p"}, {"seen": "q"}, {"seen": "r"}]]
    assert session.result(hf.scan(lambda c, _: (add(c), c), 0, length=3)) == [3, pytest.approx([0, 1, 2])]
    assert session.result(hf.scan(lambda c, x: (c, x), 0, [])) == [0, []]
    values = hf.map(lambda n: {"n": n}, range(3))
    assert session.result(hf.scan(lambda c, x: (add(c, x["n"]), x), 0, values)[0]) == 3


def test_bad_inputs_of_counted_loops_are_refused_with_their_name(session: hf.Session) -> None:
    with pytest.raises(GraphError, match="'upper' bound, expected an integer"):
        hf.fori_loop(0, 2.5, add, 0)
    with pytest.raises(GraphError, match="xs, length, or both"):
        hf.scan(running, 0.0)
    with pytest.raises(GraphError, match=r"'a' has 2, 'b' has 3"):
        hf.scan(lambda c, x: (c, x), 0.0, {"a": [1, 2], "b": [1, 2, 3]})
    with pytest.raises(GraphError, match="pair"):
        hf.scan(lambda c, x: {"carry": c}, 0.0, [1])
    with pytest.raises(GraphError, match="cannot be traced"):
        hf.fori_loop(0, 3, lambda i: i, 0)
    with pytest.raises(hf.OperationFailed, match="expected an integer"):
        session.result(hf.fori_loop(0, add(1.0), add, 0))
    with pytest.raises(hf.OperationFailed, match="unequal widths"):
        session.result(hf.scan(lambda c, x: (c, x), 0.0, hf.gather([add(1), add(2)]), length=3))


def test_rounds_can_be_looked_at_while_a_loop_is_open_and_after(tmp_path: Path) -> None:
    fragile = hf.operation(lambda x: 1 / (x - 4) and x + 1, name="demo.fragile")
    loop = hf.while_loop(lambda x: below(x, 6), fragile, 0)
    with hf.Session(tmp_path / "work") as session:
        assert len(session.rounds(loop)) == 0
        with pytest.raises(hf.OperationFailed):
            session.result(loop)
    with hf.Session(tmp_path / "work") as session:
        rounds = session.rounds(loop)
        assert list(rounds) == [1, 2, 3, 4]
        assert (rounds[-1], rounds[1:3], rounds.ended) == (4, [2, 3], LoopEnd.OPEN)
        with pytest.raises(IndexError):
            rounds[4]
        session.result(hf.fori_loop(0, 3, lambda i, s: {"s": add(s["s"], i)}, {"s": 0}))
        assert list(session.rounds(hf.fori_loop(0, 3, lambda i, s: {"s": add(s["s"], i)}, {"s": 0}))) == [
            {"s": 0},
            {"s": 1},
            {"s": 3},
        ]
        shorter = session.rounds(hf.fori_loop(0, 2, lambda i, s: {"s": add(s["s"], i)}, {"s": 0}))
        assert (list(shorter), shorter.ended) == ([{"s": 0}, {"s": 1}], LoopEnd.OPEN), (
            "rounds are there, its result is not"
        )
        carry, _ = hf.scan(running, 0.0, [1.0, 2.0])
        session.result(carry)
        assert list(session.rounds(carry)) == [[1.0, 0.0], [3.0, 2.0]]
        assert session.rounds(carry).ended is LoopEnd.COUNT
        with pytest.raises(GraphError, match="has no rounds"):
            session.rounds(add(1))


def test_a_loop_that_reaches_its_limit_says_so_and_goes_on_with_a_higher_one(session: hf.Session) -> None:
    def loop(rounds: int, on_max: str = "keep", limit: float = 6) -> Any:
        return hf.while_loop(lambda x: below(x, limit), add, 0, max_iterations=rounds, on_max=on_max)

    assert session.result(loop(3)) == 3
    assert session.rounds(loop(3)).ended is LoopEnd.LIMIT
    with pytest.raises(IterationLimit, match=r"session\.rounds") as caught:
        session.result(add(loop(4, "raise")))
    assert caught.value.rounds == 4
    assert session.status(loop(4, "raise")) is hf.NodeState.FAILED
    assert session.result(loop(6, "raise")) == 6
    assert session.rounds(loop(6, "raise")).ended is LoopEnd.CONDITION
    assert session.counts.done == 6 + 7 + 0, "each round and each answer once"
    with pytest.raises(GraphError, match="'keep' or 'raise'"):
        loop(3, "ignore")
    with pytest.raises(GraphError, match="needs a limit"):
        hf.while_loop(lambda x: below(x, 1), add, 0, on_max="raise")


def test_restarting_costs_the_same_after_few_rounds_and_after_many(tmp_path: Path) -> None:
    assert restart_statements(tmp_path / "few", 10) == restart_statements(tmp_path / "many", 2_000)


def restart_statements(folder: Path, rounds: int) -> dict[str, int]:
    """Return how many statements the catalog runs to go on with one more round, for each kind of loop."""

    def loops(more: int) -> dict[str, Any]:
        return {
            "while": hf.while_loop(lambda x: below(x, 1e9), add, 0, max_iterations=rounds + more),
            "fori": hf.fori_loop(0, rounds + more, lambda i, s: add(s, 2), 0),
        }

    with hf.Session(folder, durability="process") as session:
        session.results(list(loops(0).values()))
    counts = {}
    with hf.Session(folder, durability="process") as session:
        for name, loop in loops(1).items():
            statements: list[str] = []
            session._catalog._database._connection.set_trace_callback(statements.append)
            session.result(loop)
            counts[name] = len(statements)
    return counts
