"""Lay an array out as `.npy`, the format of NumPy itself.

Header and data are written and read here and not by NumPy, so that equal arrays give equal bytes under every version
of NumPy, no pickle can hide in a file, and a header is understood without evaluating it. Read are versions 1.0 and
2.0 of the header. Source: numpy/lib/format.py, "NEP 1, a simple file format for NumPy arrays".
"""

from __future__ import annotations

import re
from io import BufferedIOBase
from typing import TYPE_CHECKING

from holdfast.errors import InvalidData
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
    from holdfast.model.content import Array

_MAGIC = b"\x93NUMPY"
_ALIGNMENT = 64  # as NumPy does, so that the data of a mapped file are aligned for every instruction set
_HEADER_LIMIT = 10_000
_HEADER = re.compile(r"\{'descr': '([^']{1,40})', 'fortran_order': False, 'shape': \(([0-9, ]*)\), \} *\n", re.ASCII)


class NumpyFormat:
    """Arrays of numbers, booleans, strings, bytes and times, as `.npy`."""

    name = "numpy"
    version = 1
    suffix = ".npy"
    canonical = True

    def accepts(self, layout: Layout) -> bool:
        """Return whether it is the layout of an array."""
        try:
            return layout.dtype != TEXT and item_size(layout.dtype) >= 0
        except InvalidData:
            return False

    def write(self, value: Array, stream: BufferedIOBase) -> None:
        """Write an array; one that is little-endian and in C order is not copied."""
        write_array(self, value, stream)

    def begin(self, layout: Layout, stream: BufferedIOBase) -> None:
        """Write the header."""
        stream.write(_write_header(layout))

    def append(self, block: Array, stream: BufferedIOBase) -> None:
        """Write the next elements; nothing is copied."""
        write_elements(block, stream)

    def end(self, layout: Layout, stream: BufferedIOBase) -> None:
        """Write nothing: the file ends with the elements."""

    def read(self, stream: BufferedIOBase, layout: Layout | None = None) -> Array:
        """Return the array, read-only and in memory of its own."""
        return read_elements(stream, _read_header(stream, layout))

    def map(self, stream: BufferedIOBase, layout: Layout | None = None) -> Array:
        """Return a read-only array on the mapped file."""
        return map_elements(stream, _read_header(stream, layout))

    def digest(self, stream: BufferedIOBase, layout: Layout | None = None) -> str:
        """Return the hex SHA-256 of dtype, shape and data in C order."""
        found = _read_header(stream, layout)
        return hash_rest(stream, layout_bytes(found.dtype, found.shape))


def _write_header(layout: Layout) -> bytes:
    text = f"{{'descr': '{layout.dtype}', 'fortran_order': False, 'shape': {layout.shape!r}, }}".encode("ascii")
    start = len(_MAGIC) + 4
    text += b" " * (-(start + len(text) + 1) % _ALIGNMENT) + b"\n"
    return _MAGIC + b"\x01\x00" + len(text).to_bytes(2, "little") + text


def _read_header(stream: BufferedIOBase, expected: Layout | None) -> Layout:
    """Return the layout that the file declares, checked against its size; leave the stream where the data begin."""
    end = stream.seek(0, 2)
    stream.seek(0)
    if stream.read(len(_MAGIC)) != _MAGIC:
        raise InvalidData("it does not begin like an .npy file")
    width = {b"\x01\x00": 2, b"\x02\x00": 4}.get(stream.read(2))
    if width is None:
        raise InvalidData("the version of its .npy header is neither 1.0 nor 2.0")
    length = int.from_bytes(stream.read(width), "little")
    if length > _HEADER_LIMIT:
        raise InvalidData(f"its .npy header declares {length} bytes")
    layout = _parse_header(stream.read(length))
    check_expected(layout, expected)
    if stream.tell() + layout.size != end:
        raise InvalidData(f"it has {end} bytes instead of {stream.tell() + layout.size}")
    return layout


def _parse_header(header: bytes) -> Layout:
    match = _HEADER.fullmatch(header.decode("latin-1"))
    if match is None:
        raise InvalidData("its .npy header is damaged, or is not that of a plain array in C order")
    try:
        shape = tuple(int(size) for size in match[2].replace(" ", "").split(",") if size)
    except ValueError as error:
        raise InvalidData("its .npy header is damaged: no shape") from error
    if match[1] == TEXT:
        raise InvalidData("its .npy header is damaged: no dtype")
    return check_layout(match[1], shape)
