from __future__ import annotations

from typing import Any

import numpy
import pytest
from hypothesis import given
from hypothesis import strategies as st

import holdfast as hf
from holdfast.errors import InvalidData
from holdfast.model.graph import concrete


@hf.operation(name="demo.add", version="1")
def add(a: Any, b: Any = 1) -> Any:
    return a + b


def test_what_is_not_bound_stays_open() -> None:
    def compose(x: Any, y: Any, z: Any) -> Any:
        return {"sum": add(add(x, y), z), "all": hf.map(lambda e: add(e, y), [1, 2])}

    traced = hf.trace(compose, x=hf.Placeholder("x"), y=hf.Placeholder("y"), z=hf.Placeholder("z"))
    partly = traced.bind(y=5)
    assert partly.parameters == ("x", "z")
    assert len(partly.uid) == 64
    assert partly == hf.trace(lambda x, z: compose(x, 5, z), x=hf.Placeholder("x"), z=hf.Placeholder("z"))
    assert partly.bind(z=2).bind(x=1)["sum"] == compose(1, 5, 2)["sum"]
    assert partly.bind(x=1, z=2)["all"] == compose(1, 5, 2)["all"]
    with pytest.raises(hf.GraphError, match="no placeholder 'y'; it has: x, z"):
        partly.bind(y=1)


def test_a_graph_is_printed_with_one_line_for_each_node() -> None:
    traced = hf.trace(
        lambda x, y: {"last": add(add(x["a"][2], y), 2), "all": hf.map(lambda e: add(e, x["a"]), y)},
        x=hf.Placeholder("x"),
        y=hf.Placeholder("y", float, ("n", None)),
    )
    lines = str(traced).splitlines()
    body = traced.output["all"].inputs["body"]  # type: ignore[index, call-overload, union-attr]
    assert lines[0] == f"{traced!r} (x, y: Float64(n, any))"
    assert "  %2 = demo.add(a=x.a[2], b=y)" in lines
    assert "  %3 = demo.add(a=%2, b=2)" in lines
    assert f"  %1 = holdfast.map(body={body!r}, over={{e: y}})" in lines
    assert "  return {last: %3, all: %1}" in lines
    assert f"{body!r} (e)" in lines


def test_a_deep_graph_is_printed_without_recursion() -> None:
    def chain(x: Any) -> Any:
        for _ in range(5000):
            x = add(x)
        return x

    assert str(hf.trace(chain, x=hf.Placeholder("x"))).count("\n") == 5001


@pytest.mark.parametrize("shape", [(-1,), (1.5,), "n", (True,), ("",)])
def test_a_shape_that_is_none_is_refused(shape: Any) -> None:
    with pytest.raises(InvalidData, match="'x' has the shape"):
        hf.Placeholder("x", float, shape)


@pytest.mark.parametrize("datatype", [object, "float", numpy.ndarray, 3, ("scalems",)])
def test_a_datatype_that_is_none_is_refused(datatype: Any) -> None:
    with pytest.raises(hf.GraphError, match="no data type"):
        hf.Placeholder("x", datatype)


def test_types_of_python_and_numpy_name_data_types() -> None:
    for given_type, datatype in [
        (float, hf.Float64),
        (numpy.float64, hf.Float64),
        (numpy.bool_, hf.Boolean),
        (str, hf.String),
    ]:
        assert hf.Placeholder("x", given_type) == hf.Placeholder("x", datatype)
    assert hf.Placeholder("x", numpy.float32).datatype == ("scalems", "Float32")


STEPS = st.lists(
    st.tuples(st.sampled_from(["add", "part", "map", "loop"]), st.integers(0, 50), st.integers(0, 50)), max_size=8
)


def build(steps: list[tuple[str, int, int]], x: Any, y: Any) -> Any:
    """Compose a graph; each step uses two of what there is so far."""
    made = [x, y]
    for kind, first, second in steps:
        a, b = made[first % len(made)], made[second % len(made)]
        if kind == "add":
            made.append(add(a, b))
        elif kind == "part":
            made.append({"both": [a, add(b, first)]})
        elif kind == "map":
            made.append(hf.map(lambda e, b=b: add(e, b), [1, 2, first]))
        else:
            made.append(
                hf.while_loop(lambda s, a=a: add(s, a), lambda s, b=b: add(s, hf.map(lambda e: add(e, b), [s])), a)
            )
    return made[2:]


@given(STEPS, st.integers(-9, 9), st.lists(st.integers(0, 9), min_size=1))
def test_binding_a_random_graph_is_the_same_as_building_it(steps: Any, x: int, y: list[int]) -> None:
    given_x, given_y = add(x), hf.map(add, y)
    traced = hf.trace(lambda x, y: build(steps, x, y), x=hf.Placeholder("x"), y=hf.Placeholder("y"))
    direct = build(steps, given_x, given_y)
    assert traced.bind(x=given_x, y=given_y) == direct
    assert traced.bind(y=given_y).bind(x=given_x) == direct
    assert traced.bind(x=given_x).bind(y=given_y) == direct


def test_concrete_nodes_are_found_behind_inputs_and_in_bodies_once_each() -> None:
    first, second, third = add(1, 2), add(3, 4), add(5, 6)
    ensemble = hf.map(lambda x: add(add(x, second), add(second, third)), x=[first, first])
    inner = add(second, third)
    assert {node.uid for node in concrete(ensemble)} == {node.uid for node in (ensemble, first, second, third, inner)}
    assert {node.uid for node in concrete(ensemble.inputs, deep=False)} == {first.uid, second.uid, inner.uid}
    assert {node.uid for node in concrete(ensemble, [first.uid, inner.uid])} == {
        ensemble.uid,
        first.uid,
        second.uid,
        inner.uid,
    }
