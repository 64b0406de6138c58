"""Lay an array or a text out as an Arrow IPC file, as its one column `data`, for the many programs that read it.

The elements stand in C order in one record batch, so that they are written block by block, mapped and hashed where they stand; dtype
and shape are told by the note `holdfast` of the schema. A file is believed only if all but its elements is what this dtype and shape give,
byte for byte: so nothing in it can be compressed, and nothing hangs or runs. Never needs a library of Arrow.
"""

from __future__ import annotations

import json
import re
import struct
from io import BufferedIOBase
from math import prod
from typing import TYPE_CHECKING, Any

from holdfast.errors import InvalidData
from holdfast.model.arrow import Column, envelope
from holdfast.model.canonical import layout_bytes
from holdfast.storage.format import (
    TEXT,
    Layout,
    check_expected,
    check_layout,
    hash_rest,
    item_size,
    map_elements,
    read_elements,
    write_array,
    write_elements,
)

if TYPE_CHECKING:
    from holdfast.model.arrow import Part
    from holdfast.model.content import Array

NOTE = "holdfast"
"""Key of the note in the schema that tells dtype and shape."""

_HEAD_LIMIT = 8192
_NOTED = re.compile(rb'\{"dtype":"([^"]{1,40})","shape":\[([0-9,]{0,1300})\]\}')
_KINDS = {
    "i1": "int8", "i2": "int16", "i4": "int32", "i8": "int64", "u1": "uint8", "u2": "uint16", "u4": "uint32", "u8": "uint64",
    "f2": "float16", "f4": "float32", "f8": "float64", "b1": "int8",
}  # fmt: skip
_BOOLEANS = "arrow.bool8"  # one byte each, so that they are mapped; Arrow's own take a bit
_TIMES = {"M8": "timestamp", "m8": "duration"}
_UNITS = ("s", "ms", "us", "ns")


class ArrowFormat:
    """Texts, and arrays of what Arrow has types of one size for, as `.arrow`."""

    name = "arrow"
    version = 1
    suffix = ".arrow"
    canonical = True

    def accepts(self, layout: Layout) -> bool:
        """Return whether it is the layout of a text, or of an array whose elements Arrow knows: no complex numbers, no strings."""
        try:
            return layout.dtype == TEXT or (item_size(layout.dtype) > 0 and _kind(layout.dtype) != "")
        except InvalidData:
            return False

    def write(self, value: Array | bytes, stream: BufferedIOBase) -> None:
        """Write an array, block by block, or a text."""
        if not isinstance(value, bytes):
            write_array(self, value, stream)
            return
        before, after = _around(Layout(TEXT, (len(value),)))
        stream.write(before + value + after)

    def begin(self, layout: Layout, stream: BufferedIOBase) -> None:
        """Write what stands before the elements."""
        stream.write(_around(layout)[0])

    def append(self, block: Array, stream: BufferedIOBase) -> None:
        """Write the next elements; nothing is copied."""
        write_elements(block, stream)

    def end(self, layout: Layout, stream: BufferedIOBase) -> None:
        """Write what stands after the elements."""
        stream.write(_around(layout)[1])

    def read(self, stream: BufferedIOBase, layout: Layout | None = None) -> Any:
        """Return the text, or the array, read-only and in memory of its own."""
        found = _find(stream, layout)
        if found.dtype != TEXT:
            return read_elements(stream, found)
        text = stream.read(found.size)
        if len(text) != found.size:
            raise InvalidData(f"it ends after {len(text)} of {found.size} bytes of text")
        return text

    def map(self, stream: BufferedIOBase, layout: Layout | None = None) -> Array:
        """Return a read-only array on the mapped file."""
        return map_elements(stream, _find(stream, layout))

    def digest(self, stream: BufferedIOBase, layout: Layout | None = None) -> str:
        """Return the hex SHA-256 of the text, or of dtype, shape and data in C order, as for every array."""
        found = _find(stream, layout)
        before = b"" if found.dtype == TEXT else layout_bytes(found.dtype, found.shape)
        return hash_rest(stream, before, size=found.size)


def _kind(dtype: str) -> str:
    """Return the Arrow type of elements; empty if there is none of their size."""
    code, unit = dtype[1:].partition("[")[::2]
    if code in _TIMES:
        return f"{_TIMES[code]}[{unit[:-1]}]" if unit[:-1] in _UNITS else ""
    return f"binary[{code[1:]}]" if code[:1] == "S" else _KINDS.get(code, "")


def _around(layout: Layout) -> tuple[bytes, bytes]:
    """Return what stands before and after the elements, or the characters of a text."""
    note = json.dumps({"dtype": layout.dtype, "shape": layout.shape}, separators=(",", ":"))
    if layout.dtype == TEXT:
        column = Column("data", "largestring", 1, 0, (0, 16, layout.size))
        offsets = struct.pack("<qq", 0, layout.size)
    else:
        kind = _kind(layout.dtype)
        if not kind:
            raise InvalidData(f"Arrow has no type for {layout.dtype!r}")
        extension = _BOOLEANS if layout.dtype == "|b1" else ""
        column = Column("data", kind, prod(layout.shape), 0, (0, layout.size), extension=extension)
        offsets = b""
    parts: list[Part] = envelope([column], {NOTE: note})
    fixed = [part for part in parts if isinstance(part, bytes)]
    if not layout.size:
        return fixed[0], b""
    return offsets.join(fixed[:-1]), fixed[-1]


def _find(stream: BufferedIOBase, expected: Layout | None) -> Layout:
    """Return the layout of the file, all of it compared but the elements; leave the stream where these begin."""
    end = stream.seek(0, 2)
    stream.seek(0)
    match = _NOTED.search(stream.read(_HEAD_LIMIT))
    if match is None:
        raise InvalidData("it does not begin like an Arrow file of one array")
    sizes = [int(size) for size in match[2].decode().split(",") if size]
    found = check_layout(match[1].decode("latin-1"), sizes)
    check_expected(found, expected)
    if not ArrowFormat().accepts(found):
        raise InvalidData(f"Arrow has no type for {found.dtype!r}")
    if max((found.size, *found.shape)) >= 2**63 or found.size > end:
        raise InvalidData(f"it has {end} bytes and declares {found.size} bytes of data")
    before, after = _around(found)
    if (size := len(before) + found.size + len(after)) != end:
        raise InvalidData(f"it has {end} bytes instead of {size}")
    stream.seek(len(before) + found.size)
    if stream.read(len(after)) != after or not _begins(stream, before):
        raise InvalidData("what stands around its data is not that of an Arrow file of this dtype and shape")
    return found


def _begins(stream: BufferedIOBase, before: bytes) -> bool:
    stream.seek(0)
    return stream.read(len(before)) == before
