"""Sum an array up in a few numbers, piece by piece, so that a large one is never held whole; and a table in names and types."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from holdfast.model.content import Array

FIRST = 5
"""So many values are shown from the beginning of an array."""

_BLOCK = 1 << 20


@dataclass(frozen=True, slots=True)
class Summary:
    """What an array looks like."""

    dtype: str
    shape: tuple[int, ...]
    place: str
    """``"catalog"``, the path of its file, or how many members it is a stack of."""
    digest: str
    minimum: float | None
    """Of the finite values, as `maximum` and `mean`; None if there are none, or if they are no real numbers."""
    maximum: float | None
    mean: float | None
    unusual: int
    """How many values are infinite or no numbers."""
    first: list[Any]


@dataclass(frozen=True, slots=True)
class TableSummary:
    """What a table looks like."""

    library: str
    """That it came from."""
    rows: int
    columns: tuple[tuple[str, str], ...]
    """Name and Arrow type of each; of a pandas table those of its index come last."""
    place: str
    digest: str


def summarise_table(description: Mapping[str, Any], place: str) -> TableSummary:
    """Return the summary of a table from its description; nothing is read."""
    columns = tuple((column["name"], _kind(column)) for column in description["columns"])
    return TableSummary(description["library"], description["rows"], columns, place, description["data"]["$array"][2])


def _kind(column: Mapping[str, Any]) -> str:
    return f"{column['dictionary']['kind']} categories" if "dictionary" in column else str(column["kind"])


def summarise(dtype: str, shape: tuple[int, ...], place: str, digest: str, pieces: Iterable[Array]) -> Summary:
    """Return the summary of an array.

    Parameters
    ----------
    dtype : str
    shape : tuple of int
    place, digest : str
        Passed on.
    pieces : iterable of ndarray
        The array itself, or the members of the stack, in order.
    """
    import numpy

    first: list[Any] = []
    total, count, unusual = 0.0, 0, 0
    lowest, highest = None, None
    for piece in pieces:
        flat = piece.reshape(-1)
        first += flat[: FIRST - len(first)].tolist()
        for start in range(0, flat.size if dtype[1] in "biuf" else 0, _BLOCK):
            block = flat[start : start + _BLOCK]
            finite = block[numpy.isfinite(block)]
            unusual += block.size - finite.size
            if finite.size:
                low, high = finite.min().item(), finite.max().item()
                lowest = low if lowest is None else min(lowest, low)
                highest = high if highest is None else max(highest, high)
                total, count = total + float(finite.sum(dtype="f8")), count + finite.size
    return Summary(dtype, shape, place, digest, lowest, highest, total / count if count else None, unusual, first)
