from __future__ import annotations

from typing import Any

import pytest

import holdfast as hf
from holdfast.errors import GraphError
from holdfast.model.argument import as_input
from holdfast.model.binding import bind
from holdfast.model.node import Node


@hf.operation(name="demo.add")
def add(a: Any, b: Any = 1) -> Any:
    return a + b


def value(item: Any) -> Any:
    return as_input(item, "value")


def test_binding_a_traced_function_is_the_same_as_calling_it() -> None:
    def compose(x: Any, y: Any) -> Any:
        return {"sum": add(x["a"], y), "both": [x["b"], add(add(x["a"], 2), y)]}

    traced = hf.trace(compose, x=hf.Placeholder("x"), y=hf.Placeholder("y"))
    x = {"a": add(1), "b": 3}
    assert bind(traced, {"x": value(x), "y": value(4)}) == compose(value(x), value(4))


def test_binding_reaches_the_bodies_of_loops_inside_ensembles_inside_loops() -> None:
    def outer(limit: Any) -> Any:
        def inner(x: Any) -> Any:
            return hf.while_loop(lambda s: add(s, x), lambda s: hf.map(lambda e: add(e, limit), [s, x]), x)

        return hf.map(inner, [1.0, 2.0])

    traced = hf.trace(outer, limit=hf.Placeholder("limit"))
    assert traced.free == frozenset()
    bound = bind(traced, {"limit": value(6.0)})
    assert bound == outer(value(6.0))


def test_an_inner_graph_never_takes_the_placeholder_of_an_outer_one() -> None:
    same_name = hf.trace(lambda x: hf.map(lambda x: add(x, 1), x), x=hf.Placeholder("x"))
    captured = hf.trace(lambda x: hf.map(lambda y: add(x, 1), x), x=hf.Placeholder("x"))
    assert bind(same_name, {"x": value([1, 2])}) != bind(captured, {"x": value([1, 2])})


def test_names_that_do_not_fit_are_refused() -> None:
    traced = hf.trace(lambda x: add(x), x=hf.Placeholder("x"))
    with pytest.raises(GraphError, match="y wrong or missing"):
        bind(traced, {"y": value(1)})
    with pytest.raises(GraphError, match="x"):
        bind(traced, {})


def test_a_chain_of_many_nodes_is_bound_without_recursion() -> None:
    def chain(x: Any) -> Node:
        for _ in range(20_000):
            x = add(x)
        return x  # type: ignore[no-any-return]

    traced = hf.trace(chain, x=hf.Placeholder("x"))
    bound = bind(traced, {"x": value(0)})
    assert isinstance(bound, Node)
    assert bound == chain(0)
