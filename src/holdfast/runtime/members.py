"""Say what the members of an ensemble are: their arguments and call keys, from the elements of its inputs.

A body that is a single call needs no node to say so. Looks nothing up and runs nothing.

State: the elements of each input, and where arrays are that were found on the way.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from json.encoder import encode_basestring_ascii

from holdfast.model.binding import bind
from holdfast.model.content import write_mapping
from holdfast.model.control import MAP, common_width
from holdfast.model.fingerprint import call_key, call_prefix, node_text, uid_of
from holdfast.model.graph import Graph, only_call
from holdfast.model.node import Node
from holdfast.model.operation import BUILT_IN
from holdfast.model.placeholder import Placeholder
from holdfast.model.reference import Input, Part, Reference, references, select, write_input
from holdfast.runtime.contents import Contents
from holdfast.runtime.places import Places

MEMBER = (BUILT_IN, "member")
"""What the call keys of members are made with whose body is a graph."""


def member_call(node: Node) -> Node | None:
    """Return the call on placeholders that each member of an ensemble makes; None if it is no ensemble, or of graphs."""
    body = node.inputs.get("body")
    single = only_call(body) if node.scope == MAP and isinstance(body, Graph) else None
    return None if single is None else single[0]


def captured(node: Node) -> list[Reference]:
    """Return what the single call of an ensemble's members refers to besides their elements."""
    call = member_call(node)
    return [] if call is None else [item for item in references(call.inputs) if not item.free]


class Members:
    """The members of an ensemble whose inputs are computed, once `begin` was called."""

    def __init__(self, node: Node, contents: Contents) -> None:
        body, over = node.inputs["body"], node.inputs["over"]
        assert isinstance(body, Graph)
        assert isinstance(over, Mapping)
        self._contents = contents
        self._body = body
        self._over = over
        self._single = only_call(body)
        self._elements: dict[str, list[bytes]] = {}
        self.places: Places = {}

    @property
    def call(self) -> Node | None:
        """The call that each member makes, on placeholders; None if a member is a graph of nodes."""
        return None if self._single is None else self._single[0]

    def begin(self) -> int:
        """Read the elements of the inputs, and return how many members there are."""
        self._elements = {label: self._contents.elements(item, self.places) for label, item in self._over.items()}
        return common_width({label: len(elements) for label, elements in self._elements.items()})

    def keys(self, arguments: list[bytes]) -> list[bytes]:
        """Return the call keys of members from their arguments."""
        prefix = self._prefix()
        return [call_key(prefix, text) for text in arguments]

    def output(self, index: int) -> Input:
        """Return what a member is, as nodes."""
        return bind(self._body, {name: self._reference(name, index) for name in self._over})

    def forget(self) -> None:
        """Let go of the elements."""
        self._elements = {}

    def uid(self, index: int) -> str:
        """Return the uid that a member has which is a single call."""
        assert self._single is not None
        call, inputs = self._single
        replaced = {label: self._written(item, index) for label, item in inputs.items()}
        listed = ",".join(f"{encode_basestring_ascii(label)}:{text}" for label, text in sorted(replaced.items()))
        return uid_of(node_text(call.scope, call.depends, "{" + listed + "}"))

    def _prefix(self) -> bytes:
        if self._single is not None:
            call, _ = self._single
            return call_prefix(call.scope, call.depends)
        return call_prefix(MEMBER, (self._body.uid,))

    def arguments(self, first: int, last: int) -> Iterator[bytes]:
        """Yield the arguments of each member of a block as content text."""
        if self._single is None:
            labels = {label: Placeholder(label) for label in self._over}
            yield from self._compose({label: label for label in labels}, {}, first, last)
            return
        _, inputs = self._single
        direct = {label: item.name for label, item in inputs.items() if isinstance(item, Placeholder)}
        constant = {label: item for label, item in inputs.items() if isinstance(item, Reference) and not item.free}
        if len(direct) + len(constant) == len(inputs):
            texts = {label: self._contents.text_of(item, self.places) for label, item in constant.items()}
            yield from self._compose(direct, texts, first, last)
            return
        for index in range(first, last):
            bound = {label: self._bound_text(item, index).decode("ascii") for label, item in inputs.items()}
            yield write_mapping(bound).encode("ascii")

    def _compose(
        self, direct: Mapping[str, str], constant: Mapping[str, bytes], first: int, last: int
    ) -> Iterator[bytes]:
        """Join prepared pieces: the label of each argument and its element or constant."""
        columns: list[list[bytes]] = []
        pieces: list[bytes] = []
        for label in sorted([*direct, *constant]):
            pieces.append(write_mapping({label: ""}).encode("ascii")[1:-1])
            if label in constant:
                columns.append([constant[label]] * (last - first))
            else:
                elements = self._elements[direct[label]]
                columns.append(elements * (last - first) if len(elements) == 1 else elements[first:last])
        template = b"{" + b",".join(piece.replace(b"%", b"%%") + b"%b" for piece in pieces) + b"}"
        for row in zip(*columns, strict=True):
            yield template % row

    def _bound_text(self, item: Input, index: int) -> bytes:
        """Return the text of an argument that is made of elements in some other way."""
        contents = self._contents
        if isinstance(item, Placeholder):
            return self._element(item.name, index)
        if isinstance(item, Part) and isinstance(item.source, Placeholder):
            return contents.part(self._element(item.source.name, index), item.path, item, self.places)
        if isinstance(item, Reference):
            return contents.text_of(item, self.places)
        if isinstance(item, Mapping):
            return write_mapping(
                {label: self._bound_text(member, index).decode("ascii") for label, member in item.items()}
            ).encode("ascii")
        return b"[" + b",".join(self._bound_text(member, index) for member in item) + b"]"

    def _element(self, name: str, index: int) -> bytes:
        elements = self._elements[name]
        return elements[0 if len(elements) == 1 else index]

    def _written(self, item: Input, index: int) -> str:
        """Return an input of a member as its record would write it."""
        return write_input(self._member_input(item, index))

    def _member_input(self, item: Input, index: int) -> Input:
        if isinstance(item, Placeholder):
            return self._reference(item.name, index)
        if isinstance(item, Part) and isinstance(item.source, Placeholder):
            return select(self._reference(item.source.name, index), item.path)
        if isinstance(item, Reference):
            return item
        if isinstance(item, Mapping):
            return {label: self._member_input(member, index) for label, member in item.items()}
        return [self._member_input(member, index) for member in item]

    def _reference(self, name: str, index: int) -> Input:
        elements = self._elements[name]
        return select(self._over[name], (0 if len(elements) == 1 else index,))
