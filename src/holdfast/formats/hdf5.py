"""Lay an array or a text out as HDF5, as the one dataset `data` or `text` of a file, for the many programs that read it.

The dataset is contiguous: no chunks, filters, external files or links, so that its data are mapped and hashed where
they stand and nothing can unpack to more than the file has. Strings are UTF-8 of a fixed size, times opaque numbers that name their unit,
as h5py has it. Equal arrays give equal bytes only under one version of the HDF5 library, and not every byte of a file belongs to the
value: so a store keeps the digest of the whole file too, and compares it before the library, which a damaged file may hang, sees anything.
"""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import sha256
from io import BufferedIOBase
from math import prod
from typing import TYPE_CHECKING, Any

import h5py

from holdfast.errors import InvalidData
from holdfast.model.canonical import layout_bytes
from holdfast.storage.format import (
    HASH_BLOCK,
    TEXT,
    Layout,
    check_expected,
    check_layout,
    hash_rest,
    item_size,
    map_elements,
    read_elements,
)

if TYPE_CHECKING:
    from holdfast.model.content import Array

DATASET = "data"

_KINDS = {"b1", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f2", "f4", "f8", "c8", "c16"}
_LONGEST_TEXT = 2**31
_UTF8 = "surrogatepass"  # NumPy's strings may hold halves of a pair


class Hdf5Format:
    """Texts, and arrays of numbers, booleans, strings, bytes and times, as `.h5`."""

    name = "hdf5"
    version = 1
    suffix = ".h5"
    canonical = False

    def accepts(self, layout: Layout) -> bool:
        """Return whether it is the layout of a text, or of an array that HDF5 has a type for: times need a unit."""
        if layout.dtype == TEXT:
            return 0 < layout.size < _LONGEST_TEXT
        try:
            known = layout.dtype[1:] in _KINDS or layout.dtype[1] in "SU" or "[" in layout.dtype
            return known and item_size(layout.dtype) > 0 and len(layout.shape) <= 32  # H5S_MAX_RANK
        except (InvalidData, IndexError):
            return False

    def write(self, value: Array | bytes, stream: BufferedIOBase) -> None:
        """Write an array or a text; the stream must be readable too, as the library asks for it."""
        import numpy

        if isinstance(value, bytes):
            name, stored = TEXT, numpy.array(value, h5py.string_dtype("utf-8", len(value)))
        else:
            name, stored = DATASET, _to_stored(value)
        with h5py.File(stream, "w", libver="earliest", track_order=False) as file:
            file.create_dataset(name, data=stored, track_times=False)
        stream.seek(0, 2)

    def read(self, stream: BufferedIOBase, layout: Layout | None = None) -> Any:
        """Return the text, or the array, read-only and in memory of its own."""
        found = _find_data(stream, layout)
        if found.dtype == TEXT:
            return stream.read(found.size)
        if found.dtype[1] != "U":
            return read_elements(stream, found)
        import numpy

        array = numpy.empty(prod(found.shape), found.dtype)
        done = 0
        for block in _strings(stream, found):
            array[done : done + block.size] = block
            done += block.size
        array = array.reshape(found.shape)
        array.flags.writeable = False
        return array

    def map(self, stream: BufferedIOBase, layout: Layout | None = None) -> Array:
        """Return a read-only array on the mapped file; one of strings is read instead."""
        found = _find_data(stream, layout)
        if found.dtype[1] == "U":
            return self.read(stream, layout)  # type: ignore[no-any-return]
        return map_elements(stream, found)

    def digest(self, stream: BufferedIOBase, layout: Layout | None = None) -> str:
        """Return the hex SHA-256 of the text, or of dtype, shape and data in C order, as for every array."""
        found = _find_data(stream, layout)
        if found.dtype == TEXT:
            return hash_rest(stream, size=found.size)
        before = layout_bytes(found.dtype, found.shape)
        if found.dtype[1] != "U":
            return hash_rest(stream, before, size=found.size)
        digest = sha256(before)
        for block in _strings(stream, found):
            digest.update(block.view("u1").data)
        return digest.hexdigest()


def _to_stored(value: Array) -> Array:
    """Return an array as the library takes it."""
    import numpy

    array = numpy.asarray(value, dtype=value.dtype.newbyteorder("<"), order="C")
    layout = check_layout(array.dtype.str, array.shape)
    if not Hdf5Format().accepts(layout):
        raise InvalidData(f"HDF5 has no type for {layout.dtype!r}")
    if array.dtype.kind == "U":
        return numpy.char.encode(array, "utf-8", _UTF8).astype(h5py.string_dtype("utf-8", array.itemsize))
    return array.astype(h5py.opaque_dtype(array.dtype)) if array.dtype.kind in "Mm" else array


def _strings(stream: BufferedIOBase, layout: Layout) -> Iterator[Array]:
    """Return the elements of an array of strings, block by block."""
    import numpy

    size = item_size(layout.dtype)  # four bytes for each character, in UTF-8 as in memory
    left, step = layout.size, max(1, HASH_BLOCK // size) * size
    while left:
        data = stream.read(min(step, left))
        if len(data) != min(step, left):
            raise InvalidData(f"it ends {left - len(data)} bytes early")
        left -= len(data)
        try:
            decoded = numpy.char.decode(numpy.frombuffer(data, f"S{size}"), "utf-8", _UTF8)
        except UnicodeError as error:
            raise InvalidData(f"one of its strings is no UTF-8: {error}") from error
        if decoded.itemsize > size:
            raise InvalidData(f"one of its strings is longer than {size // 4} characters")
        yield decoded.astype(layout.dtype)


def _find_data(stream: BufferedIOBase, expected: Layout | None) -> Layout:
    """Return the layout that the file declares; leave the stream where the data begin."""
    end = stream.seek(0, 2)
    stream.seek(0)
    try:
        with h5py.File(stream, "r") as file:
            layout, offset = _look_at(file)
    except InvalidData:
        raise
    except (OSError, RuntimeError, KeyError, ValueError, TypeError) as error:
        raise InvalidData(f"it is no HDF5 file that can be read: {error}") from error
    check_expected(layout, expected)
    if offset + layout.size > end:
        raise InvalidData(f"it has {end} bytes and declares data up to {offset + layout.size}")
    stream.seek(offset)
    return layout


def _look_at(file: Any) -> tuple[Layout, int]:
    name = TEXT if TEXT in file else DATASET
    link = file.get(name, getlink=True)
    if not isinstance(link, h5py.HardLink) or not isinstance(file[name], h5py.Dataset):
        raise InvalidData(f"it holds no dataset {DATASET!r} or {TEXT!r} of its own")
    dataset = file[name]
    plan = dataset.id.get_create_plist()
    if plan.get_layout() != h5py.h5d.CONTIGUOUS or plan.get_external_count() or dataset.shape is None:
        raise InvalidData(f"its dataset {name!r} is not contiguous within the file")
    layout = _layout_of(dataset, name)
    if not Hdf5Format().accepts(layout):
        raise InvalidData(f"its dataset has the dtype {layout.dtype!r}")
    return layout, dataset.id.get_offset() or 0


def _layout_of(dataset: Any, name: str) -> Layout:
    string = h5py.check_string_dtype(dataset.dtype)
    is_utf8 = string is not None and string.encoding == "utf-8" and string.length is not None
    if name == TEXT:
        if not is_utf8 or dataset.shape != ():
            raise InvalidData("its text is no single string of a fixed size")
        return Layout(TEXT, (string.length,))
    if is_utf8:
        if string.length % 4:
            raise InvalidData(f"its strings have {string.length} bytes, which is no multiple of four")
        return check_layout(f"<U{string.length // 4}", dataset.shape)
    return check_layout(dataset.dtype.str, dataset.shape)
