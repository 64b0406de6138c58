from __future__ import annotations

from typing import Any

import numpy
import pytest

import holdfast as hf
from holdfast.errors import GraphError, InvalidData
from holdfast.model.control import check_control


@hf.operation
def is_large(x: float) -> bool:
    return x > 10


@hf.operation
def add(a: Any, b: Any = 1) -> Any:
    return a + b


def test_a_branch_is_chosen_by_a_value_that_is_known_at_run_time(session: hf.Session) -> None:
    def clipped(x: Any) -> Any:
        return hf.cond(is_large(x), lambda y: {"y": 10}, lambda y: {"y": add(y)}, x)

    assert session.result(clipped(add(20))) == {"y": 10}
    assert session.result(clipped(add(2))["y"]) == 4
    assert session.result(hf.map(clipped, [1, 30])["y"]).tolist() == [2, 10]
    assert session.result(hf.cond(False, lambda: 1, lambda: 2)) == 2


def test_the_branch_not_taken_costs_nothing(session: hf.Session, counted: Any, ran: Any) -> None:
    costly, cheap, outside = counted("costly"), counted("cheap"), counted("outside")
    node = hf.cond(is_large(add(1)), lambda a, b: add(a, outside), lambda a, b: b, costly, cheap)
    assert session.result(node) == "cheap"
    assert ran() == ["cheap"]
    assert session.status(costly) is hf.NodeState.DECLARED


def test_what_decides_has_to_be_a_boolean(session: hf.Session) -> None:
    with pytest.raises(GraphError, match="True, False, or a node"):
        hf.cond(1, lambda: 1, lambda: 2)
    with pytest.raises(hf.OperationFailed, match="its predicate is 2"):
        session.result(hf.cond(add(1), lambda: 1, lambda: 2))
    with pytest.raises(GraphError, match="cannot be traced"):
        hf.cond(True, lambda: 1, lambda x: 2, 3)


def test_a_failure_of_the_branch_is_that_of_the_node(session: hf.Session) -> None:
    fail = hf.operation(lambda x: 1 / x, name="demo.fail")
    with pytest.raises(hf.OperationFailed, match="ZeroDivisionError"):
        session.result(hf.cond(is_large(11), fail, add, 0))
    assert session.result(hf.cond(is_large(1), fail, add, 0)) == 1


def test_branches_nest_in_loops_and_loops_in_branches(session: hf.Session) -> None:
    def body(x: Any) -> Any:
        return hf.cond(is_large(x), lambda y: add(y, 100), lambda y: hf.fori_loop(0, 3, lambda i, s: add(s, 2), y), x)

    below = hf.operation(lambda x: x < 50, name="demo.below")
    assert session.result(hf.while_loop(below, body, 0)) == 112


def test_all_control_flow_travels_in_a_document(session: hf.Session) -> None:
    nodes = {
        "cond": hf.cond(is_large(add(3)), add, lambda x: x, 5),
        "fori": hf.fori_loop(0, add(2), lambda i, s: add(s, i), 0),
        "scan": hf.scan(lambda c, x: (add(c, x), c), 0, [1, 2, 3])[1],
        "reduce": hf.reduce(add, [1, 2, 3]),
        "scatter": hf.map(add, hf.scatter(numpy.ones((2, 3)), axis=1), b=hf.broadcast(1)),
        "limited": hf.while_loop(is_large, add, 11, max_iterations=2, on_max="raise"),
    }
    text = hf.WorkGraph(nodes).to_json()
    graph = hf.WorkGraph.from_json(text, hf.allow(is_large, add))
    assert graph.to_json() == text
    assert session.result(graph["fori"]) == session.result(nodes["fori"]) == 3
    assert session.result(graph["scatter"]).tolist() == session.result(nodes["scatter"]).tolist()
    with pytest.raises(InvalidData, match="on_min"):
        hf.WorkGraph.from_json(text.replace('"on_max"', '"on_min"'), hf.allow(is_large, add))


@pytest.mark.parametrize(
    ("node", "change", "said"),
    [
        (hf.fori_loop(0, 2, add, 0), {"lower": 0.5}, "'lower' bound"),
        (hf.scan(lambda c, x: (c, x), 0, [1], length=1)[0].source, {"length": -1}, "number of rounds"),
        (hf.cond(True, add, add, 1), {"operands": [1, 2]}, "has to take 2 inputs"),
        (hf.cond(True, add, add, 1), {"operands": {"x": 1}}, "no list"),
        (hf.reduce(add, [1, 2]), {"over": 3}, "no axis"),
        (hf.while_loop(is_large, add, 1, max_iterations=1, on_max="raise"), {"on_max": "keep"}, "on_max is"),
    ],
)
def test_a_document_cannot_hold_control_flow_that_could_not_be_written(node: Any, change: Any, said: str) -> None:
    wrong = node.replace(**change)
    with pytest.raises(GraphError, match=said):
        check_control(wrong.scope, wrong.inputs)
