"""Refer to outputs: what may stand in an input, and how it is written.

A reference names one output of a node, or a part of it: `uid`, `uid.label`, `uid.label[3]`. It never pretends to be the value.
An input is a reference, a list of inputs, or a mapping of labels to inputs.
Pure: nothing here looks at a result.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Mapping, Sequence
from json.encoder import encode_basestring_ascii
from typing import TYPE_CHECKING, NoReturn

from holdfast.errors import GraphError, InvalidData, NotAValue

if TYPE_CHECKING:
    from holdfast.model.placeholder import Placeholder
    from holdfast.model.typecheck import Type

Subscript = str | int

NO_PLACEHOLDERS: frozenset[Placeholder] = frozenset()

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
_STEP = re.compile(r'\.([A-Za-z_][A-Za-z0-9_]*)|\[(\d{1,18})\]|\[("(?:[^"\\]|\\.)*")\]', re.ASCII)
_UID = re.compile(r"[0-9a-f]{64}")


class Reference:
    """Anything that stands for an output: nodes, data nodes, parts, placeholders, graphs.

    Using it as a value (`if node`, `len(node)`, `for x in node`, `float(node)`) raises `NotAValue`, which says what to write.
    """

    __slots__ = ()

    uid: str
    """64 hex digits; of a part, the uid of the node it belongs to."""
    free: frozenset[Placeholder]
    """Placeholders that must be bound before this can be computed."""
    output_type: Type = None
    """What is known of the value before it is computed; None for nothing. Never identifies."""

    @property
    def text(self) -> str:
        """How the reference is written in a record."""
        return self.uid

    def __getitem__(self, subscript: Subscript) -> Part:
        """Return a part of this output: a label of a mapping, or an index into the outermost axis."""
        return Part(self, (check_subscript(subscript),))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Reference) and self.text == other.text

    def __hash__(self) -> int:
        return hash(self.text)

    def __bool__(self) -> NoReturn:
        raise NotAValue(self._advice("a truth value", "For a decision inside the graph use hf.cond or hf.while_loop"))

    def __len__(self) -> NoReturn:
        raise NotAValue(self._advice("a length", "Ask for the length inside an operation"))

    def __iter__(self) -> NoReturn:
        raise NotAValue(self._advice("iterated over", "To run something for each element use hf.map"))

    def __float__(self) -> NoReturn:
        raise NotAValue(self._advice("a number", "Compute with it inside an operation"))

    __int__ = __index__ = __complex__ = __float__

    def __array__(self, *_: object, **__: object) -> NoReturn:
        raise NotAValue(self._advice("an array", "Compute with it inside an operation"))

    def _advice(self, wanted: str, inside: str) -> str:
        return (
            f"{self!r} stands for a result that is not computed yet and cannot be used as {wanted}. "
            f"{inside}; outside a graph ask for its value: session.result(node)."
        )


class Part(Reference):
    """A part of an output: `node["label"]`, `node[3]`, `node["label"][3]`."""

    __slots__ = ("free", "path", "source", "uid")

    def __init__(self, source: Reference, path: tuple[Subscript, ...]) -> None:
        self.source = source
        self.path = path
        self.uid = source.uid
        self.free = source.free

    @property
    def text(self) -> str:
        """How the reference is written in a record."""
        return self.source.uid + write_path(self.path)

    def __getitem__(self, subscript: Subscript) -> Part:
        return Part(self.source, (*self.path, check_subscript(subscript)))

    def __repr__(self) -> str:
        return f"{self.source!r}{write_path(self.path)}"


Input = Reference | Sequence["Input"] | Mapping[str, "Input"]

MAPPINGS = (dict, Mapping)
"""What holds inputs by label; the plain dictionary first, since a check of an abstract class takes ten times as long."""


def check_subscript(subscript: object) -> Subscript:
    """Return a usable subscript: a label, or an index from 0."""
    if isinstance(subscript, str) and subscript:
        return subscript
    if isinstance(subscript, (bool, str, slice, tuple)) or not hasattr(subscript, "__index__"):
        raise GraphError(
            f"{subscript!r} is no subscript of a node. Use a label or an index; for a slice write an operation."
        )
    index = operator.index(subscript)
    if index < 0:
        raise GraphError(
            f"{index} is no subscript of a node: its length is not known yet. Count from 0, or write an operation."
        )
    return index


def write_path(path: tuple[Subscript, ...]) -> str:
    """Return subscripts as they are written behind a uid."""
    return "".join(
        f"[{step}]"
        if isinstance(step, int)
        else f".{step}"
        if _NAME.match(step)
        else f"[{encode_basestring_ascii(step)}]"
        for step in path
    )


def parse_reference(text: str) -> tuple[str, tuple[Subscript, ...]]:
    """Return uid and path of a written reference.

    Raises
    ------
    InvalidData
        It does not begin with 64 lower-case hex digits, or its subscripts are malformed.

    Examples
    --------
    >>> parse_reference("ab" * 32 + ".model[3]")[1]
    ('model', 3)
    """
    if not _UID.match(text):
        raise InvalidData(f"{text[:80]!r} is no reference: it does not begin with a uid of 64 lower-case hex digits.")
    path: list[Subscript] = []
    position = 64
    while position < len(text):
        step = _STEP.match(text, position)
        if step is None:
            raise InvalidData(f"{text[:120]!r} is no reference: its subscripts are malformed at character {position}.")
        label, index, quoted = step.groups()
        path.append(label if label is not None else int(index) if index is not None else _unquote(quoted))
        position = step.end()
    return text[:64], tuple(path)


def holds_references(value: object) -> bool:
    """Return whether a value is a reference, or a list or mapping that holds one."""
    if not isinstance(value, (Reference, dict, list, tuple)):
        return False
    waiting = [value]
    while waiting:
        item = waiting.pop()
        if isinstance(item, Reference):
            return True
        if isinstance(item, dict):
            waiting.extend(item.values())
        elif isinstance(item, (list, tuple)):
            waiting.extend(item)
    return False


def references(item: Input) -> list[Reference]:
    """Return the references in an input, in the order in which they are written."""
    if isinstance(item, Reference):
        return [item]
    found: list[Reference] = []
    waiting: list[Input] = [item]
    while waiting:
        member = waiting.pop()
        if isinstance(member, Reference):
            found.append(member)
        elif isinstance(member, MAPPINGS):
            waiting += [member[label] for label in sorted(member, reverse=True)]
        else:
            waiting += reversed(member)
    return found


def write_input(item: Input) -> str:
    """Return the JSON text of an input."""
    if isinstance(item, Part):
        return encode_basestring_ascii(item.text)
    if isinstance(item, Reference):
        return f'"{item.uid}"'
    if isinstance(item, MAPPINGS):
        written = [f"{encode_basestring_ascii(label)}:{write_input(item[label])}" for label in sorted(item)]
        return "{" + ",".join(written) + "}"
    return "[" + ",".join(map(write_input, item)) + "]"


def select(item: Input, path: tuple[Subscript, ...]) -> Input:
    """Return the part of an input that `path` leads to; a reference on the way becomes a part of it.

    Raises
    ------
    GraphError
        A mapping has no such label, or a list no such index.
    """
    for position, step in enumerate(path):
        if isinstance(item, Part):
            return Part(item.source, item.path + path[position:])
        if isinstance(item, Reference):
            return Part(item, path[position:])
        if isinstance(item, Mapping):
            if step not in item:
                raise GraphError(f"There is no label {step!r} here; there is: {', '.join(map(repr, sorted(item)))}.")
            item = item[str(step)]
        elif isinstance(step, int) and step < len(item):
            item = item[step]
        else:
            raise GraphError(f"There is no part {step!r} in a list of {len(item)}.")
    return item


def _unquote(quoted: str) -> str:
    import json

    try:
        return str(json.loads(quoted))
    except ValueError as error:
        raise InvalidData(f"{quoted[:80]} is no label: {error}.") from None
