"""Describe abstract graphs: outputs that depend on placeholders.

Pure. A graph is itself a node with a uid, so loops and ensembles refer to their bodies by it. Its placeholders carry a level that is
one higher than that of any graph nested inside, so that no graph takes another's placeholder for its own.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from holdfast.errors import GraphError
from holdfast.model.argument import as_input
from holdfast.model.datatype import DataNode
from holdfast.model.fingerprint import Fingerprint, node_text, uid_of
from holdfast.model.listing import list_graph
from holdfast.model.node import Node, free_placeholders
from holdfast.model.operation import BUILT_IN
from holdfast.model.placeholder import Placeholder
from holdfast.model.reference import Input, Part, Reference, references, select, write_input
from holdfast.model.typecheck import Declaration, placeholder_type, type_of

GRAPH = (BUILT_IN, "Graph")

Replacements = dict[str, Input]
"""What stands for a reference from now on, by uid."""


class Graph(Reference):
    """An abstract graph: an output and the placeholders it depends on.

    Parameters
    ----------
    output : input
        A reference, or a list or mapping of these.
    placeholders : tuple of Placeholder
        Those that this graph binds, in the order of the parameters; others stay free and belong to an enclosing graph.
    """

    __slots__ = ("free", "output", "placeholders", "uid")

    def __init__(self, output: Input, placeholders: tuple[Placeholder, ...]) -> None:
        self.output = output
        self.placeholders = placeholders
        self.free = free_placeholders([output]) - frozenset(placeholders)
        self.uid = uid_of(self._compact())

    @property
    def parameters(self) -> tuple[str, ...]:
        """Names of the placeholders."""
        return tuple(placeholder.name for placeholder in self.placeholders)

    @property
    def record(self) -> dict[str, Any]:
        """The portable form."""
        parsed: dict[str, Any] = json.loads(self._compact())
        return parsed

    def fingerprint(self) -> Fingerprint:
        """Return the identity of the record."""
        return Fingerprint(self._compact())

    def bind(self, **values: Any) -> Any:
        """Return the graph with placeholders filled.

        Parameters
        ----------
        **values : value, node, or list or dictionary of these
            By name of the placeholder; one that is not named stays open.

        Returns
        -------
        node, list or dictionary of nodes, or Graph
            The output, as if the function had been called with the values; a graph of those that are open, if any are.

        Raises
        ------
        GraphError
            The graph has no such placeholder, or a value does not fit it or what is done with it.

        Examples
        --------
        >>> import holdfast as hf
        >>> add = hf.operation(lambda a, b: a + b, name="demo.add")
        >>> total = hf.trace(add, a=hf.Placeholder("a"), b=hf.Placeholder("b"))
        >>> total.bind(a=1).parameters
        ('b',)
        >>> total.bind(a=1).bind(b=2) == total.bind(a=1, b=2) == add(1, 2)
        True
        """
        unknown = sorted(values.keys() - set(self.parameters))
        if unknown:
            raise GraphError(f"{self!r} has no placeholder {unknown[0]!r}; it has: {', '.join(self.parameters)}.")
        given = {label: as_input(value, label) for label, value in values.items()}
        Declaration(repr(self), {hole.name: placeholder_type(hole) for hole in self.placeholders}).check(given)
        filled = {hole.uid: given[hole.name] for hole in self.placeholders if hole.name in given}
        output = substitute(self.output, filled)
        still_open = tuple(hole for hole in self.placeholders if hole.name not in given)
        return close(output, still_open, still_open) if still_open else output

    def __str__(self) -> str:
        """Return a listing, one line for each node."""
        graphs: dict[str, Graph] = {self.uid: self}
        waiting = [self]
        while waiting:
            for nested in reachable(waiting.pop().output):
                if isinstance(nested, Graph) and nested.uid not in graphs:
                    graphs[nested.uid] = nested
                    waiting.append(nested)
        return "\n\n".join(list_graph(repr(found), found.placeholders, found.output) for found in graphs.values())

    def _compact(self) -> str:
        inputs = {"output": self.output, "placeholders": list(self.placeholders)}
        return node_text(GRAPH, (), write_input(inputs))

    def __repr__(self) -> str:
        return f"<graph of {', '.join(self.parameters) or 'nothing'} {self.uid[:8]}>"


def nesting_level(output: Input, own: frozenset[Placeholder]) -> int:
    """Return the level of the placeholders of a graph: one above the graphs nested in what depends on them."""
    levels = [
        1 + placeholder.level
        for reference in reachable(output, own)
        if isinstance(reference, Graph)
        for placeholder in reference.placeholders
    ]
    return max(levels, default=0)


def reachable(output: Input, own: frozenset[Placeholder] | None = None) -> Iterator[Reference]:
    """Yield every reference that `output` depends on, each once, dependants first; not into nested graphs.

    With `own`, not behind nodes that depend on none of these placeholders.
    """
    seen: set[str] = set()
    waiting = list(references(output))
    while waiting:
        reference = waiting.pop()
        source = reference.source if isinstance(reference, Part) else reference
        if source.uid in seen:
            continue
        seen.add(source.uid)
        yield source
        if isinstance(source, Node) and (own is None or not source.free.isdisjoint(own)):
            waiting.extend(references(source.inputs))


def concrete(item: Input, ends: Iterable[str] = (), *, deep: bool = True) -> Iterator[Reference]:
    """Yield the nodes without open placeholders that `item` depends on, also from within bodies, each once.

    Parameters
    ----------
    item : input
    ends : iterable of str
        Uids of nodes behind which nothing is looked for.
    deep : bool
        Also those behind what is yielded.
    """
    seen: set[str] = set()
    stops = set(ends)
    waiting = list(references(item))
    while waiting:
        reference = waiting.pop()
        source = reference.source if isinstance(reference, Part) else reference
        if source.uid in seen or isinstance(source, DataNode):
            continue
        seen.add(source.uid)
        if isinstance(source, Graph):
            waiting.extend(references(source.output))
            continue
        if not source.free:
            yield source
        if isinstance(source, Node) and (deep or source.free) and source.uid not in stops:
            waiting.extend(references(source.inputs))


def parts_of(node: Node) -> Iterator[Node | DataNode | Graph]:
    """Yield what the record of a node refers to that has no result of its own: constants, bodies, and what bodies hold."""
    seen: set[str] = set()
    waiting = references(node.inputs)
    while waiting:
        reference = waiting.pop()
        source = reference.source if isinstance(reference, Part) else reference
        if source.uid in seen or not (isinstance(source, (DataNode, Graph)) or source.free):
            continue
        seen.add(source.uid)
        if isinstance(source, Graph):
            waiting += references(source.output)
        elif isinstance(source, Node):
            waiting += references(source.inputs)
        elif not isinstance(source, DataNode):  # a placeholder
            continue
        yield source


def only_call(graph: Graph) -> tuple[Node, Mapping[str, Input]] | None:
    """Return the node and its inputs if the graph is one call of an operation on placeholders and constants; else None."""
    node = graph.output
    if not isinstance(node, Node) or node.code is None:
        return None
    own = set(graph.placeholders)
    for reference in references(node.inputs):
        source = reference.source if isinstance(reference, Part) else reference
        if source not in own and source.free:
            return None
    return node, node.inputs


def sole_call(graph: Graph) -> Node | None:
    """Return the only node in a graph that depends on its placeholders, if there is one and it is a call; else None."""
    own = frozenset(graph.placeholders)
    inner = [found for found in reachable(graph.output, own) if isinstance(found, (Node, Graph)) and found.free & own]
    return inner[0] if len(inner) == 1 and isinstance(inner[0], Node) and inner[0].code is not None else None


def check_body(graph: Graph, found: Mapping[str, Input]) -> Graph:
    """Refuse inputs that do not fit what a graph does with them; only their types count.

    Returns
    -------
    Graph
        The same, knowing what its placeholders are.
    """
    typed = tuple(
        Placeholder(
            hole.name, hole.datatype, hole.shape, level=hole.level, output_type=type_of(found[hole.name], deep=True)
        )
        if hole.name in found
        else hole
        for hole in graph.placeholders
    )
    output = substitute(graph.output, {hole.uid: hole for hole in typed})
    return Graph(output, typed)


def close(output: Input, provisional: tuple[Placeholder, ...], names: tuple[Placeholder, ...]) -> Graph:
    """Return the graph of `output` whose provisional placeholders are renamed to lasting ones, at the right level."""
    level = nesting_level(output, frozenset(provisional))
    lasting = tuple(placeholder.at_level(level) for placeholder in names)
    replaced = substitute(output, {old.uid: new for old, new in zip(provisional, lasting, strict=True)})
    return Graph(replaced, lasting)


def substitute(output: Input, replacements: Mapping[str, Input]) -> Input:
    """Return `output` with placeholders replaced, by uid, all the way down."""
    return _substitute(output, frozenset(replacements), dict(replacements))


def fill(item: Input, values: Mapping[str, Input]) -> Input:
    """Return an input with references replaced, by uid, where they stand in it; not behind nodes."""
    if isinstance(item, Part):
        new = values.get(item.uid)
        return item if new is None else select(new, item.path)
    if isinstance(item, Reference):
        return values.get(item.uid, item)
    if isinstance(item, Mapping):
        return {label: fill(member, values) for label, member in item.items()}
    return [fill(member, values) for member in item]


def _substitute(output: Input, holes: frozenset[str], done: Replacements) -> Input:
    """Replace `holes`; only what depends on them is looked at, since a graph that does not may have one of the same uid for its own."""
    waiting = _unreplaced(output, holes, done)
    while waiting:
        reference = waiting[-1]
        source = reference.source if isinstance(reference, Part) else reference
        if source.uid in done:
            waiting.pop()
            continue
        missing = _unreplaced(source.inputs, holes, done) if isinstance(source, Node) else []
        if missing:
            waiting.extend(missing)
            continue
        done[source.uid] = _rebuild(source, holes, done)
        waiting.pop()
    return fill(output, done)


def _unreplaced(item: Input, holes: frozenset[str], done: Replacements) -> list[Reference]:
    return [
        reference
        for reference in references(item)
        if reference.free and reference.uid not in done and any(hole.uid in holes for hole in reference.free)
    ]


def _rebuild(source: Reference, holes: frozenset[str], done: Replacements) -> Input:
    if isinstance(source, Node):
        return source.with_inputs({label: fill(item, done) for label, item in source.inputs.items()})
    if isinstance(source, Graph):
        return Graph(_substitute(source.output, holes, dict(done)), source.placeholders)
    return source
