"""Turn what is given to an operation into an input: references stay, structure is walked, and data becomes data nodes. Pure."""

from __future__ import annotations

import json
from typing import Any

from holdfast.errors import InvalidData, UnsupportedValue
from holdfast.model.content import encode
from holdfast.model.datatype import (
    BY_DTYPE,
    Boolean,
    Bytes,
    Complex128,
    DataNode,
    Dataset,
    DataType,
    Float64,
    Integer64,
    Null,
    String,
    Table,
    array_node,
)
from holdfast.model.element import STRINGS_LIMIT, room_of
from holdfast.model.foreign import is_dataset, library_of
from holdfast.model.reference import Input, Reference

_SCALARS: dict[type, DataType] = {
    int: Integer64, float: Float64, complex: Complex128, bool: Boolean, str: String, type(None): Null, bytes: Bytes, bytearray: Bytes,
}  # fmt: skip


def as_input(value: Any, where: str) -> Input:
    """Return what stands for `value` in the input of an operation.

    Parameters
    ----------
    value : object
        References stay; lists and mappings are walked; everything else becomes a data node.
    where : str
        Name of the argument in error messages.

    Raises
    ------
    UnsupportedValue, InvalidData
        Names the place.
    """
    kind = type(value)
    if kind is int:
        if not -(2**63) <= value < 2**63:
            raise InvalidData(f"{where} is {value}, which does not fit 64 bits. Pass it as a string, or as parts.")
        return DataNode(Integer64, int.__repr__(value))
    if isinstance(value, Reference):
        return value
    if kind is list or kind is tuple:
        return [as_input(item, f"{where}[{index}]") for index, item in enumerate(value)]
    if kind is dict:
        return {_label(key, where): as_input(item, f"{where}[{key!r}]") for key, item in value.items()}
    return constant(value, where)


def constant(value: Any, where: str) -> DataNode:
    """Return the data node for a scalar, an array, a table or a dataset."""
    content = encode(value, where)
    scalar = _SCALARS.get(type(value))
    if scalar is not None:
        return DataNode(scalar, content.text.decode("ascii"), (), content.arrays)
    datatype = Table if library_of(type(value)) else Dataset if is_dataset(type(value)) else None
    if datatype is not None:
        return DataNode(datatype, content.text.decode("ascii"), (), content.arrays)
    if not content.arrays:  # a NumPy scalar that has become a plain number or string
        return constant(json.loads(content.text) if b"$" not in content.text else value.item(), where)
    ((_, array),) = content.arrays.items()
    datatype = String if array.dtype.kind == "U" else BY_DTYPE.get(array.dtype.str)
    if datatype is None:
        raise UnsupportedValue(
            where, f"an array of dtype {array.dtype}", "Convert it to a numeric, boolean or string dtype."
        )
    return array_node(datatype, array)


def pack(items: list[Any]) -> DataNode | None:
    """Return one array node for a list of alike plain scalars, each of which an operation would receive as it is; else None."""
    kinds = set(map(type, items))
    if len(kinds) != 1 or not kinds <= {int, float, bool, str}:
        return None
    if kinds == {int} and not (min(items) >= -(2**63) and max(items) < 2**63):
        return None
    if kinds == {str} and (any(item.endswith("\0") for item in items) or room_of(items) > STRINGS_LIMIT):
        return None
    import numpy

    return constant(numpy.array(items), "a list")


def _label(key: object, where: str) -> str:
    if type(key) is not str or not key:
        raise UnsupportedValue(f"a key of {where}", repr(key), "Keys of mappings are strings and not empty.")
    return key
