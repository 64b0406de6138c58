"""Lay bytes out as they are: those of a table, which are an Arrow file already, and those of a pickle.

No layout chooses these formats: a store keeps in them what the text of a value calls a table or a pickle. They look at no byte, and never
unpickle anything; whether that is allowed is decided where a value is asked for.
"""

from __future__ import annotations

from io import BufferedIOBase
from typing import TYPE_CHECKING

from holdfast.errors import InvalidData
from holdfast.model.canonical import layout_bytes
from holdfast.storage.format import (
    Layout,
    check_expected,
    hash_rest,
    map_elements,
    read_elements,
    write_elements,
)

if TYPE_CHECKING:
    from holdfast.model.content import Array


class TableFormat:
    """The Arrow files of tables, as `.arrow`."""

    name = "table"
    version = 1
    suffix = ".arrow"
    canonical = True

    def accepts(self, layout: Layout) -> bool:
        """Return that it is not for choosing."""
        return False

    def write(self, value: Array, stream: BufferedIOBase) -> None:
        """Write an array of bytes."""
        if value.dtype.str != "|u1" or value.ndim != 1:
            raise InvalidData(f"an array of {value.dtype} with {value.ndim} axes is not the bytes of a file")
        write_elements(value, stream)

    def read(self, stream: BufferedIOBase, layout: Layout | None = None) -> Array:
        """Return the bytes, read-only and in memory of their own."""
        return read_elements(stream, _layout(stream, layout))

    def map(self, stream: BufferedIOBase, layout: Layout | None = None) -> Array:
        """Return the mapped file."""
        return map_elements(stream, _layout(stream, layout))

    def digest(self, stream: BufferedIOBase, layout: Layout | None = None) -> str:
        """Return the hex SHA-256 of the bytes as an array."""
        found = _layout(stream, layout)
        return hash_rest(stream, layout_bytes(found.dtype, found.shape))


class PickleFormat(TableFormat):
    """Pickles, as `.pickle`; only written for an operation that names them."""

    name = "pickle"
    suffix = ".pickle"


def _layout(stream: BufferedIOBase, expected: Layout | None) -> Layout:
    found = Layout("|u1", (stream.seek(0, 2),))
    stream.seek(0)
    check_expected(found, expected)
    return found
