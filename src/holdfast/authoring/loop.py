"""Write loops and branches: `while_loop`, `fori_loop`, `scan`, `cond`.

Names, argument orders and meaning are those of `jax.lax`. Each call makes one node and runs nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from holdfast.authoring.decorate import Body
from holdfast.authoring.flow import elements
from holdfast.authoring.trace import trace_step
from holdfast.errors import GraphError
from holdfast.model.argument import as_input
from holdfast.model.control import (
    CARRY,
    ELEMENT,
    INDEX,
    STATE,
    cond_node,
    fori_node,
    scan_node,
    while_node,
)
from holdfast.model.graph import check_body
from holdfast.model.node import Node
from holdfast.model.reference import Input, Part, select


def while_loop(
    cond_fun: Body, body_fun: Body, init_val: Any, *, max_iterations: int | None = None, on_max: str = "keep"
) -> Node:
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
        The loop ends after so many rounds even if the condition still holds.
    on_max : {"keep", "raise"}
        What the loop is then: its last state, or failed with `holdfast.errors.IterationLimit`. Either way
        ``session.rounds(loop).ended`` tells, and a loop with a higher limit goes on from there.

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
    condition, body = trace_step(cond_fun, {STATE: initial}), trace_step(body_fun, {STATE: initial})
    for graph in (condition, body):
        check_body(graph, {graph.parameters[0]: body.output})
    return while_node(condition, body, initial, max_iterations, on_max)


def fori_loop(lower: Any, upper: Any, body_fun: Body, init_val: Any) -> Node:
    """Return a loop over the integers from `lower` to below `upper`.

    Parameters
    ----------
    lower, upper : int or node
        Bounds; a node's value is known when the loop begins. With `upper` not above `lower` the value is `init_val`.
    body_fun : operation, graph function or callable
        Takes the integer and the state, gives the next state.
    init_val : value, node, or list or dictionary of these
        The first state.

    Returns
    -------
    Node
        Its value is the last state. Every round is kept; a loop with a higher `upper` goes on after the last one.

    Examples
    --------
    >>> import holdfast as hf
    >>> add = hf.operation(lambda i, total: i + total, name="demo.add")
    >>> hf.fori_loop(0, 10, add, 0).name
    'holdfast.fori_loop'
    """
    first, end, initial = as_input(lower, "lower"), as_input(upper, "upper"), as_input(init_val, "init_val")
    body = trace_step(body_fun, {INDEX: first, STATE: initial})
    check_body(body, {body.parameters[1]: body.output})
    return fori_node(first, end, body, initial)


def scan(f: Body, init: Any, xs: Any = None, length: int | None = None) -> tuple[Part, Part]:
    """Return a loop that carries a state along the elements of `xs`, and what it gives for each of them.

    Parameters
    ----------
    f : operation, graph function or callable
        Takes the state and an element; gives a pair: the next state, and an output to be kept.
    init : value, node, or list or dictionary of these
        The first state.
    xs : array, list or node, or dictionary of these, optional
        Elements along the outermost axis. Of a dictionary, all of one width, `f` receives a dictionary; of None, None.
    length : int, optional
        The number of rounds: needed if `xs` is None, else checked.

    Returns
    -------
    (carry, ys) : pair of references
        The last state, and the outputs: an array ``[n, ...]`` if they are alike and numeric, else a list.

    Examples
    --------
    >>> import holdfast as hf
    >>> step = hf.operation(lambda total, x: [total + x, total * x], name="demo.step")
    >>> carry, ys = hf.scan(step, 0.0, [1.0, 2.0, 3.0])
    """
    initial = as_input(init, "init")
    body = trace_step(f, {CARRY: initial, ELEMENT: None})
    if isinstance(body.output, Mapping) or (isinstance(body.output, list) and len(body.output) != 2):
        raise GraphError(
            f"What hf.scan applies has to give a pair, the next state and an output, and not {body.output!r}."
        )
    check_body(body, {body.parameters[0]: select(body.output, (0,))})
    node = scan_node(body, initial, _sequences(xs), length)
    return node["carry"], node["ys"]


def cond(pred: Any, true_fun: Body, false_fun: Body, *operands: Any) -> Node:
    """Return a branch: `true_fun` or `false_fun` applied to the operands, as a value decides that is known at run time.

    Parameters
    ----------
    pred : bool or node
        Has to be True or False.
    true_fun, false_fun : operation, graph function or callable
        Take the operands. Nothing is computed that only the branch not taken needs, operands included.
    *operands : value, node, or list or dictionary of these

    Returns
    -------
    Node
        Its value is what the chosen branch gives; the two need not be alike.

    Examples
    --------
    >>> import holdfast as hf
    >>> negate = hf.operation(lambda x: -x, name="demo.negate")
    >>> hf.cond(True, negate, lambda x: x, 3.0).name
    'holdfast.cond'
    """
    given = {f"operand_{index}": as_input(operand, f"operand {index}") for index, operand in enumerate(operands)}
    branches = trace_step(true_fun, given), trace_step(false_fun, given)
    return cond_node(as_input(pred, "pred"), *branches, list(given.values()))


def _sequences(xs: Any) -> Input | None:
    if xs is None:
        return None
    if isinstance(xs, dict):
        if not xs:
            raise GraphError("hf.scan was given an empty dictionary. Give at least one sequence, or None and a length.")
        return {label: elements(sequence, f"xs[{label!r}]", "hf.scan") for label, sequence in xs.items()}
    return elements(xs, "xs", "hf.scan")
