"""List an abstract graph for a person to read: one line for each node, inputs before what uses them. Pure."""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping, Sequence

from holdfast.model.datatype import DataNode
from holdfast.model.node import Node
from holdfast.model.placeholder import Placeholder
from holdfast.model.reference import Input, Part, Reference, references, write_path
from holdfast.model.typecheck import show_shape

CONSTANT_CHARACTERS = 40
"""How much of a constant is shown."""


def list_graph(title: str, placeholders: Sequence[Placeholder], output: Input) -> str:
    """Return the lines of one graph.

    Examples
    --------
    >>> hole = Placeholder("x")
    >>> print(list_graph("graph", [hole], [hole, Node(("demo", "f"), {"a": hole})]))
    graph (x)
      %1 = demo.f(a=x)
      return [x, %1]
    """
    nodes = list(ordered_nodes(output))
    names = {node.uid: f"%{number}" for number, node in enumerate(nodes, start=1)}
    lines = [f"{title} ({', '.join(map(_hole, placeholders))})"]
    for node in nodes:
        inputs = ", ".join(f"{label}={_show(item, names)}" for label, item in node.inputs.items())
        lines.append(f"  {names[node.uid]} = {node.name}({inputs})")
    return "\n".join([*lines, f"  return {_show(output, names)}"])


def ordered_nodes(output: Input, known: Container[str] = ()) -> Iterator[Node]:
    """Yield the nodes that `output` depends on, each once, after those that it depends on itself; not those `known` by uid."""
    done: set[str] = set()
    waiting = [source for source in _sources(output) if source.uid not in known][::-1]
    while waiting:
        node = waiting[-1]
        missing = (
            []
            if node.uid in done
            else [source for source in _sources(node.inputs) if source.uid not in done and source.uid not in known]
        )
        if missing:
            waiting.extend(reversed(missing))
            continue
        waiting.pop()
        if node.uid not in done:
            done.add(node.uid)
            yield node


def _sources(item: Input) -> Iterator[Node]:
    for reference in references(item):
        source = reference.source if isinstance(reference, Part) else reference
        if isinstance(source, Node):
            yield source


def _hole(placeholder: Placeholder) -> str:
    datatype = "" if placeholder.datatype is None else f": {placeholder.datatype[-1]}"
    return placeholder.name + datatype + ("" if placeholder.shape is None else show_shape(placeholder.shape))


def _show(item: Input, names: Mapping[str, str]) -> str:
    if isinstance(item, Part):
        return _show(item.source, names) + write_path(item.path)
    if isinstance(item, Placeholder):
        return item.name
    if isinstance(item, DataNode):
        return item.data if len(item.data) <= CONSTANT_CHARACTERS else f"{item.data[:CONSTANT_CHARACTERS]}…"
    if isinstance(item, Reference):
        return names.get(item.uid) or repr(item)
    if isinstance(item, Mapping):
        return "{" + ", ".join(f"{label}: {_show(member, names)}" for label, member in item.items()) + "}"
    return "[" + ", ".join(_show(member, names) for member in item) + "]"
