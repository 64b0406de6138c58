"""Lay an array or a text out as XDR, big-endian, for programs that read nothing newer.

The file is, in the types of XDR: `string` "holdfast-xdr", `unsigned int` version, `string` dtype as NumPy writes it,
`unsigned hyper<64>` shape, and then the elements in C order without a count. An element is

    boolean                        bool (0 or 1 in four bytes)
    integer of 8, 16 or 32 bits    int, or unsigned int
    integer of 64 bits, time       hyper, or unsigned hyper
    float of 32 or 64 bits         float, or double; a complex number is two of them
    character of a string          unsigned int, its code point
    bytes of length n              opaque[n], padded with zeros to a multiple of four

A text has the dtype "text", and its bytes are one opaque[n]. XDR knows no other sizes of floats, so those are not accepted.
Source: RFC 4506, "XDR: External Data Representation Standard", M. Eisler, 2006, sections 4.1 to 4.15.
"""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import sha256
from io import BufferedIOBase
from math import prod
from typing import TYPE_CHECKING, Any

from holdfast.errors import InvalidData
from holdfast.model.canonical import layout_bytes
from holdfast.storage.format import MAX_DIMENSIONS, TEXT, Layout, check_expected, check_layout, item_size, write_array

if TYPE_CHECKING:
    from holdfast.model.content import Array

BLOCK = 1024 * 1024
"""Bytes in the file that are converted at once."""

_MAGIC = b"holdfast-xdr"
_DTYPE_LIMIT = 40
_UNIT = 4  # every XDR item takes a multiple of four bytes
_WIRE = {
    "b1": ">u4", "i1": ">i4", "i2": ">i4", "i4": ">i4", "i8": ">i8", "u1": ">u4", "u2": ">u4", "u4": ">u4", "u8": ">u8",
    "f4": ">f4", "f8": ">f8", "c8": ">c8", "c16": ">c16", "M8": ">i8", "m8": ">i8",
}  # fmt: skip


class XdrFormat:
    """Texts, and arrays of what XDR has types for, as `.xdr`."""

    name = "xdr"
    version = 1
    suffix = ".xdr"
    canonical = True

    def accepts(self, layout: Layout) -> bool:
        """Return whether it is the layout of a text, or of an array whose elements XDR knows."""
        try:
            return layout.dtype == TEXT or (item_size(layout.dtype) > 0 and _wire_size(layout.dtype) > 0)
        except InvalidData:
            return False

    def write(self, value: Array | bytes, stream: BufferedIOBase) -> None:
        """Write an array, block by block, or a text."""
        if isinstance(value, bytes):
            stream.write(_write_header(Layout(TEXT, (len(value),))) + value + bytes(-len(value) % _UNIT))
        else:
            write_array(self, value, stream)

    def begin(self, layout: Layout, stream: BufferedIOBase) -> None:
        """Write the header."""
        stream.write(_write_header(layout))

    def append(self, block: Array, stream: BufferedIOBase) -> None:
        """Write the next elements."""
        count = max(1, BLOCK // _wire_size(block.dtype.str))
        flat = block.reshape(-1)
        for start in range(0, flat.size, count):
            stream.write(_to_wire(flat[start : start + count]))

    def end(self, layout: Layout, stream: BufferedIOBase) -> None:
        """Write nothing: the file ends with the elements."""

    def read(self, stream: BufferedIOBase, layout: Layout | None = None) -> Any:
        """Return the text, or the array, read-only and in memory of its own."""
        import numpy

        found = _read_header(stream, layout)
        if found.dtype == TEXT:
            return _read_text(stream, found)
        array = numpy.empty(prod(found.shape), dtype=found.dtype)
        done = 0
        for block in _blocks(stream, found):
            array[done : done + block.size] = block
            done += block.size
        array = array.reshape(found.shape)
        array.flags.writeable = False
        return array

    def digest(self, stream: BufferedIOBase, layout: Layout | None = None) -> str:
        """Return the hex SHA-256 of the text, or of dtype, shape and data in C order, as for every array."""
        found = _read_header(stream, layout)
        if found.dtype == TEXT:
            return sha256(_read_text(stream, found)).hexdigest()
        digest = sha256(layout_bytes(found.dtype, found.shape))
        for block in _blocks(stream, found):
            digest.update(block.tobytes())
        return digest.hexdigest()


def _size_in_file(layout: Layout) -> int:
    """Return the bytes that a text or all elements take in the file."""
    if layout.dtype == TEXT:
        return layout.size + -layout.size % _UNIT
    return prod(layout.shape) * _wire_size(layout.dtype)


def _read_text(stream: BufferedIOBase, layout: Layout) -> bytes:
    padded = stream.read(_size_in_file(layout))
    if len(padded) != _size_in_file(layout) or padded[layout.size :].strip(b"\0"):
        raise InvalidData("it ends early, or its padding is not zero")
    return padded[: layout.size]


def _wire_size(dtype: str) -> int:
    """Return the bytes that one element takes in the file."""
    kind = dtype[1:2]
    if kind in "US":
        return -(-item_size(dtype) // _UNIT) * _UNIT
    wire = _WIRE.get(dtype[1:].partition("[")[0])
    if wire is None:
        raise InvalidData(f"XDR has no type for {dtype!r}")
    return int(wire[2:])


def _to_wire(flat: Array) -> bytes:
    import numpy

    dtype = flat.dtype.str
    if dtype[1] == "S":
        padded = numpy.zeros((flat.size, _wire_size(dtype)), "u1")
        padded[:, : flat.itemsize] = flat.view("u1").reshape(flat.size, flat.itemsize)
        return padded.tobytes()
    if dtype[1] == "U":
        return flat.view("<u4").astype(">u4").tobytes()
    if dtype[1] in "Mm":
        flat = flat.view("<i8")
    return flat.astype(_WIRE[dtype[1:].partition("[")[0]]).tobytes()


def _from_wire(data: bytes, dtype: str) -> Array:
    """Return little-endian elements; InvalidData if they are none of this type."""
    import numpy

    if dtype[1] == "S":
        padded = numpy.frombuffer(data, "u1").reshape(-1, _wire_size(dtype))
        size = item_size(dtype)
        if padded[:, size:].any():
            raise InvalidData("its padding is not zero")
        packed: Array = numpy.ascontiguousarray(padded[:, :size]).reshape(-1).view(dtype)
        return packed
    if dtype[1] == "U":
        return numpy.frombuffer(data, ">u4").astype("<u4").view(dtype)
    wide: Any = numpy.frombuffer(data, _WIRE[dtype[1:].partition("[")[0]])
    narrow: Array = wide.astype("<i8").view(dtype) if dtype[1] in "Mm" else wide.astype(dtype)
    if dtype[1] in "biu" and not (narrow == wide).all():
        raise InvalidData(f"one of its elements does not fit {dtype}")
    return narrow


def _blocks(stream: BufferedIOBase, layout: Layout) -> Iterator[Array]:
    size = _wire_size(layout.dtype)
    left, step = prod(layout.shape) * size, max(1, BLOCK // size) * size
    while left:
        data = stream.read(min(step, left))
        if len(data) != min(step, left):  # its size was checked, but it may shrink meanwhile
            raise InvalidData(f"it ends {left - len(data)} bytes early")
        left -= len(data)
        yield _from_wire(data, layout.dtype)


def _write_string(text: bytes) -> bytes:
    return len(text).to_bytes(4, "big") + text + bytes(-len(text) % _UNIT)


def _write_header(layout: Layout) -> bytes:
    sizes = b"".join(size.to_bytes(8, "big") for size in layout.shape)
    head = _write_string(_MAGIC) + XdrFormat.version.to_bytes(4, "big") + _write_string(layout.dtype.encode("ascii"))
    return head + len(layout.shape).to_bytes(4, "big") + sizes


def _read_header(stream: BufferedIOBase, expected: Layout | None) -> Layout:
    """Return the layout that the file declares, checked against its size; leave the stream where the elements begin."""
    end = stream.seek(0, 2)
    stream.seek(0)
    start = _write_string(_MAGIC) + XdrFormat.version.to_bytes(4, "big")
    if stream.read(len(start)) != start:
        raise InvalidData("it does not begin like an XDR file of version 1")
    length = _read_number(stream, 4)
    if length > _DTYPE_LIMIT:
        raise InvalidData(f"its XDR header declares a dtype of {length} bytes")
    dtype = stream.read(length + -length % _UNIT)
    axes = _read_number(stream, 4)
    if dtype[length:].strip(b"\0") or axes > MAX_DIMENSIONS:
        raise InvalidData("its XDR header is damaged")
    layout = check_layout(dtype[:length].decode("latin-1"), [_read_number(stream, 8) for _ in range(axes)])
    check_expected(layout, expected)
    if not XdrFormat().accepts(layout):
        raise InvalidData(f"XDR has no type for {layout.dtype!r}")
    if (size := stream.tell() + _size_in_file(layout)) != end:
        raise InvalidData(f"it has {end} bytes instead of {size}")
    return layout


def _read_number(stream: BufferedIOBase, size: int) -> int:
    data = stream.read(size)
    if len(data) != size:
        raise InvalidData("it ends within its XDR header")
    return int.from_bytes(data, "big")
