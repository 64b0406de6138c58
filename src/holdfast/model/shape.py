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


def check_open_shape(shape: object, where: str) -> OpenShape:
    """Return a shape with holes as a tuple.

    Raises
    ------
    InvalidData
        It is no sequence of sizes from 0, names and None.

    Examples
    --------
    >>> check_open_shape(["n", None, 3], "x")
    ('n', None, 3)
    """
    if isinstance(shape, (tuple, list)) and all(map(is_open_size, shape)):
        return tuple(shape)
    raise InvalidData(f"{where} has the shape {shape!r}. Write a tuple of sizes, names and None, such as ('n', 3).")


def is_open_size(size: object) -> bool:
    """Return whether this may stand in a shape with holes."""
    if isinstance(size, str):
        return bool(size)
    return size is None or (isinstance(size, int) and not isinstance(size, bool) and size >= 0)
