"""Read the document of a work graph, and believe nothing in it that was not checked.

Every error begins with the place in the document: `$.referents[3].input.x`. A reference names an earlier referent, so there are no
cycles; each uid is computed anew. Pure: operations are asked for by name, and whoever answers decides what is allowed.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Protocol, TypeVar

from holdfast.errors import GraphError, HoldfastError, InvalidData
from holdfast.model.carried import read_arrays
from holdfast.model.content import MAX_DEPTH
from holdfast.model.control import CONTROL, SCATTER, check_control
from holdfast.model.datatype import BY_NAME, DataNode, File, data_from_record
from holdfast.model.fingerprint import compact_json, data_text, operation_text, uid_of
from holdfast.model.graph import GRAPH, Graph
from holdfast.model.node import Node, free_placeholders
from holdfast.model.operation import BUILT_IN, BUILT_IN_DATA, IMPLEMENTATION, OperationName
from holdfast.model.placeholder import PLACEHOLDER, Placeholder
from holdfast.model.record import parse_json
from holdfast.model.reference import Input, Part, Reference, parse_reference

VERSION = "holdfast_work_graph_1"
"""What a document of this form says in its member `version`."""

MAX_DATA_BYTES = 16 * 1024 * 1024
"""A document carries no more bytes of arrays."""

MAX_PLACEHOLDERS = 1000
"""A document has no more placeholders; what a node depends on is a set of them."""

Made = TypeVar("Made")

_MEMBERS = {"data", "referents", "targets", "types", "version"}
_REFERENT = {"depends", "input", "operation", "uid"}
_UID = re.compile(r"[0-9a-f]{64}\Z")
_MALFORMED = (TypeError, ValueError, KeyError, IndexError, AttributeError, OverflowError, RecursionError)


class Operations(Protocol):
    """Where the operations of a document may be found."""

    def find(self, name: str, implementation: str, parts: Mapping[str, str]) -> Any:
        """Return the operation of that name, if it is allowed and its code is what was recorded; else raise."""


def read_document(text: str, operations: Operations | None) -> dict[str, Input]:
    """Return the targets of a document, with all that they depend on."""
    document = parse_json(text, "$: the document")
    _require_members(document, _MEMBERS, "$")
    if document["version"] != VERSION:
        raise InvalidData(
            f"$.version is {_short(document['version'])}, expected {VERSION!r}. Use a holdfast that knows it."
        )
    for member, kind in (("data", dict), ("types", dict), ("referents", list), ("targets", dict)):
        _require(document[member], kind, f"$.{member}")
    reading = _Reading(document["types"], read_arrays(document["data"], MAX_DATA_BYTES), operations)
    reading.later = _uids_of(document["referents"])
    for index, referent in enumerate(document["referents"]):
        reading.add(referent, f"$.referents[{index}]")
    if not document["targets"]:
        raise InvalidData("$.targets is empty. Name at least one target.")
    return {name: _target(reading, name, written) for name, written in document["targets"].items()}


def type_of(scope: tuple[str, ...]) -> dict[str, str]:
    """Return what a document says of a type: its kind, and of data the dtype of its elements."""
    datatype = BY_NAME.get(scope)
    if datatype is not None:
        return {"dtype": datatype.dtype, "kind": "data"} if datatype.dtype else {"kind": "data"}
    if scope[0] in (BUILT_IN, BUILT_IN_DATA):
        kinds: dict[tuple[str, ...], str] = {
            IMPLEMENTATION: "implementation",
            GRAPH: "graph",
            PLACEHOLDER: "placeholder",
            SCATTER: "operation",
        }
        kind = "control" if scope in CONTROL else kinds.get(scope)
        if kind is None:
            raise InvalidData(f"{'.'.join(scope)!r} is no type of this version of holdfast")
        return {"kind": kind}
    return {"kind": "operation"}


class _Reading:
    """A document under way: what was read of it so far, by uid."""

    def __init__(self, types: dict[str, Any], arrays: Mapping[str, Any], operations: Operations | None) -> None:
        self.types = types
        self.operations = operations
        self.known: dict[str, Reference] = {}
        self.code: dict[str, dict[str, str]] = {}
        self.later: set[str] = set()
        self._arrays = arrays
        self._placeholders = 0
        self._readers: dict[str, Callable[[tuple[str, ...], Any, str], Reference]] = {
            "data": self._data,
            "placeholder": self._placeholder,
            "graph": self._graph,
            "control": self._control,
            "operation": self._operation,
        }

    def add(self, referent: Any, where: str) -> None:
        """Read one referent."""
        _require_members(referent, _REFERENT, where)
        uid = referent["uid"]
        if not isinstance(uid, str) or not _UID.match(uid):
            raise InvalidData(f"{where}.uid is {_short(uid)}, expected 64 lower-case hex digits.")
        if uid in self.known or uid in self.code:
            raise InvalidData(f"{where}.uid is {uid}, which an earlier referent has already.")
        _require(referent["depends"], list, f"{where}.depends")
        _require(referent["input"], dict, f"{where}.input")
        scope, kind = self._scope(referent["operation"], f"{where}.operation")
        if kind == "implementation":
            found = self._implementation(uid, referent, where)
        else:
            made = self._readers[kind](scope, referent, where)
            found = made.uid
            self.known[uid] = made
        if found != uid:
            raise InvalidData(f"{where}.uid is {uid}, but its record has the uid {found}. The document was changed.")

    def input(self, written: Any, where: str, depth: int = 0) -> Input:
        """Return the input that is written at some place."""
        if isinstance(written, str):
            return self._reference(written, where)
        if depth >= MAX_DEPTH:
            raise InvalidData(f"{where} is nested deeper than {MAX_DEPTH} levels.")
        if isinstance(written, list):
            return [self.input(item, f"{where}[{index}]", depth + 1) for index, item in enumerate(written)]
        if isinstance(written, dict):
            return {label: self.input(item, step(where, label), depth + 1) for label, item in written.items()}
        raise InvalidData(f"{where} is {_short(written)}, expected a reference, or a list or mapping of references.")

    def _reference(self, written: str, where: str) -> Reference:
        try:
            uid, path = parse_reference(written)
        except (InvalidData, ValueError) as error:
            raise InvalidData(f"{where}: {error}") from None
        source = self.known.get(uid)
        if source is None:
            reason = (
                "a later referent, so the order is not topological, or in a cycle" if uid in self.later else "missing"
            )
            raise InvalidData(f"{where} refers to {uid}, which is {reason}.")
        if isinstance(source, DataNode) and path:
            _check_part(source, path, where)
        return Part(source, path) if path else source

    def _scope(self, written: Any, where: str) -> tuple[tuple[str, ...], str]:
        if not isinstance(written, list) or not all(isinstance(part, str) for part in written):
            raise InvalidData(f"{where} is {_short(written)}, expected a list of names.")
        scope = tuple(written)
        with_place = _placed(where, lambda: type_of(OperationName(scope).scope))
        if self.types.get(".".join(scope)) != with_place:
            place = step("$.types", ".".join(scope))
            raise InvalidData(f"{where}: {place} is missing or wrong, expected {compact_json(with_place)}.")
        return scope, with_place["kind"]

    def _implementation(self, uid: str, referent: Any, where: str) -> str:
        _require_members(referent["input"], {"data"}, f"{where}.input")
        _refuse_depends(referent, where)
        parts = _require(referent["input"]["data"], dict, f"{where}.input.data")
        for name, digest in parts.items():
            _require(digest, str, step(f"{where}.input.data", name))
        self.code[uid] = parts
        return uid_of(data_text(operation_text(IMPLEMENTATION), compact_json(parts)))

    def _data(self, scope: tuple[str, ...], referent: Any, where: str) -> Reference:
        if scope == File.scope:
            raise InvalidData(f"{where} is a file, which a document does not carry. Read it inside an operation.")
        return _placed(where, lambda: data_from_record(referent, self._arrays.__getitem__))

    def _placeholder(self, scope: tuple[str, ...], referent: Any, where: str) -> Reference:
        self._placeholders += 1
        if self._placeholders > MAX_PLACEHOLDERS:
            raise InvalidData(f"{where} is one placeholder more than the {MAX_PLACEHOLDERS} that a document may have.")
        _require_members(referent["input"], {"data"}, f"{where}.input")
        _refuse_depends(referent, where)
        data = _require(referent["input"]["data"], dict, f"{where}.input.data")
        level, shape, datatype = data.get("level"), data.get("shape"), data.get("datatype")
        if type(level) is not int or not 0 <= level <= MAX_DEPTH:
            raise InvalidData(f"{where}.input.data.level is {_short(level)}, expected a number from 0 to {MAX_DEPTH}.")
        return _placed(
            where,
            lambda: Placeholder(data["name"], _names(datatype), None if shape is None else _sizes(shape), level=level),
        )

    def _graph(self, scope: tuple[str, ...], referent: Any, where: str) -> Reference:
        written = referent["input"]
        _require_members(written, {"output", "placeholders"}, f"{where}.input")
        _refuse_depends(referent, where)
        _require(written["placeholders"], list, f"{where}.input.placeholders")
        holes = self.input(written["placeholders"], f"{where}.input.placeholders")
        assert isinstance(holes, list)
        own = tuple(hole for hole in holes if isinstance(hole, Placeholder))
        if len(own) != len(holes) or len({hole.name for hole in own}) != len(own):
            raise InvalidData(f"{where}.input.placeholders holds what is no placeholder, or one name twice.")
        return Graph(self.input(written["output"], f"{where}.input.output"), own)

    def _control(self, scope: tuple[str, ...], referent: Any, where: str) -> Reference:
        _refuse_depends(referent, where)
        inputs = self._inputs(referent, where)
        _placed(f"{where}.input", lambda: check_control(scope, inputs))
        return Node(scope, inputs)

    def _operation(self, scope: tuple[str, ...], referent: Any, where: str) -> Reference:
        name, depends = ".".join(scope), referent["depends"]
        parts = self.code.get(depends[0]) if len(depends) == 1 and isinstance(depends[0], str) else None
        if parts is None:
            raise InvalidData(
                f"{where}.depends is {_short(depends)}, expected the uid of one implementation listed before."
            )
        operations = self.operations
        if operations is None:
            raise InvalidData(
                f"{where} needs the operation {name}. Say where it is: from_json(text, hf.allow('module'))."
            )
        operation = _placed(where, lambda: operations.find(name, depends[0], parts))
        inputs = self._inputs(referent, where)
        output_type = _placed(f"{where}.input", lambda: operation.check(inputs))
        return Node(scope, inputs, (depends[0],), operation, output_type)

    def _inputs(self, referent: Any, where: str) -> dict[str, Input]:
        return {label: self.input(item, step(f"{where}.input", label)) for label, item in referent["input"].items()}


def step(where: str, label: str) -> str:
    """Return the place of a member."""
    return f"{where}.{label}" if label.isidentifier() and len(label) <= 80 else f"{where}[{_short(label)}]"


def _target(reading: _Reading, name: str, written: Any) -> Input:
    where = step("$.targets", name)
    if not name:
        raise InvalidData(f"{where} has an empty name.")
    found = reading.input(written, where)
    if free_placeholders([found]):
        raise InvalidData(f"{where} depends on a placeholder that no graph binds.")
    return found


def _uids_of(referents: Iterable[Any]) -> set[str]:
    found = (referent.get("uid") for referent in referents if isinstance(referent, dict))
    return {uid for uid in found if isinstance(uid, str)}


def _placed(where: str, make: Callable[[], Made]) -> Made:
    """Return what `make` returns, and name the place if it raises."""
    try:
        return make()
    except HoldfastError as error:
        kind = type(error) if isinstance(error, (InvalidData, LookupError)) else InvalidData
        raise kind(f"{where}: {error}") from error
    except _MALFORMED as error:
        raise InvalidData(f"{where} is malformed: {type(error).__name__}: {_short(str(error))}.") from error


def _check_part(node: DataNode, path: tuple[str | int, ...], where: str) -> None:
    """Refuse an index beyond the shape of an array, and any part of a scalar."""
    if node.datatype.dtype or node.shape:
        for position, index in enumerate(path):
            if position >= len(node.shape) or not isinstance(index, int) or index >= node.shape[position]:
                raise InvalidData(f"{where} asks for part {index!r} of {node!r}, whose shape is {node.shape}.")


def _names(datatype: Any) -> tuple[str, ...] | None:
    if datatype is None:
        return None
    if not isinstance(datatype, list) or not all(isinstance(part, str) for part in datatype):
        raise GraphError(f"its datatype is {_short(datatype)}, expected a list of names or null")
    return tuple(datatype)


def _sizes(shape: Any) -> tuple[int | str | None, ...]:
    if not isinstance(shape, list) or not all(size is None or type(size) in (int, str) for size in shape):
        raise GraphError(f"its shape is {_short(shape)}, expected a list of sizes, names and nulls, or null")
    return tuple(shape)


def _refuse_depends(referent: Any, where: str) -> None:
    if referent["depends"]:
        raise InvalidData(f"{where}.depends is not empty; only operations depend on code.")


def _require(found: Any, kind: type, where: str) -> Any:
    if not isinstance(found, kind):
        raise InvalidData(f"{where} is {_short(found)}, expected a {'mapping' if kind is dict else kind.__name__}.")
    return found


def _require_members(found: Any, names: set[str], where: str) -> None:
    _require(found, dict, where)
    if wrong := sorted(found.keys() ^ names):
        reason = "lacks the member" if wrong[0] in names else "has the unknown member"
        raise InvalidData(f"{where} {reason} {_short(wrong[0])}. It has: {', '.join(sorted(names))}.")


def _short(found: Any) -> str:
    shown = repr(found)
    return shown if len(shown) <= 80 else shown[:79] + "…"
