"""The work itself: small functions that every contestant runs. Plain Python; imports no contestant."""

from __future__ import annotations

import time
from typing import Any


def add_one(x: int) -> int:
    """Return the next number: a task that costs nothing by itself."""
    return x + 1


def add(left: int, right: int) -> int:
    """Return the sum of two numbers."""
    return left + right


def add_index(index: int, x: int) -> int:
    """Return the next number: a round that costs nothing by itself."""
    return x + 1


def is_below_far(x: int) -> bool:
    """Return whether a loop goes on: longer than anybody waits."""
    return x < 10**9


def sleep(seconds: float) -> float:
    """Return after so many seconds."""
    time.sleep(seconds)
    return seconds


def nap(x: int) -> int:
    """Return the number after a millisecond."""
    time.sleep(0.001)
    return x


def make_array(index: int, mib: int) -> Any:
    """Return an array of so many MiB whose contents depend on `index`."""
    import numpy

    array = numpy.arange(mib * 131_072, dtype="f8")
    array += index
    return array


def double_array(array: Any) -> Any:
    """Return twice the array."""
    return array * 2.0
