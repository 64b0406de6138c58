"""Read the arrays that a document carries, and check size, layout and digest before any is believed. Pure."""

from __future__ import annotations

import base64
import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from holdfast.errors import InvalidData
from holdfast.model.canonical import array_digest
from holdfast.model.content import ARRAY_KINDS

if TYPE_CHECKING:
    from holdfast.model.content import Array


class CarriedArrays(dict[str, Any]):
    """Arrays by digest; one that is asked for and missing is an error."""

    def __missing__(self, digest: object) -> Any:
        raise InvalidData(f"the array {str(digest)[:80]} is not among the document's data")


def read_arrays(written: Mapping[str, Any], limit: int) -> CarriedArrays:
    """Return the arrays of a document's `data`, read-only, by digest.

    Parameters
    ----------
    written : mapping of digest to object
        Each with `base64`, `dtype` and `shape`.
    limit : int
        Bytes that all arrays together may have.

    Raises
    ------
    InvalidData
        Something about an array is wrong; names its place.
    """
    found = CarriedArrays()
    for digest, described in written.items():
        where = f"$.data[{digest[:80]!r}]"
        array = _read(described, where, limit)
        limit -= array.nbytes
        if array_digest(array) != digest:
            raise InvalidData(f"{where} has another digest than its name. The document was changed.")
        found[digest] = array
    return found


def _read(described: Any, where: str, limit: int) -> Array:
    import numpy

    if not isinstance(described, dict) or described.keys() != {"base64", "dtype", "shape"}:
        raise InvalidData(f"{where} is not of the form base64, dtype, shape.")
    shape, text = described["shape"], described["base64"]
    if not isinstance(text, str) or not isinstance(shape, list) or len(shape) > 32:
        raise InvalidData(f"{where} has no base64 text, or no list of at most 32 sizes.")
    if not all(type(size) is int and 0 <= size < 2**63 for size in shape):
        raise InvalidData(f"{where}.shape holds what is no size.")
    dtype = _dtype(described["dtype"], where)
    expected = math.prod(shape) * dtype.itemsize
    if expected > limit or len(text) != 4 * -(-expected // 3):
        raise InvalidData(
            f"{where} has {len(text)} characters of base64 for {expected} bytes; at most {limit} are read."
        )
    try:
        data = base64.b64decode(text, validate=True)
        return numpy.frombuffer(data, dtype=dtype).reshape(shape) if data else numpy.empty(shape, dtype)
    except ValueError as error:
        raise InvalidData(f"{where} is malformed: {error}.") from None


def _dtype(written: Any, where: str) -> Any:
    import numpy

    try:
        dtype = numpy.dtype(written) if isinstance(written, str) and len(written) <= 32 else None
    except (TypeError, ValueError, SyntaxError):
        dtype = None
    if dtype is None or dtype.kind not in ARRAY_KINDS or dtype.str != written:
        raise InvalidData(f"{where}.dtype is {str(written)[:80]!r}, which is no dtype of an array that can be stored.")
    return dtype
