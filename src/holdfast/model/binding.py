"""Bind a whole graph while it runs: from abstract to concrete. Pure: never runs anything, never looks at a value."""

from __future__ import annotations

from collections.abc import Mapping

from holdfast.errors import GraphError
from holdfast.model.graph import Graph, Replacements, close, substitute
from holdfast.model.reference import Input

__all__ = ["Replacements", "bind", "close", "substitute"]


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
