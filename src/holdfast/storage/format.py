"""Say what every format can do, and what must be known of a value before its file is read.

A format lays one value out in one file: an array, or the content text of a value. Formats never import each other,
never run code that a file contains, and never take memory that the size of the file does not justify.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from hashlib import sha256
from io import BufferedIOBase
from math import prod
from typing import TYPE_CHECKING, Protocol, TypeVar, runtime_checkable

from holdfast.errors import InvalidData

if TYPE_CHECKING:
    from holdfast.model.content import Array

TEXT = "text"
"""The dtype of a layout that is no array but the bytes of a content text."""

HASH_BLOCK = 1024 * 1024
"""Bytes hashed at once."""

BLOCK = 16 * 1024 * 1024
"""Bytes written or read at once."""

MAX_DIMENSIONS = 64
"""As many axes as NumPy knows."""

_DTYPE = re.compile(r"([<|])([biufcSUMm])(\d{1,9})((?:\[(?:\d{1,9})?[a-zA-Z]{1,2}\])?)", re.ASCII)
_SIZES = {
    "b": (1,),
    "i": (1, 2, 4, 8),
    "u": (1, 2, 4, 8),
    "f": (2, 4, 8, 12, 16),
    "c": (8, 16, 24, 32),
    "M": (8,),
    "m": (8,),
}

Value = TypeVar("Value")


@dataclass(frozen=True, slots=True)
class Layout:
    """What a value looks like: the dtype and shape of an array, or the length of a text.

    Parameters
    ----------
    dtype : str
        As NumPy writes it, little-endian: ``"<f8"``, ``"|b1"``, ``"<U12"``; ``"text"`` for a content text.
    shape : tuple of int
        Sizes of the axes, ``()`` for one number; ``(length,)`` of a text.
    """

    dtype: str
    shape: tuple[int, ...]

    @property
    def size(self) -> int:
        """Bytes of the value itself, without what a format adds."""
        return prod(self.shape) * item_size(self.dtype)


def item_size(dtype: str) -> int:
    """Return the bytes of one element.

    Raises
    ------
    InvalidData
        It is no dtype that can be stored: objects, structures and big-endian numbers are not.
    """
    if dtype == TEXT:
        return 1
    match = _DTYPE.fullmatch(dtype)
    if match is not None:
        kind, size = match[2], int(match[3])
        if size in _SIZES.get(kind, (size,)) and (kind in "Mm" or not match[4]):
            return size * 4 if kind == "U" else size
    raise InvalidData(f"{dtype[:40]!r} is no dtype that can be stored: numbers, booleans, strings, bytes and times are")


def check_layout(dtype: object, shape: object) -> Layout:
    """Return the layout that a dtype and shape from a file or database give.

    Raises
    ------
    InvalidData
        They are no layout.
    """
    if not isinstance(dtype, str) or not isinstance(shape, (list, tuple)) or len(shape) > MAX_DIMENSIONS:
        raise InvalidData(f"{dtype!r:.40} with shape {shape!r:.40} is no layout of an array")
    if not all(type(size) is int and 0 <= size < 2**63 for size in shape):
        raise InvalidData(f"{shape!r:.40} is no shape: sizes are whole numbers from 0 on")
    item_size(dtype)
    return Layout(dtype, tuple(shape))


def hash_rest(stream: BufferedIOBase, before: bytes = b"", *, size: int | None = None) -> str:
    """Return the hex SHA-256 of `before` and what a stream holds from its position on, read block by block.

    With `size`, of that many bytes only; InvalidData if there are fewer.
    """
    digest = sha256(before)
    left = size
    while block := stream.read(HASH_BLOCK if left is None else min(HASH_BLOCK, left)):
        digest.update(block)
        left = None if left is None else left - len(block)
    if left:
        raise InvalidData(f"it ends {left} bytes early")
    return digest.hexdigest()


def write_array(form: Appendable, value: Array, stream: BufferedIOBase) -> None:
    """Write a whole array as its one block; InvalidData if it is none that can be stored."""
    import numpy

    array = numpy.asarray(value, dtype=value.dtype.newbyteorder("<"), order="C")
    layout = check_layout(array.dtype.str, array.shape)
    form.begin(layout, stream)
    form.append(array, stream)
    form.end(layout, stream)


def write_elements(block: Array, stream: BufferedIOBase) -> None:
    """Write the bytes of an array as they are in memory; nothing is copied."""
    if block.nbytes:
        data = block.reshape(-1).view("u1").data
        for start in range(0, len(data), BLOCK):
            stream.write(data[start : start + BLOCK])


def read_elements(stream: BufferedIOBase, layout: Layout) -> Array:
    """Return the array whose bytes come next, read-only; its size was checked against the file, but the file may shrink meanwhile."""
    import numpy

    array = numpy.empty(layout.shape, dtype=layout.dtype)
    target = array.reshape(-1).view("u1").data if array.nbytes else memoryview(b"")
    done = 0
    while done < len(target):
        count = stream.readinto(target[done : done + BLOCK])
        if not count:
            raise InvalidData(f"it ends after {done} of {len(target)} bytes of data")
        done += count
    array.flags.writeable = False
    return array


def map_elements(stream: BufferedIOBase, layout: Layout) -> Array:
    """Return a read-only array on the mapped file, from where the stream stands; the file may be closed afterwards."""
    import mmap

    import numpy

    if not layout.size:
        return read_elements(stream, layout)
    start = stream.tell()
    whole = mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ)
    return numpy.frombuffer(whole, dtype=layout.dtype, count=prod(layout.shape), offset=start).reshape(layout.shape)


def check_expected(found: Layout, expected: Layout | None) -> None:
    """Refuse a file that holds something else than its metadata say."""
    if expected is not None and found != expected:
        raise InvalidData(
            f"it holds {found.dtype} {list(found.shape)} instead of {expected.dtype} {list(expected.shape)}"
        )


class Format(Protocol[Value]):
    """One way to lay a value out in a file.

    Notes
    -----
    For implementers: `holdfast.testing.formats` holds the exam. `write` gets a stream that can be read and sought too, and leaves it
    at the end of what it wrote. `read` and `digest` compare the size of the file with what its
    header declares before they take memory, and raise `InvalidData` if they differ.
    """

    name: str
    """What metadata call it."""
    version: int
    """Raised when the bytes of a value change."""
    suffix: str
    """Ending of the file name, with the dot."""
    canonical: bool
    """Whether equal values give equal bytes, and each byte of a file matters to `digest`. If not, a store keeps the SHA-256 of
    the file as well, and compares it before the file is parsed."""

    def accepts(self, layout: Layout) -> bool:
        """Return whether values of this layout can be written."""

    def write(self, value: Value, stream: BufferedIOBase) -> None:
        """Write the file, block by block."""

    def read(self, stream: BufferedIOBase, layout: Layout | None = None) -> Value:
        """Return the value; `layout`, if given, is what it must be."""

    def digest(self, stream: BufferedIOBase, layout: Layout | None = None) -> str:
        """Return the digest of the value, as `holdfast.model.content` makes it, without holding the value."""


@runtime_checkable
class Appendable(Protocol):
    """A format that takes an array block by block, without ever seeing the whole."""

    def begin(self, layout: Layout, stream: BufferedIOBase) -> None:
        """Write what stands before the elements."""

    def append(self, block: Array, stream: BufferedIOBase) -> None:
        """Write the next elements in C order; the block is little-endian and in C order."""

    def end(self, layout: Layout, stream: BufferedIOBase) -> None:
        """Write what stands after the elements."""


@runtime_checkable
class Mappable(Protocol):
    """A format whose files can be used as arrays where they stand."""

    def map(self, stream: BufferedIOBase, layout: Layout | None = None) -> Array:
        """Return a read-only array on the mapped file; the file may be closed afterwards."""
