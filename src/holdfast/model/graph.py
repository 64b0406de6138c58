"""Describe abstract graphs: outputs that depend on placeholders.

Pure. A graph is itself a node with a uid, so loops and ensembles refer to their bodies by it. Its placeholders carry a level that is
one higher than that of any graph nested inside, so that no graph takes another's placeholder for its own.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from holdfast.model.fingerprint import Fingerprint, node_text, operation_text, uid_of
from holdfast.model.node import Node, free_placeholders
from holdfast.model.operation import BUILT_IN
from holdfast.model.placeholder import Placeholder
from holdfast.model.reference import Input, Part, Reference, references, write_input

GRAPH = (BUILT_IN, "Graph")


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
        self.free = free_placeholders(output) - frozenset(placeholders)
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

    def _compact(self) -> str:
        inputs = {"output": self.output, "placeholders": list(self.placeholders)}
        return node_text(operation_text(GRAPH), write_input(inputs), ())

    def __repr__(self) -> str:
        return f"<graph of {', '.join(self.parameters) or 'nothing'} {self.uid[:8]}>"


def nesting_level(output: Input) -> int:
    """Return the level that the placeholders of a graph with this output have: one above the graphs nested inside."""
    levels = [
        1 + placeholder.level
        for reference in reachable(output)
        if isinstance(reference, Graph)
        for placeholder in reference.placeholders
    ]
    return max(levels, default=0)


def reachable(output: Input) -> Iterator[Reference]:
    """Yield every reference that `output` depends on, each once, dependants before what they depend on; not into nested graphs."""
    seen: set[str] = set()
    waiting = list(references(output))
    while waiting:
        reference = waiting.pop()
        source = reference.source if isinstance(reference, Part) else reference
        if source.uid in seen:
            continue
        seen.add(source.uid)
        yield source
        if isinstance(source, Node):
            waiting.extend(references(source.inputs))


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
