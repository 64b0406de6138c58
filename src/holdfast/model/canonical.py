"""Give an array one form: C order, little-endian, read-only; and the digest of dtype, shape and bytes that names it. Pure.

Never imports NumPy unless an array is at hand.
"""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import sha256
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy

    Array = numpy.ndarray[Any, numpy.dtype[Any]]


def canonical_array(array: Array) -> Array:
    """Return a read-only, C-order, little-endian copy of `array`, or `array` itself if it owns such data read-only."""
    import numpy

    wanted = array.dtype.newbyteorder("<")
    frozen = not array.flags.writeable and array.base is None
    kept = numpy.array(array, dtype=wanted, order="C", copy=None if frozen else True, subok=False)
    kept.flags.writeable = False
    return kept


def layout_bytes(dtype: str, shape: Iterable[int]) -> bytes:
    """Return dtype and shape as compact JSON, with which the hash of an array begins."""
    return f'["{dtype}",[{",".join(map(str, shape))}]]'.encode("ascii")


def array_digest(array: Array) -> str:
    """Return the hex SHA-256 of the dtype, shape and bytes of a canonical array."""
    found = sha256(layout_bytes(array.dtype.str, array.shape))
    found.update(array.reshape(-1).view("u1").data if array.size else b"")
    return found.hexdigest()
