"""Say what may be asked for, under which names it is found again, and which error tells that it failed. Does nothing itself."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any

from holdfast.errors import GraphError, OperationFailed, StoreFailure
from holdfast.model.argument import as_input
from holdfast.model.binding import alone
from holdfast.model.graph import concrete
from holdfast.model.node import Node
from holdfast.model.reference import Input, Part, Reference, references
from holdfast.runtime.task import Failure
from holdfast.storage.catalog import Catalog
from holdfast.storage.rows import ExpansionRow, TargetRow

_NEEDS = 4096
"""Uids in one row."""


def requested(node: Any) -> Input:
    """Return what is asked for as an input, and refuse what is still abstract."""
    if type(node) is Node and not node.free:
        return node
    item = alone(as_input(node, "the request"))
    for reference in references(item):
        if reference.free:
            names = ", ".join(sorted(hole.name for hole in reference.free))
            raise GraphError(
                f"{reference!r} is abstract: its placeholders {names} are not bound. Bind them before you ask for a result."
            )
    return item


def target_rows(name: str, item: Input, catalog: Catalog) -> list[TargetRow | ExpansionRow]:
    """Return the names of a request, and what those consist of that are not done yet.

    The parts of a mapping or list have names of their own, with a dot and their label.
    """
    rows: list[TargetRow | ExpansionRow] = []
    waiting = [(name, item)]
    while waiting:
        label, found = waiting.pop()
        if isinstance(found, Reference):
            source = found.source if isinstance(found, Part) else found
            uid = bytes.fromhex(source.uid)
            rows.append(TargetRow(label, uid))
            if isinstance(source, Node) and not catalog.find_call_keys([uid]):
                rows += _unfinished(source, uid)
        else:
            members = found.items() if isinstance(found, Mapping) else enumerate(found)
            waiting += [(f"{label}.{key}", member) for key, member in members]
    return rows


def _unfinished(node: Node, uid: bytes) -> Iterator[ExpansionRow]:
    """Yield the nodes that a node depends on; their own records lead to them only once it is done."""
    uids = (bytes.fromhex(reference.uid) for reference in concrete(node))
    while block := b"".join(islice(uids, _NEEDS)):
        yield ExpansionRow(uid, block)


def operation_error(failure: Failure) -> Exception:
    """Return what to raise for a failure."""
    if failure.cause is not None:
        return failure.cause
    if failure.kind == "StoreFailure":
        return StoreFailure(failure.reason)
    others = f" (and {failure.others} more members of the ensemble failed)" if failure.others else ""
    return OperationFailed(
        operation=failure.operation,
        node=failure.node,
        arguments=failure.arguments,
        kind=failure.kind,
        reason=failure.reason + others,
        traceback=failure.traceback,
    )
