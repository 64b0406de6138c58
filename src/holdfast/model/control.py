"""Describe control flow: ensembles, loops and branches, which are nodes without code that the scheduler expands.

Pure. Each function makes one node; a body is an abstract graph, referred to by its uid.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from holdfast.errors import GraphError
from holdfast.model.argument import as_input
from holdfast.model.datatype import Boolean, DataNode, Integer64
from holdfast.model.graph import Graph
from holdfast.model.node import Node
from holdfast.model.operation import BUILT_IN
from holdfast.model.reference import Input, Reference
from holdfast.model.typecheck import either, ensemble_type, type_of

MAP = (BUILT_IN, "map")
GATHER = (BUILT_IN, "gather")
REDUCE = (BUILT_IN, "reduce")
WHILE_LOOP = (BUILT_IN, "while_loop")
FORI_LOOP = (BUILT_IN, "fori_loop")
SCAN = (BUILT_IN, "scan")
COND = (BUILT_IN, "cond")
SCATTER = (BUILT_IN, "scatter")
"""An operation like those of users, and no control flow."""

STATE, INDEX = "state", "index"
"""Names of the placeholders of a loop's condition and body."""

CARRY, ELEMENT = "carry", "x"
"""Names of the placeholders of what a scan applies."""

LEFT, RIGHT = "left", "right"
"""Names of the placeholders of what a reduction applies."""

DEFERRED: Mapping[tuple[str, ...], tuple[str, ...]] = {COND: ("operands",)}
"""Inputs that a node may turn out not to need."""

LOOPS = (WHILE_LOOP, FORI_LOOP, SCAN)
"""What has rounds."""

ON_MAX = ("keep", "raise")
"""What becomes of a loop that is ended by its limit: its last state is kept as its value, or it fails."""


def map_node(body: Graph, over: Mapping[str, Input]) -> Node:
    """Return the ensemble of `body` over the outermost axis of each input."""
    if not over:
        raise GraphError("hf.map needs at least one input to run over.")
    widths = {label: width for label, item in over.items() if (width := known_width(item)) is not None}
    width = common_width(widths) if len(widths) == len(over) else None
    member = type_of(body.output, deep=True)
    return Node(MAP, {"body": body, "over": over}, output_type=ensemble_type(member, width))


def while_node(condition: Graph, body: Graph, initial: Input, max_iterations: int | None, on_max: str) -> Node:
    """Return the loop that applies `body` while `condition` holds."""
    inputs: dict[str, Input] = {"body": body, "condition": condition, "initial": initial}
    if on_max not in ON_MAX:
        raise GraphError(f"on_max is {on_max!r}, expected 'keep' or 'raise'.")
    if max_iterations is not None:
        if isinstance(max_iterations, bool) or not isinstance(max_iterations, int) or max_iterations < 0:
            raise GraphError(f"max_iterations is {max_iterations!r}, expected a number of rounds from 0.")
        inputs["max_iterations"] = as_input(max_iterations, "max_iterations")
    elif on_max == "raise":
        raise GraphError("on_max='raise' needs a limit. Give max_iterations too.")
    if on_max == "raise":
        inputs["on_max"] = as_input(on_max, "on_max")
    output_type = either(type_of(initial, deep=True), type_of(body.output, deep=True))
    return Node(WHILE_LOOP, inputs, output_type=output_type)


def fori_node(lower: Input, upper: Input, body: Graph, initial: Input) -> Node:
    """Return the loop that applies `body` to each number from `lower` to below `upper`, and the state."""
    for label, bound in (("lower", lower), ("upper", upper)):
        if not isinstance(bound, Reference) or (isinstance(bound, DataNode) and not _is_whole(bound)):
            raise GraphError(f"hf.fori_loop was given {bound!r} as its {label!r} bound, expected an integer.")
    output_type = either(type_of(initial, deep=True), type_of(body.output, deep=True))
    inputs = {"body": body, "lower": lower, "upper": upper, "initial": initial}
    return Node(FORI_LOOP, inputs, output_type=output_type)


def scan_node(body: Graph, initial: Input, over: Input | None, length: int | None) -> Node:
    """Return the loop that carries a state along the outermost axis of its inputs."""
    inputs: dict[str, Input] = {"body": body, "initial": initial}
    if over is None and length is None:
        raise GraphError("hf.scan needs elements or a number of rounds. Give xs, length, or both.")
    if over is not None:
        inputs["over"] = over
        _check_sequences(over, length)
    if length is not None:
        if isinstance(length, bool) or not isinstance(length, int) or length < 0:
            raise GraphError(f"length is {length!r}, expected a number of rounds from 0.")
        inputs["length"] = as_input(length, "length")
    return Node(SCAN, inputs)


def cond_node(predicate: Input, if_true: Graph, if_false: Graph, operands: Input) -> Node:
    """Return the branch that a value chooses."""
    if not isinstance(predicate, Reference) or (isinstance(predicate, DataNode) and predicate.datatype is not Boolean):
        raise GraphError(
            f"hf.cond was given {predicate!r} to decide by, expected True, False, or a node that gives it."
        )
    output_type = either(type_of(if_true.output, deep=True), type_of(if_false.output, deep=True))
    inputs = {"pred": predicate, "true_fun": if_true, "false_fun": if_false, "operands": operands}
    return Node(COND, inputs, output_type=output_type)


def reduce_node(body: Graph, over: Input) -> Node:
    """Return the tree that combines neighbours until one is left."""
    if known_width(over, "hf.reduce") == 0:
        raise GraphError("hf.reduce has no elements to combine, and nothing to give instead. Check the width before.")
    return Node(REDUCE, {"body": body, "over": over})


def gather_node(members: Input) -> Node:
    """Return the node that makes one value of many."""
    return Node(GATHER, {"members": members}, output_type=ensemble_type(None, None))


def _check_sequences(over: Input, length: int | None) -> None:
    """Refuse sequences of unequal widths, as far as these are known."""
    sequences = over if isinstance(over, Mapping) else {"xs": over}
    known = {label: known_width(sequence, "hf.scan") for label, sequence in sequences.items()}
    widths = {**known, "length": length}
    if len({width for width in widths.values() if width is not None}) > 1:
        listed = ", ".join(f"{label!r} has {width}" for label, width in sorted(widths.items()) if width is not None)
        raise GraphError(f"hf.scan runs over inputs of unequal widths: {listed}. Make them equal.")


def _is_whole(bound: DataNode) -> bool:
    return not bound.shape and bound.datatype is Integer64


def known_width(item: Input, caller: str = "hf.map") -> int | None:
    """Return the length of the outermost axis, if it is known before anything runs."""
    if isinstance(item, DataNode):
        if not item.shape:
            raise GraphError(
                f"{caller} runs over {item!r}, which has no axis. Give a list or an array; for a constant, one of width 1."
            )
        return item.shape[0]
    if isinstance(item, (list, tuple)):
        return len(item)
    if isinstance(item, Mapping):
        raise GraphError(
            f"{caller} runs over a mapping, which has no order. Give lists or arrays, one keyword for each."
        )
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


def _form(graphs: str, others: str, optional: str = "") -> ControlForm:
    return ControlForm(frozenset(graphs.split()), frozenset(others.split()), frozenset(optional.split()))


CONTROL: Mapping[tuple[str, ...], ControlForm] = {
    COND: _form("true_fun false_fun", "pred operands"),
    FORI_LOOP: _form("body", "lower upper initial"),
    GATHER: _form("", "members"),
    MAP: _form("body", "over"),
    REDUCE: _form("body", "over"),
    SCAN: _form("body", "initial", "over length"),
    WHILE_LOOP: _form("body condition", "initial", "max_iterations on_max"),
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
    _CHECKS.get(scope, _accept)(inputs)


def _accept(inputs: Mapping[str, Input]) -> None:
    """There is nothing more to check."""


def _check_map(inputs: Mapping[str, Input]) -> None:
    over, body = inputs["over"], inputs["body"]
    assert isinstance(body, Graph)
    if not isinstance(over, Mapping) or set(over) != set(body.parameters):
        raise GraphError(f"the body of holdfast.map takes {', '.join(body.parameters)}; 'over' names others.")
    map_node(body, over)


def _check_while(inputs: Mapping[str, Input]) -> None:
    condition, body = _takes(inputs["condition"], 1), _takes(inputs["body"], 1)
    on_max = inputs.get("on_max")
    if on_max is not None and not (isinstance(on_max, DataNode) and on_max.data == '"raise"'):
        raise GraphError(f"on_max is {on_max!r}, expected 'raise', or nothing.")
    limit = _number(inputs, "max_iterations")
    while_node(condition, body, inputs["initial"], limit, "keep" if on_max is None else "raise")


def _check_fori(inputs: Mapping[str, Input]) -> None:
    fori_node(inputs["lower"], inputs["upper"], _takes(inputs["body"], 2), inputs["initial"])


def _check_scan(inputs: Mapping[str, Input]) -> None:
    scan_node(_takes(inputs["body"], 2), inputs["initial"], inputs.get("over"), _number(inputs, "length"))


def _check_reduce(inputs: Mapping[str, Input]) -> None:
    reduce_node(_takes(inputs["body"], 2), inputs["over"])


def _check_cond(inputs: Mapping[str, Input]) -> None:
    operands = inputs["operands"]
    if isinstance(operands, (Reference, Mapping)):
        raise GraphError("the operands of holdfast.cond are no list.")
    branches = [_takes(inputs[label], len(operands)) for label in ("true_fun", "false_fun")]
    cond_node(inputs["pred"], branches[0], branches[1], operands)


def _takes(graph: Input, count: int) -> Graph:
    """Return a body, if it takes so many inputs."""
    assert isinstance(graph, Graph)
    if len(graph.placeholders) != count:
        raise GraphError(f"{graph!r} has to take {count} inputs; it takes: {', '.join(graph.parameters) or 'none'}.")
    return graph


def _number(inputs: Mapping[str, Input], label: str) -> int | None:
    number = inputs.get(label)
    if number is None:
        return None
    if not isinstance(number, DataNode) or not _is_whole(number) or int(number.data) < 0:
        raise GraphError(f"{label} is {number!r}, expected a number of rounds from 0.")
    return int(number.data)


_CHECKS: Mapping[tuple[str, ...], Callable[[Mapping[str, Input]], None]] = {
    COND: _check_cond,
    FORI_LOOP: _check_fori,
    MAP: _check_map,
    REDUCE: _check_reduce,
    SCAN: _check_scan,
    WHILE_LOOP: _check_while,
}
