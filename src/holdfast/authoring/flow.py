"""Write loops and ensembles: `map`, `while_loop`, `gather`.

The names and argument orders are those of JAX. Each call makes one node and runs nothing.
"""

from __future__ import annotations

from typing import Any

from holdfast.authoring.decorate import Body, parameter_names
from holdfast.authoring.trace import trace, trace_step
from holdfast.errors import GraphError
from holdfast.model.control import STATE, gather_node, map_node, while_node
from holdfast.model.datatype import as_input, pack
from holdfast.model.graph import check_body
from holdfast.model.node import Node
from holdfast.model.placeholder import Placeholder
from holdfast.model.reference import Input, Reference
from holdfast.model.typecheck import element_type, type_of


def map(f: Body, *xs: Any, **named_xs: Any) -> Node:  # noqa: A001 (JAX's name)
    """Return an ensemble: `f` applied to each element along the outermost axis of its inputs, in parallel.

    Parameters
    ----------
    f : operation, graph function or callable
        Takes one element of each input. A plain function composes operations, as one marked with `hf.graph` does.
    *xs, **named_xs : array, list, range or node
        Inputs of equal width, by position or name; one of width 1 broadcasts. A node's width need not be known yet.

    Returns
    -------
    Node
        Its value is an array ``[n, ...]`` if the members are alike and numeric, else a list. ``ensemble[3]`` is a member.

    Raises
    ------
    GraphError
        The widths differ, or an input has no axis.

    Examples
    --------
    >>> import holdfast as hf
    >>> square = hf.operation(lambda x: x * x, name="demo.square")
    >>> hf.map(square, [1.0, 2.0, 3.0]).name
    'holdfast.map'
    """
    names = parameter_names(f)
    if len(xs) > len(names):
        raise GraphError(f"hf.map was given {len(xs)} inputs, but {f!r} takes {len(names)}.")
    given = dict(zip(names, xs, strict=False))
    if twice := sorted(given.keys() & named_xs.keys()):
        raise GraphError(f"hf.map was given its input {twice[0]!r} twice.")
    over = {label: _elements(value, label) for label, value in {**given, **named_xs}.items()}
    body = trace(f, **{label: _element(label, item) for label, item in over.items()})
    return map_node(body, over)


def while_loop(cond_fun: Body, body_fun: Body, init_val: Any, *, max_iterations: int | None = None) -> Node:
    """Return a loop: `body_fun` applied to the state as long as `cond_fun` holds.

    Parameters
    ----------
    cond_fun : operation, graph function or callable
        Takes the state, gives a Boolean; evaluated before each round.
    body_fun : operation, graph function or callable
        Takes the state, gives the next one, with the same labels.
    init_val : value, node, or list or dictionary of these
        The first state.
    max_iterations : int, optional
        The loop ends after so many rounds even if the condition still holds; its value is then the last state.

    Returns
    -------
    Node
        Its value is the last state; ``loop["label"]`` is a part of it.

    Examples
    --------
    >>> import holdfast as hf
    >>> below = hf.operation(lambda x: x < 6.0, name="demo.below")
    >>> add = hf.operation(lambda x: x + 1.0, name="demo.add")
    >>> hf.while_loop(below, add, 1.0, max_iterations=10).name
    'holdfast.while_loop'
    """
    initial = as_input(init_val, "init_val")
    condition, body = trace_step(cond_fun, STATE, initial), trace_step(body_fun, STATE, initial)
    for graph in (condition, body):
        check_body(graph, {STATE: body.output})
    return while_node(condition, body, initial, max_iterations)


def gather(members: Any) -> Node:
    """Return one value made of many: an array if the members are alike and numeric, else a list.

    Parameters
    ----------
    members : node or list of nodes and values

    Examples
    --------
    >>> gather([1.0, 2.0]).name
    'holdfast.gather'
    """
    return gather_node(as_input(members, "members"))


def _element(label: str, over: Input) -> Placeholder:
    return Placeholder(label, output_type=element_type(type_of(over, deep=True)))


def _elements(value: Any, label: str) -> Input:
    if isinstance(value, Reference):
        return value
    if isinstance(value, range):
        import numpy

        return as_input(numpy.arange(value.start, value.stop, value.step), label)
    if isinstance(value, (list, tuple)):
        packed = pack(list(value))
        return as_input(value, label) if packed is None else packed
    if isinstance(value, dict) or not hasattr(value, "__array__"):
        raise GraphError(
            f"hf.map runs over {label!r}, which is a {type(value).__name__} and has no elements. Give a list or an array."
        )
    return as_input(value, label)
