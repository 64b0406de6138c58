"""Take one Arrow array apart into buffers that depend on nothing but its values, and make an array of such buffers again.

Slices, chunks, padding, and what stands where a value is missing make no difference. Made again, an array is checked to the last offset,
index and character before anybody sees it. Pure; imports pyarrow when it is first needed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from holdfast.errors import InvalidData, UnsupportedValue
from holdfast.model.arrow import Column

if TYPE_CHECKING:
    import numpy

    Bytes = numpy.ndarray[Any, numpy.dtype[numpy.uint8]]

ADVICE = "Columns of numbers, booleans, strings, bytes, dates, times, decimals and categories can be kept; convert it, or split it."

_NAMES = {
    "halffloat": "float16", "float": "float32", "double": "float64", "large_string": "largestring", "large_binary": "largebinary",
    "date32[day]": "date32", "date64[ms]": "date64",
    **{name: name for name in ("bool", "string", "binary", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64")},
}  # fmt: skip
_OFFSETS = {"string": 4, "binary": 4, "largestring": 8, "largebinary": 8}


def split(name: str, array: Any, where: str) -> tuple[Column, list[Bytes], list[Bytes]]:
    """Return what describes a column, the buffers of the dictionary that it refers to, and its own.

    Parameters
    ----------
    name : str
    array : pyarrow.Array
    where : str
        Name of the column in error messages.

    Raises
    ------
    UnsupportedValue
        Its type is none that can be kept.
    """
    import pyarrow

    if not pyarrow.types.is_dictionary(array.type):
        column, own = _split_plain(name, array, where)
        return column, [], own
    values, shared = _split_plain("", array.dictionary, where)
    index, own = _split_plain(name, array.indices, where)
    return Column(name, index.kind, index.rows, index.nulls, index.sizes, values, bool(array.type.ordered)), shared, own


def join(column: Column, buffers: Iterator[Any], values: Any = None) -> Any:
    """Return the array that a column describes, on these buffers.

    Parameters
    ----------
    column : Column
    buffers : iterator of pyarrow.Buffer
        One for each size.
    values : pyarrow.Array, optional
        The dictionary that it refers to.

    Raises
    ------
    InvalidData
        They do not fit, or contradict themselves.
    """
    import pyarrow

    kind = _arrow_type(column.kind)
    if column.sizes != _sizes(column, kind):
        raise InvalidData(f"the column {column.name!r:.80} has buffers of {column.sizes!r:.80} bytes, which do not fit")
    parts = [
        buffer if size or place else None
        for place, (size, buffer) in enumerate(zip(column.sizes, buffers, strict=False))
    ]
    try:
        array = pyarrow.Array.from_buffers(kind, column.rows, parts, -1 if column.nulls else 0)
        if values is not None:
            array = pyarrow.DictionaryArray.from_arrays(array, values, ordered=column.ordered)
        array.validate(full=True)
    except (ValueError, TypeError, OverflowError) as error:  # those of pyarrow are ValueErrors
        raise InvalidData(f"the column {column.name!r:.80} contradicts itself: {error}") from error
    if array.null_count != column.nulls:
        raise InvalidData(f"the column {column.name!r:.80} lacks {array.null_count} values instead of {column.nulls}")
    return array


def describe(column: Column) -> dict[str, Any]:
    """Return a column as JSON can say it; `read_column` is the way back."""
    described = {"kind": column.kind, "name": column.name, "nulls": column.nulls, "sizes": list(column.sizes)}
    if column.dictionary is not None:
        values = column.dictionary
        inner = {"kind": values.kind, "nulls": values.nulls, "rows": values.rows, "sizes": list(values.sizes)}
        described |= {"dictionary": inner, "ordered": column.ordered}
    return described if column.nullable else {**described, "nullable": False}


def read_column(described: Any, rows: int) -> Column:
    """Return the column that a description says; InvalidData if it is none."""
    try:
        values = described.get("dictionary")
        dictionary = None if values is None else _read_plain("", values, _count(values["rows"]))
        plain = _read_plain(described["name"], described, rows)
        rest = (dictionary, described.get("ordered", False), "", described.get("nullable", True))
        return Column(plain.name, plain.kind, rows, plain.nulls, plain.sizes, *rest)
    except (TypeError, KeyError, AttributeError, ValueError) as error:
        raise InvalidData(f"{described!r:.80} describes no column of a table") from error


def _read_plain(name: Any, described: Mapping[str, Any], rows: int) -> Column:
    if not isinstance(name, str) or not isinstance(described["kind"], str):
        raise TypeError(name)
    return Column(name, described["kind"], rows, _count(described["nulls"]), tuple(map(_count, described["sizes"])))


def _count(number: Any) -> int:
    if type(number) is not int or not 0 <= number < 2**62:
        raise TypeError(number)
    return number


def _split_plain(name: str, array: Any, where: str) -> tuple[Column, list[Bytes]]:
    import numpy

    kind = _kind(array.type)
    if not kind:
        raise UnsupportedValue(where, f"a column of the type {array.type}", ADVICE)
    nulls = array.null_count
    valid = numpy.packbits(_bits(array, 0), bitorder="little") if nulls else numpy.zeros(0, "u1")
    buffers = [valid, *(_characters(array, kind) if kind in _OFFSETS else [_values(array, kind)])]
    return Column(name, kind, len(array), nulls, tuple(buffer.nbytes for buffer in buffers)), buffers


def _bits(array: Any, place: int) -> Bytes:
    """Return one buffer of bits as bytes."""
    import numpy

    bits = numpy.unpackbits(numpy.frombuffer(array.buffers()[place], "u1"), bitorder="little")
    return bits[array.offset : array.offset + len(array)]


def _values(array: Any, kind: str) -> Bytes:
    """Return the values of one size; those that are missing are zero."""
    import numpy

    count = len(array)
    if not count:
        return numpy.zeros(0, "u1")
    if kind == "bool":
        bits = _bits(array, 1)
        return numpy.packbits(bits & _bits(array, 0) if array.null_count else bits, bitorder="little")
    width = array.type.bit_width // 8
    raw = numpy.frombuffer(array.buffers()[1], "u1")[array.offset * width : (array.offset + count) * width]
    if array.null_count:
        raw = raw.copy()
        raw.reshape(count, width)[_bits(array, 0) == 0] = 0
    return raw


def _characters(array: Any, kind: str) -> list[Bytes]:
    """Return the offsets and the characters or bytes of values of many lengths; those that are missing have none."""
    import numpy
    import pyarrow.compute

    dtype = f"<i{_OFFSETS[kind]}"
    if not len(array):
        return [numpy.zeros(1, dtype).view("u1"), numpy.zeros(0, "u1")]
    if array.null_count:
        array = pyarrow.compute.fill_null(array, pyarrow.scalar("" if "string" in kind else b"", array.type))
    offsets = numpy.frombuffer(array.buffers()[1], dtype)[array.offset : array.offset + len(array) + 1]
    first, last = int(offsets[0]), int(offsets[-1])
    data = numpy.frombuffer(array.buffers()[2], "u1")[first:last] if last > first else numpy.zeros(0, "u1")
    return [(offsets - offsets[0]).view("u1"), data]


def _sizes(column: Column, kind: Any) -> tuple[int, ...]:
    """Return the sizes that the buffers of a column must have; that of characters may be any."""
    rows = column.rows
    valid = -(-rows // 8) if column.nulls else 0
    if column.kind in _OFFSETS:
        return (valid, (rows + 1) * _OFFSETS[column.kind], column.sizes[2] if len(column.sizes) == 3 else -1)
    return (valid, -(-rows // 8) if column.kind == "bool" else rows * (kind.bit_width // 8))


def _kind(found: Any) -> str:
    """Return how an envelope calls an Arrow type; empty if it is none that can be kept."""
    from pyarrow import types

    if types.is_timestamp(found):
        return f"timestamp[{found.unit},{found.tz}]" if found.tz else f"timestamp[{found.unit}]"
    if types.is_duration(found) or types.is_time(found):
        return f"{'duration' if types.is_duration(found) else 'time'}[{found.unit}]"
    if types.is_fixed_size_binary(found) and found.byte_width:
        return f"binary[{found.byte_width}]"
    if types.is_decimal128(found):
        return f"decimal[{found.precision},{found.scale}]"
    return _NAMES.get(str(found), "")


def _arrow_type(kind: str) -> Any:
    """Return the Arrow type that an envelope calls so."""
    import pyarrow

    word, _, rest = kind.rstrip("]").partition("[")
    first, _, second = rest.partition(",")
    try:
        if word in ("timestamp", "duration"):
            return pyarrow.timestamp(first, second or None) if word == "timestamp" else pyarrow.duration(first)
        if word == "time":
            return pyarrow.time32(first) if first in ("s", "ms") else pyarrow.time64(first)
        if word == "decimal":
            return pyarrow.decimal128(int(first), int(second))
        if word == "binary" and first:
            return pyarrow.binary(int(first))
        plain = {"largestring": "large_string", "largebinary": "large_binary"}.get(kind, kind)
        return pyarrow.type_for_alias(plain)
    except ValueError as error:
        raise InvalidData(f"{kind!r:.80} is no type of a column") from error
