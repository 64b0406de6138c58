"""Check the elements of nested lists before they become an array: nothing is silently cast, and no room is taken unseen. Pure."""

from __future__ import annotations

from typing import Any

from holdfast.errors import InvalidData

STRINGS_LIMIT = 1024**3
"""Bytes of an array of strings, in which each takes the room of the longest: one long text among many short ones is refused."""

NUMPY_KINDS = {"i": "iu", "u": "iu", "f": "f", "c": "fc", "b": "b", "U": "U"}
"""Which NumPy kinds an array may have, by the kind of the data type."""

_TYPES: dict[str, tuple[type, ...]] = {
    "i": (int,),
    "u": (int,),
    "f": (float, int),
    "c": (complex, float, int),
    "b": (bool,),
    "U": (str,),
}


def kind_of(dtype: str) -> str:
    """Return the kind of a dtype; an empty one is that of strings."""
    return dtype[1] if dtype else "U"


def check_elements(dtype: str, data: Any, where: str, expected: str) -> None:
    """Refuse the first element that is of another kind, or would change by conversion, and strings that take too much room.

    Parameters
    ----------
    dtype : str
        Of the elements; empty for strings.
    data : object
        One element, or nested lists of them.
    where : str
        Name of the data in error messages.
    expected : str
        Name of the data type in error messages.
    """
    kind = kind_of(dtype)
    _check(kind, data, where, expected)
    if kind == "U" and room_of(data) > STRINGS_LIMIT:
        raise InvalidData(
            f"{where} is an array of {room_of(data)} bytes, as each string takes the room of the longest."
        )


def room_of(strings: Any) -> int:
    """Return the bytes that NumPy takes for nested lists of strings."""
    count, longest, waiting = 0, 0, [strings]
    while waiting:
        item = waiting.pop()
        if isinstance(item, (list, tuple)):
            waiting.extend(item)
        else:
            count, longest = count + 1, max(longest, len(item))
    return 4 * count * longest


def _check(kind: str, data: Any, where: str, expected: str) -> None:
    if isinstance(data, (list, tuple)):
        for index, item in enumerate(data):
            place = f"{where}[{index}]"
            _check(kind, item, place, expected)
            if kind == "U" and isinstance(item, str) and item.endswith("\0"):
                raise InvalidData(f"{place} ends with a zero character, which NumPy strings cannot hold. Use Bytes.")
        return
    if type(data) not in _TYPES[kind]:
        raise InvalidData(f"{where} is {data!r}, a {type(data).__name__}, which does not fit {expected}.")
    if kind in "fc" and type(data) is int and not _is_float(data):
        raise InvalidData(f"{where} is {data}, which no floating-point number equals.")


def _is_float(number: int) -> bool:
    try:
        return int(float(number)) == number
    except OverflowError:
        return False
