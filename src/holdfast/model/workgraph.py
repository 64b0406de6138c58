"""Hold named targets and all that they depend on as one graph, and write it as a document that travels.

The document lists the records of data, code, placeholders, abstract graphs and nodes, each after what it refers to. Equal graphs have
equal texts. Pure: never finds an operation itself; whoever reads a document says which ones there are.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from holdfast.errors import GraphError, NotFound, UnsupportedValue
from holdfast.model.argument import as_input
from holdfast.model.datatype import DataNode, File
from holdfast.model.document import MAX_DATA_BYTES, VERSION, Operations, read_document, type_of
from holdfast.model.fingerprint import compact_json, data_text, operation_text, uid_of
from holdfast.model.graph import Graph
from holdfast.model.node import CommittedNode, Node, free_placeholders
from holdfast.model.operation import IMPLEMENTATION
from holdfast.model.placeholder import Placeholder
from holdfast.model.reference import Input, Part, Reference, references, write_input

if TYPE_CHECKING:
    from holdfast.model.content import Array

DATA_ADVICE = "Read it from a file inside an operation, or make it by one, so that the document stays small."


GENERATED = "result"
"""Name of the one target of what a running operation returned."""


class WorkGraph:
    """Named targets and everything that they depend on; immutable.

    Parameters
    ----------
    targets : mapping of name to input
        Nodes, parts, abstract graphs, values, or lists and mappings of these.

    Raises
    ------
    GraphError
        There is no target, or one depends on a placeholder that no graph binds.

    Examples
    --------
    >>> import holdfast as hf
    >>> double = hf.operation(lambda x: 2 * x, name="demo.double", version="1")
    >>> graph = WorkGraph({"final": double(21)})
    >>> again = WorkGraph.from_json(graph.to_json(), hf.allow(double))
    >>> again["final"] == graph["final"]
    True
    """

    def __init__(self, targets: Mapping[str, Any]) -> None:
        if not targets or not all(isinstance(name, str) and name for name in targets):
            raise GraphError(
                "A work graph needs at least one target, and a name for each: hf.WorkGraph({'final': node})."
            )
        self.targets: Mapping[str, Input] = {name: as_input(targets[name], name) for name in sorted(targets)}
        for name, item in self.targets.items():
            if free := free_placeholders([item]):
                holes = ", ".join(sorted(hole.name for hole in free))
                raise GraphError(
                    f"The target {name!r} depends on unbound placeholders: {holes}. Make it a graph: hf.trace."
                )

    def __getitem__(self, name: str) -> Input:
        """Return a target.

        Raises
        ------
        NotFound
            There is none of that name; says which there are.
        """
        if name not in self.targets:
            raise NotFound(f"The work graph has no target {name!r}; it has: {', '.join(self.targets)}.")
        return self.targets[name]

    @property
    def referents(self) -> tuple[Reference, ...]:
        """All that the targets depend on, each once and after what it refers to; abstract graphs with all that is in them."""
        return tuple(_in_order(self.targets))

    def to_json(self) -> str:
        """Return the document; equal graphs have equal texts.

        Raises
        ------
        UnsupportedValue
            It holds a file, or more data than a document carries.
        GraphError
            A node's code has changed since it was made, or only its uid is known.
        """
        writing = _Writing()
        for referent in self.referents:
            writing.add(referent)
        members = {
            "data": _lines("{}", [f'"{digest}":{text}' for digest, text in sorted(writing.data.items())]),
            "referents": _lines("[]", list(writing.referents.values())),
            "targets": write_input(self.targets),
            "types": _lines("{}", [f"{compact_json(name)}:{writing.types[name]}" for name in sorted(writing.types)]),
            "version": compact_json(VERSION),
        }
        return "{" + ",\n".join(f'"{name}":{text}' for name, text in members.items()) + "}\n"

    @classmethod
    def from_json(cls, text: str, operations: Operations | None = None) -> WorkGraph:
        """Return the graph of a document, after checking all of it; nothing in it is imported or run.

        Parameters
        ----------
        text : str
        operations : hf.allow(...), optional
            Where its operations may be found; without it the document may hold none.

        Raises
        ------
        InvalidData
            Something is wrong with it; the message begins with the place: ``$.referents[3].input.x``.
        NotFound
            One of its operations is not among those allowed.
        """
        return cls(read_document(text, operations))

    def __repr__(self) -> str:
        return f"<work graph of {', '.join(self.targets)}>"


def _in_order(targets: Input) -> Iterator[Reference]:
    done: set[str] = set()
    waiting: list[tuple[Reference, bool]] = [(item, False) for item in reversed(list(references(targets)))]
    while waiting:
        reference, is_ready = waiting.pop()
        source = reference.source if isinstance(reference, Part) else reference
        if source.uid in done:
            continue
        if is_ready:
            done.add(source.uid)
            yield source
            continue
        waiting.append((source, True))
        waiting.extend((item, False) for item in reversed(_refers_to(source)) if item.uid not in done)


def _refers_to(source: Reference) -> list[Reference]:
    if isinstance(source, Node):
        return list(references(source.inputs))
    if isinstance(source, Graph):
        return [*references(source.output), *source.placeholders]
    return []


class _Writing:
    """A document under way: its referents by uid, its types, and its large data by digest."""

    def __init__(self) -> None:
        self.referents: dict[str, str] = {}
        self.types: dict[str, str] = {}
        self.data: dict[str, str] = {}
        self.bytes = 0

    def add(self, referent: Reference) -> None:
        """Write one referent, and the code or data behind it."""
        if isinstance(referent, DataNode):
            self._add_data(referent)
            self._note(referent.datatype.scope, referent.uid, referent.fingerprint().text)
        elif isinstance(referent, Node):
            if referent.code is not None:
                self._add_code(referent)
            self._note(referent.scope, referent.uid, referent.fingerprint().text)
        elif isinstance(referent, (Graph, Placeholder)):
            record = referent.record
            self._note(tuple(record["operation"]), referent.uid, compact_json(record))  # type: ignore[arg-type]
        else:
            assert isinstance(referent, CommittedNode)
            raise GraphError(f"{referent!r} is known by its uid only, so it cannot be written. Give the node itself.")

    def _note(self, scope: tuple[str, ...], uid: str, record: str) -> None:
        self.referents[uid] = f'{record[:-1]},"uid":"{uid}"}}'
        self.types[".".join(scope)] = compact_json(type_of(scope))

    def _add_code(self, node: Node) -> None:
        parts = node.code.implementation.parts
        record = data_text(operation_text(IMPLEMENTATION), compact_json(parts))
        if node.depends != (uid_of(record),):
            raise GraphError(f"The code of {node!r} has changed since the node was made. Make the node again.")
        if node.depends[0] not in self.referents:
            self._note(IMPLEMENTATION, node.depends[0], record)

    def _add_data(self, node: DataNode) -> None:
        if node.datatype is File:
            advice = "Read the file inside an operation that takes its path as a string, or pass its contents as Bytes."
            raise UnsupportedValue(f"the work graph's {node!r}", "a file of this host", advice)
        if '"$array"' not in node.data:
            return
        for digest, array in node.arrays.items():
            if digest not in self.data:
                self._carry(digest, array, node)

    def _carry(self, digest: str, array: Array, node: DataNode) -> None:
        self.bytes += array.nbytes
        if self.bytes > MAX_DATA_BYTES:
            found = f"beyond the {MAX_DATA_BYTES} bytes of array data that a document carries"
            raise UnsupportedValue(f"the work graph's {node!r}", found, DATA_ADVICE)
        described = {
            "base64": base64.b64encode(array.tobytes()).decode("ascii"),
            "dtype": array.dtype.str,
            "shape": list(array.shape),
        }
        self.data[digest] = compact_json(described)


def _lines(brackets: str, members: list[str]) -> str:
    listed = ",\n".join(members)
    return f"{brackets[0]}\n{listed}\n{brackets[1]}" if members else brackets
