"""Describe loops and ensembles: nodes without code, which the scheduler expands.

Pure. Each function makes one node; a body is an abstract graph, referred to by its uid.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from holdfast.errors import GraphError
from holdfast.model.datatype import DataNode, Integer64, as_input
from holdfast.model.graph import Graph
from holdfast.model.node import Node
from holdfast.model.operation import BUILT_IN
from holdfast.model.reference import Input
from holdfast.model.typecheck import either, ensemble_type, type_of

MAP = (BUILT_IN, "map")
GATHER = (BUILT_IN, "gather")
WHILE_LOOP = (BUILT_IN, "while_loop")

STATE = "state"
"""Name of the placeholder of a loop's condition and body."""


def map_node(body: Graph, over: Mapping[str, Input]) -> Node:
    """Return the ensemble of `body` over the outermost axis of each input."""
    if not over:
        raise GraphError("hf.map needs at least one input to run over.")
    widths = {label: width for label, item in over.items() if (width := known_width(item)) is not None}
    width = common_width(widths) if len(widths) == len(over) else None
    member = type_of(body.output, deep=True)
    return Node(MAP, {"body": body, "over": over}, output_type=ensemble_type(member, width))


def while_node(condition: Graph, body: Graph, initial: Input, max_iterations: int | None) -> Node:
    """Return the loop that applies `body` while `condition` holds."""
    inputs: dict[str, Input] = {"body": body, "condition": condition, "initial": initial}
    if max_iterations is not None:
        if isinstance(max_iterations, bool) or not isinstance(max_iterations, int) or max_iterations < 0:
            raise GraphError(f"max_iterations is {max_iterations!r}, expected a number of rounds from 0.")
        inputs["max_iterations"] = as_input(max_iterations, "max_iterations")
    output_type = either(type_of(initial, deep=True), type_of(body.output, deep=True))
    return Node(WHILE_LOOP, inputs, output_type=output_type)


def gather_node(members: Input) -> Node:
    """Return the node that makes one value of many."""
    return Node(GATHER, {"members": members}, output_type=ensemble_type(None, None))


def known_width(item: Input) -> int | None:
    """Return the length of the outermost axis, if it is known before anything runs."""
    if isinstance(item, DataNode):
        if not item.shape:
            raise GraphError(
                f"hf.map runs over {item!r}, which has no axis. Give a list or an array; for a constant, one of width 1."
            )
        return item.shape[0]
    if isinstance(item, (list, tuple)):
        return len(item)
    if isinstance(item, Mapping):
        raise GraphError("hf.map runs over a mapping, which has no order. Give lists or arrays, one keyword for each.")
    return None


def common_width(widths: Mapping[str, int]) -> int:
    """Return the width of an ensemble from those of its inputs; width 1 broadcasts.

    Raises
    ------
    GraphError
        Two inputs have different widths, neither of them 1.

    Examples
    --------
    >>> common_width({"start": 8, "temperature": 1})
    8
    """
    wide = {label: width for label, width in widths.items() if width != 1}
    if len(set(wide.values())) > 1:
        listed = ", ".join(f"{label!r} has {width}" for label, width in sorted(wide.items()))
        raise GraphError(
            f"hf.map runs over inputs of unequal widths: {listed}. Make them equal, or one of width 1 to broadcast it."
        )
    return next(iter(wide.values()), 1)


@dataclass(frozen=True, slots=True)
class ControlForm:
    """Which inputs a kind of control flow has."""

    graphs: frozenset[str]
    """Labels of its abstract graphs."""
    others: frozenset[str]
    optional: frozenset[str] = frozenset()


CONTROL: Mapping[tuple[str, ...], ControlForm] = {
    GATHER: ControlForm(frozenset(), frozenset({"members"})),
    MAP: ControlForm(frozenset({"body"}), frozenset({"over"})),
    WHILE_LOOP: ControlForm(frozenset({"body", "condition"}), frozenset({"initial"}), frozenset({"max_iterations"})),
}
"""All control flow there is."""


def check_control(scope: tuple[str, ...], inputs: Mapping[str, Input]) -> None:
    """Refuse inputs that a node of this kind cannot have.

    Raises
    ------
    GraphError
        A label is missing or unknown, a body is no graph or has other placeholders, or widths differ.
    """
    form = CONTROL[scope]
    labels = form.graphs | form.others
    if wrong := sorted(inputs.keys() - form.optional ^ labels):
        raise GraphError(
            f"{'.'.join(scope)} has the inputs {', '.join(sorted(labels))}; {wrong[0]!r} is missing or unknown."
        )
    for label in sorted(form.graphs):
        if not isinstance(inputs[label], Graph):
            raise GraphError(f"{'.'.join(scope)} has {inputs[label]!r} as its {label!r}, expected an abstract graph.")
    if scope == MAP:
        _check_map(inputs)
    elif scope == WHILE_LOOP:
        _check_while(inputs)


def _check_map(inputs: Mapping[str, Input]) -> None:
    over, body = inputs["over"], inputs["body"]
    assert isinstance(body, Graph)
    if not isinstance(over, Mapping) or set(over) != set(body.parameters):
        raise GraphError(f"the body of holdfast.map takes {', '.join(body.parameters)}; 'over' names others.")
    map_node(body, over)


def _check_while(inputs: Mapping[str, Input]) -> None:
    for label in ("body", "condition"):
        graph = inputs[label]
        if isinstance(graph, Graph) and graph.parameters != (STATE,):
            raise GraphError(
                f"the {label} of holdfast.while_loop takes {STATE!r} only; this one takes {graph.parameters}."
            )
    limit = inputs.get("max_iterations")
    if limit is not None and not (
        isinstance(limit, DataNode) and limit.datatype is Integer64 and not limit.shape and int(limit.data) >= 0
    ):
        raise GraphError(f"max_iterations is {limit!r}, expected a number of rounds from 0.")
