"""Bind a whole graph while it runs: from abstract to concrete. Pure: never runs anything, never looks at a value."""

from __future__ import annotations

from collections.abc import Mapping

from holdfast.errors import GraphError, NotFound
from holdfast.model.control import MAP, common_width, known_width
from holdfast.model.graph import Graph, Replacements, close, fill, substitute
from holdfast.model.node import Node
from holdfast.model.reference import Input, Part, Reference, Subscript, select

__all__ = ["Replacements", "alone", "apply", "bind", "close", "fill", "substitute"]


def bind(graph: Graph, values: Mapping[str, Input]) -> Input:
    """Return the output of `graph` with its placeholders replaced.

    Parameters
    ----------
    graph : Graph
    values : mapping of placeholder name to input
        One for each placeholder.

    Raises
    ------
    GraphError
        A name is no placeholder of the graph, or a placeholder is left open. Names those that are.
    """
    given, known = set(values), set(graph.parameters)
    if given != known:
        wrong, there_are = ", ".join(sorted(given ^ known)), ", ".join(graph.parameters)
        raise GraphError(f"{graph!r} was bound with {wrong} wrong or missing. Its placeholders are: {there_are}.")
    return substitute(graph.output, {hole.uid: values[hole.name] for hole in graph.placeholders})


def apply(graph: Graph, *values: Input) -> Input:
    """Return the output of `graph` with its placeholders replaced in their order.

    Raises
    ------
    GraphError
        There are more or fewer values than placeholders.
    """
    if len(values) != len(graph.placeholders):
        names = ", ".join(graph.parameters) or "none"
        raise GraphError(f"{graph!r} was applied to {len(values)} values. Its placeholders are: {names}.")
    return substitute(graph.output, {hole.uid: value for hole, value in zip(graph.placeholders, values, strict=True)})


def alone(item: Input) -> Input:
    """Return an input with each member of an ensemble in it as what computes that member, and no other.

    Raises
    ------
    NotFound
        The ensemble is known to have no such member.
    """
    if isinstance(item, Mapping):
        return {label: alone(part) for label, part in item.items()}
    if not isinstance(item, Reference):
        return [alone(part) for part in item]
    while isinstance(item, Part) and isinstance(item.source, Node) and item.source.scope == MAP:
        member = _member(item.source, item.path[0])
        if member is None:
            break
        item = select(member, item.path[1:])
    return item


def _member(ensemble: Node, index: Subscript) -> Input | None:
    """Return what computes one member; None if that depends on widths that are not known yet."""
    body, over = ensemble.inputs["body"], ensemble.inputs["over"]
    assert isinstance(body, Graph)
    assert isinstance(over, Mapping)
    widths = {label: known_width(elements) for label, elements in over.items()}
    if isinstance(index, str) or (len(over) > 1 and None in widths.values()):
        return None
    known = {label: width for label, width in widths.items() if width is not None}
    if known and index >= common_width(known):
        raise NotFound(f"{ensemble!r} has no member {index}: its width is {common_width(known)}. Count from 0.")
    return bind(body, {label: select(over[label], (0 if widths[label] == 1 else index,)) for label in over})
