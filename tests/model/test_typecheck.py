"""Types are followed through the graph, and what cannot fit is refused when it is built."""

from __future__ import annotations

from typing import Any

import numpy
import pytest

import holdfast as hf


@hf.operation(name="demo.number")
def number(x: float) -> float:
    return x


@hf.operation(name="demo.word")
def word(x: Any) -> str:
    return str(x)


@hf.operation(name="demo.whole")
def whole(x: int) -> int:
    return x


@hf.operation(name="demo.spread")
def spread(x: float) -> numpy.ndarray:
    return numpy.full(3, x)


@hf.operation(name="demo.total")
def total(xs: numpy.ndarray) -> float:
    return float(xs.sum())


@hf.operation(name="demo.anything")
def anything(x: Any) -> Any:
    return x


REFUSED = "declares its input"


def test_a_mismatch_between_two_nodes_names_both_and_the_types() -> None:
    with pytest.raises(
        hf.GraphError, match=r"demo.number declares its input 'x' as float, .*<demo.word \w+>, which is str"
    ):
        number(word(1))
    with pytest.raises(hf.GraphError, match="'x' as int"):
        whole(number(1.0))
    assert number(whole(1)).name == "demo.number"
    assert whole(anything(number(1.0))).name == "demo.whole"


def test_parts_of_arrays_have_the_type_of_an_element() -> None:
    assert number(spread(1.0)[0]).name == "demo.number"
    with pytest.raises(hf.GraphError, match=REFUSED):
        number(spread(1.0))
    with pytest.raises(hf.GraphError, match=REFUSED):
        total(number(1.0))


def test_members_of_ensembles_are_checked_by_the_type_of_the_elements() -> None:
    assert total(hf.map(number, [1.0, 2.0])).name == "demo.total"
    assert number(hf.map(number, [1, 2])[1]).name == "demo.number"
    for over in (["a", "b"], [1.0, "b"][1:], numpy.zeros((2, 3)), hf.map(word, [1, 2])):
        with pytest.raises(hf.GraphError, match=REFUSED):
            hf.map(number, over)
    with pytest.raises(hf.GraphError, match=REFUSED):
        number(hf.map(number, [1.0, 2.0]))


def test_the_state_of_a_loop_is_checked_at_its_beginning_and_from_round_to_round() -> None:
    is_small = hf.operation(lambda x: x < 3, name="demo.is_small")
    assert number(hf.while_loop(is_small, number, 1.0)).name == "demo.number"
    with pytest.raises(hf.GraphError, match=r"demo.number"):
        hf.while_loop(is_small, number, "a")
    with pytest.raises(hf.GraphError, match=r"demo.whole"):
        hf.while_loop(whole, number, 1)
    with pytest.raises(hf.GraphError, match=r"demo.number"):
        hf.while_loop(
            is_small,
            lambda s: {"x": number(s["x"]), "y": word(s["y"]), "z": number(s["y"])},
            {"x": 1.0, "y": 2, "z": 0},
        )
    with pytest.raises(hf.GraphError, match=r"demo.total"):
        total(hf.while_loop(is_small, number, 1.0))


def test_binding_checks_as_calling_does() -> None:
    traced = hf.trace(lambda x: number(x), x=hf.Placeholder("x"))
    with pytest.raises(hf.GraphError, match=r"demo.number"):
        traced.bind(x="a")
    with pytest.raises(hf.GraphError, match=r"demo.number"):
        number(1.0).replace(x="a")
    typed = hf.trace(anything, x=hf.Placeholder("x", float, ("n", 3)))
    with pytest.raises(hf.GraphError, match=r"graph of x .*'x' as scalems.Float64 of shape \(n, 3\)"):
        typed.bind(x=numpy.zeros(3))
    assert typed.bind(x=numpy.zeros((2, 3))) == anything(numpy.zeros((2, 3)))


def test_a_typed_placeholder_is_checked_while_it_is_traced() -> None:
    with pytest.raises(hf.GraphError, match=r"demo.number"):
        hf.trace(number, x=hf.Placeholder("x", str))
    assert hf.trace(number, x=hf.Placeholder("x", ["scalems", "Float64"])).parameters == ("x",)


def test_types_leave_the_uids_of_bodies_as_they_are() -> None:
    over_numbers, over_something = hf.map(number, [1.0]), hf.map(number, anything(1))
    assert over_numbers.inputs["body"] == over_something.inputs["body"]
    (hole,) = over_numbers.inputs["body"].placeholders
    assert hole.record["input"]["data"] == {"datatype": None, "level": 0, "name": "x", "shape": None}
