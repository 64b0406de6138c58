"""Lay one generation of a checkpoint out in one file, and find out whether it is whole.

A line that says what it is, a line of JSON, the content text, and the bytes of its arrays. The text is held to its digest, and each
array to the digest that the text names, so that no damage is believed; nothing of it is ever run.
"""

from __future__ import annotations

import json
import os
from io import BufferedIOBase, BufferedReader
from typing import TYPE_CHECKING

from holdfast.errors import InvalidData
from holdfast.model.canonical import array_digest
from holdfast.model.content import Content, array_digests
from holdfast.model.fingerprint import compact_json
from holdfast.storage.format import Layout, check_layout

if TYPE_CHECKING:
    from holdfast.model.content import Array

_MAGIC = b"holdfast checkpoint 1\n"


def write_generation(content: Content, stream: BufferedIOBase) -> None:
    """Write a state."""
    arrays = list(content.arrays.values())
    layouts = [[array.dtype.str, array.shape] for array in arrays]
    header = {"arrays": layouts, "digest": content.digest.hex(), "text": len(content.text)}
    stream.write(_MAGIC + compact_json(header).encode("ascii") + b"\n" + content.text)
    for array in arrays:
        if array.size:
            stream.write(array.reshape(-1).view("u1").data)


def read_generation(stream: BufferedReader) -> Content:
    """Return a state, without taking more memory than the file has bytes.

    Raises
    ------
    InvalidData
        It is not what was written.
    """
    size = os.fstat(stream.fileno()).st_size
    if stream.read(len(_MAGIC)) != _MAGIC:
        raise InvalidData("it is no checkpoint that this version can read")
    length, digest, layouts = _read_header(stream.readline(size))
    if stream.tell() + length + sum(layout.size for layout in layouts) != size:
        raise InvalidData(f"it has {size} bytes, which is not what it should have")
    text = stream.read(length)
    arrays = [_read_array(stream, layout) for layout in layouts]
    content = Content(text, {array_digest(array): array for array in arrays})
    if content.digest.hex() != digest or set(array_digests(text)) != content.arrays.keys():
        raise InvalidData("its bytes are not those that were written")
    return content


def _read_header(line: bytes) -> tuple[int, str, list[Layout]]:
    try:
        header = json.loads(line)
        length, digest, layouts = header["text"], header["digest"], [*header["arrays"]]
        found = [check_layout(dtype, shape) for dtype, shape in layouts]
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise InvalidData(f"its header is damaged: {error}") from error
    if type(length) is not int or length < 0 or not isinstance(digest, str):
        raise InvalidData("its header is damaged")
    return length, digest, found


def _read_array(stream: BufferedReader, layout: Layout) -> Array:
    import numpy

    raw = numpy.empty(layout.size, "u1")
    if layout.size and stream.readinto(raw.data) != layout.size:
        raise InvalidData("it ends too early")
    try:
        return numpy.ndarray(layout.shape, layout.dtype, buffer=raw.data)
    except (TypeError, ValueError) as error:  # shapes and types that only damage can name
        raise InvalidData(f"its header is damaged: {error}") from error
