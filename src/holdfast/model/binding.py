"""Fill placeholders: from abstract to concrete.

Pure: never runs anything, never looks at a value. Walks the graph with a list of its own, so that no depth is too deep.
"""

from __future__ import annotations

from collections.abc import Mapping

from holdfast.errors import GraphError
from holdfast.model.graph import Graph, nesting_level
from holdfast.model.node import Node
from holdfast.model.placeholder import Placeholder
from holdfast.model.reference import Input, Part, Reference, references, select

Replacements = dict[str, Input]
"""What stands for a reference from now on, by uid."""


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


def close(output: Input, provisional: tuple[Placeholder, ...], names: tuple[Placeholder, ...]) -> Graph:
    """Return the graph of `output` whose provisional placeholders are renamed to lasting ones, at the right level."""
    level = nesting_level(output)
    lasting = tuple(placeholder.at_level(level) for placeholder in names)
    replaced = substitute(output, {old.uid: new for old, new in zip(provisional, lasting, strict=True)})
    return Graph(replaced, lasting)


def substitute(output: Input, replacements: Mapping[str, Input]) -> Input:
    """Return `output` with references replaced, by uid, all the way down."""
    done: Replacements = dict(replacements)
    waiting = [reference for reference in references(output) if reference.free]
    while waiting:
        reference = waiting[-1]
        source = reference.source if isinstance(reference, Part) else reference
        if source.uid in done:
            waiting.pop()
            continue
        missing = _unreplaced(source, done)
        if missing:
            waiting.extend(missing)
            continue
        done[source.uid] = _rebuild(source, done)
        waiting.pop()
    return _replace(output, done)


def _unreplaced(source: Reference, done: Replacements) -> list[Reference]:
    if not isinstance(source, Node):
        return []
    return [reference for reference in references(source.inputs) if reference.free and reference.uid not in done]


def _rebuild(source: Reference, done: Replacements) -> Input:
    if isinstance(source, Node):
        return source.with_inputs({label: _replace(item, done) for label, item in source.inputs.items()})
    if isinstance(source, Graph):
        return Graph(substitute(source.output, done), source.placeholders)
    return source


def _replace(item: Input, done: Replacements) -> Input:
    if isinstance(item, Part):
        new = done.get(item.uid)
        return item if new is None else select(new, item.path)
    if isinstance(item, Reference):
        return done.get(item.uid, item) if item.free or item.uid in done else item
    if isinstance(item, Mapping):
        return {label: _replace(member, done) for label, member in item.items()}
    return [_replace(member, done) for member in item]
