"""Lay the content text of a value out as a JSON file, byte for byte.

The text is already canonical (`holdfast.model.content`), so the file is the text and nothing else.
"""

from __future__ import annotations

from io import BufferedIOBase

from holdfast.errors import InvalidData
from holdfast.storage.format import TEXT, Layout, hash_rest


class JsonFormat:
    """Content texts, as `.json`."""

    name = "json"
    version = 1
    suffix = ".json"
    canonical = True

    def accepts(self, layout: Layout) -> bool:
        """Return whether it is the layout of a text."""
        return layout.dtype == TEXT

    def write(self, value: bytes, stream: BufferedIOBase) -> None:
        """Write a content text."""
        stream.write(value)

    def read(self, stream: BufferedIOBase, layout: Layout | None = None) -> bytes:
        """Return the text."""
        size = _check_size(stream, layout)
        text = stream.read(size)
        if len(text) != size:
            raise InvalidData(f"it ends after {len(text)} of {size} bytes")
        return text

    def digest(self, stream: BufferedIOBase, layout: Layout | None = None) -> str:
        """Return the hex SHA-256 of the text."""
        _check_size(stream, layout)
        return hash_rest(stream)


def _check_size(stream: BufferedIOBase, expected: Layout | None) -> int:
    size = stream.seek(0, 2)
    stream.seek(0)
    if expected is not None and expected != Layout(TEXT, (size,)):
        raise InvalidData(f"it has {size} bytes instead of {expected.size}")
    return size
