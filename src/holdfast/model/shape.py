"""Work with shapes: tuples of sizes, outermost first.

Pure. Knows nothing of data types or arrays.
"""

from __future__ import annotations

from holdfast.errors import InvalidData

Shape = tuple[int, ...]

OpenShape = tuple[int | str | None, ...]
"""A shape with holes: a name stands for one size wherever it is written, None for any size."""


def nested_shape(data: object, where: str) -> Shape:
    """Return the shape of nested lists.

    Parameters
    ----------
    data : object
        Lists or tuples of equal length on each level; anything else counts as an element.
    where : str
        Name of the data in error messages.

    Raises
    ------
    InvalidData
        The lists are ragged; names the first place.

    Examples
    --------
    >>> nested_shape([[1, 2], [3, 4], [5, 6]], "data")
    (3, 2)
    """
    if not isinstance(data, (list, tuple)):
        return ()
    if not data:
        return (0,)
    inner = nested_shape(data[0], f"{where}[0]")
    for index, item in enumerate(data[1:], start=1):
        found = nested_shape(item, f"{where}[{index}]")
        if found != inner:
            raise InvalidData(
                f"{where} is ragged: {where}[0] has shape {inner}, {where}[{index}] has {found}. Make them equal."
            )
    return (len(data), *inner)


def fits(shape: Shape, expected: OpenShape | None, sizes: dict[str, int] | None = None) -> bool:
    """Return whether `shape` fits `expected`; named sizes are looked up and noted in `sizes`."""
    if expected is None:
        return True
    known = {} if sizes is None else sizes
    if len(shape) != len(expected):
        return False
    return all(
        wanted is None or (known.setdefault(wanted, size) if isinstance(wanted, str) else wanted) == size
        for size, wanted in zip(shape, expected, strict=True)
    )
