"""Say which shape and dtype a node's value has, from its record alone: nothing is loaded, decoded or computed. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from holdfast.errors import InvalidData
from holdfast.model.datatype import BY_NAME, DataNode
from holdfast.model.placeholder import PLACEHOLDER, Placeholder
from holdfast.model.record import parse_record
from holdfast.model.reference import Reference
from holdfast.model.shape import OpenShape, nested_shape
from holdfast.model.typecheck import type_of

Described = Reference | Mapping[str, Any] | str
"""A node, its record, or the JSON of its record."""


def node_shape(node: Described) -> OpenShape | None:
    """Return the shape of a node's value.

    Parameters
    ----------
    node : node, record or JSON text
        Of an operation, what its annotations declare.

    Returns
    -------
    tuple or None
        Sizes from the outermost, ``()`` for a single value, a mapping, bytes or a file; a size that is not known is its name or None.
        None if nothing is known.

    Raises
    ------
    InvalidData
        It is no record, or its data is ragged.

    Examples
    --------
    >>> node_shape('{"depends":[],"input":{"data":[[1,2],[3,4]]},"operation":["scalems","Integer64"]}')
    (2, 2)
    """
    if isinstance(node, (DataNode, Placeholder)):
        return node.shape
    if isinstance(node, Reference):
        shapes = {kind.shape for kind in type_of(node) or ()}
        return shapes.pop() if len(shapes) == 1 else None
    scope, data = _read(node)
    if scope == PLACEHOLDER:
        return None if data["shape"] is None else tuple(data["shape"])
    if isinstance(data, dict):
        return tuple(data["$array"][1]) if set(data) == {"$array"} else ()
    return nested_shape(data, "input.data")


def node_dtype(node: Described) -> Any:
    """Return the NumPy dtype of the elements of a node's value.

    Parameters
    ----------
    node : node, record or JSON text
        Of an operation, what its annotations declare.

    Returns
    -------
    numpy.dtype or None
        None for strings, bytes, files, mappings and null, and if nothing is known.

    Raises
    ------
    InvalidData
        It is no record, or one of a type that is not built in; give the data node instead.

    Examples
    --------
    >>> node_dtype('{"depends":[],"input":{"data":[[1,2],[3,4]]},"operation":["scalems","Integer64"]}')
    dtype('int64')
    """
    import numpy

    if isinstance(node, DataNode):
        return node.dtype
    if isinstance(node, Reference):
        carried = {name for kind in type_of(node) or () for name in kind.is_a}
        dtypes = {datatype.dtype for datatype in BY_NAME.values() if datatype.text in carried}
        known = dtypes.pop() if len(dtypes) == 1 else ""
        return numpy.dtype(known) if known else None
    scope, data = _read(node)
    named = data["datatype"] if scope == PLACEHOLDER else scope
    datatype = BY_NAME.get(tuple(named)) if named else None
    if named and datatype is None:
        raise InvalidData(f"{'.'.join(named)} is no built-in data type; its record alone does not tell. Give the node.")
    return numpy.dtype(datatype.dtype) if datatype is not None and datatype.dtype else None


def _read(node: Mapping[str, Any] | str) -> tuple[tuple[str, ...], Any]:
    record = parse_record(node) if isinstance(node, str) else node
    if not {"operation", "input"} <= set(record) or set(record["input"]) != {"data"}:
        raise InvalidData("This is no record of data: its 'input' has no member 'data' alone. Give the node itself.")
    return tuple(record["operation"]), record["input"]["data"]
