"""Lay an array out as HDF5, as the one dataset `data` of a file, for the many programs that read it.

The dataset is contiguous: no chunks, filters, external files or links, so that its data are mapped and hashed where
they stand and nothing can unpack to more than the file has. Equal arrays give equal bytes only under one version of
the HDF5 library, and not every byte of a file belongs to the value: so a store keeps the digest of the whole file
too, and compares it before the library, which a damaged file may hang, sees anything.
"""

from __future__ import annotations

from io import BufferedIOBase
from typing import TYPE_CHECKING, Any

import h5py

from holdfast.errors import InvalidData
from holdfast.model.content import layout_bytes
from holdfast.storage.format import TEXT, Layout, check_layout, hash_rest, item_size

if TYPE_CHECKING:
    from holdfast.model.content import Array

DATASET = "data"

_KINDS = {"b1", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f2", "f4", "f8", "c8", "c16"}


class Hdf5Format:
    """Arrays of numbers, booleans and bytes, as `.h5`."""

    name = "hdf5"
    version = 1
    suffix = ".h5"
    canonical = False

    def accepts(self, layout: Layout) -> bool:
        """Return whether it is the layout of an array that HDF5 has a type for: strings and times are not."""
        try:
            return (
                layout.dtype != TEXT
                and item_size(layout.dtype) > 0
                and (layout.dtype[1:] in _KINDS or layout.dtype[1] == "S")
                and len(layout.shape) <= 32  # H5S_MAX_RANK
            )
        except InvalidData:
            return False

    def write(self, value: Array, stream: BufferedIOBase) -> None:
        """Write an array; the stream must be readable too, as the library asks for it."""
        import numpy

        array = numpy.asarray(value, dtype=value.dtype.newbyteorder("<"), order="C")
        layout = check_layout(array.dtype.str, array.shape)
        if not self.accepts(layout):
            raise InvalidData(f"HDF5 has no type for {layout.dtype!r}")
        with h5py.File(stream, "w", libver="earliest", track_order=False) as file:
            file.create_dataset(DATASET, data=array, track_times=False)
        stream.seek(0, 2)

    def read(self, stream: BufferedIOBase, layout: Layout | None = None) -> Array:
        """Return the array, read-only and in memory of its own."""
        import numpy

        found = _find_data(stream, layout)
        array = numpy.empty(found.shape, dtype=found.dtype)
        view = array.reshape(-1).view("u1").data if array.size else memoryview(b"")
        done = 0
        while done < len(view):
            count = stream.readinto(view[done:])
            if not count:
                raise InvalidData(f"it ends after {done} of {len(view)} bytes of data")
            done += count
        array.flags.writeable = False
        return array

    def map(self, stream: BufferedIOBase, layout: Layout | None = None) -> Array:
        """Return a read-only array on the mapped file."""
        import mmap

        import numpy

        found = _find_data(stream, layout)
        start = stream.tell()
        if not found.size:
            return self.read(stream, layout)
        whole = mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ)
        count = found.size // item_size(found.dtype)
        return numpy.frombuffer(whole, dtype=found.dtype, count=count, offset=start).reshape(found.shape)

    def digest(self, stream: BufferedIOBase, layout: Layout | None = None) -> str:
        """Return the hex SHA-256 of dtype, shape and data in C order, as for every array."""
        found = _find_data(stream, layout)
        return hash_rest(stream, layout_bytes(found.dtype, found.shape), size=found.size)


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
    if expected is not None and layout != expected:
        raise InvalidData(
            f"it holds {layout.dtype} {list(layout.shape)} instead of {expected.dtype} {list(expected.shape)}"
        )
    if offset + layout.size > end:
        raise InvalidData(f"it has {end} bytes and declares data up to {offset + layout.size}")
    stream.seek(offset)
    return layout


def _look_at(file: Any) -> tuple[Layout, int]:
    link = file.get(DATASET, getlink=True)
    if not isinstance(link, h5py.HardLink) or not isinstance(file[DATASET], h5py.Dataset):
        raise InvalidData(f"it holds no dataset {DATASET!r} of its own")
    dataset = file[DATASET]
    plan = dataset.id.get_create_plist()
    if plan.get_layout() != h5py.h5d.CONTIGUOUS or plan.get_external_count() or dataset.shape is None:
        raise InvalidData(f"its dataset {DATASET!r} is not contiguous within the file")
    layout = check_layout(dataset.dtype.str, dataset.shape)
    if not Hdf5Format().accepts(layout):
        raise InvalidData(f"its dataset has the dtype {layout.dtype!r}")
    return layout, dataset.id.get_offset() or 0
