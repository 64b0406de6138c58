"""What the exams let engines compute: functions that workers import from here."""

from __future__ import annotations

import os
import sys
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from holdfast.model.checkpoint import Checkpoint
    from holdfast.model.content import Array


def add(left: Any, right: Any) -> Any:
    """Return the sum."""
    return left + right


def divide(above: float, /, *, below: float) -> float:
    """Return the quotient."""
    return above / below


def fail(text: str) -> None:
    """Raise."""
    raise ArithmeticError(text)


def leave(status: int) -> None:
    """Ask the interpreter to exit."""
    sys.exit(status)


def vanish(status: int) -> None:
    """End the process without a word."""
    os._exit(status)


def go_on(ending: str, checkpoint: Checkpoint) -> int:
    """Write a state and be cut off, by an exception or with the process; the next time return the step of that state."""
    state = checkpoint.load()
    if state is not None:
        return int(state["step"])
    checkpoint.write({"step": 7})
    checkpoint.flush()
    if ending == "fail":
        fail("cut off")
    os._exit(5)


def overwrite(values: Array) -> float:
    """Write into the input."""
    values[0] = 1.0
    return float(values.sum())


def inspect_array(values: Array) -> dict[str, Any]:
    """Return what can be told of an array."""
    return {"sum": float(values.sum()), "shape": list(values.shape), "is_writeable": bool(values.flags.writeable)}


def ramp(size: int) -> Array:
    """Return 0.0, 1.0 and so on."""
    import numpy

    return numpy.arange(size, dtype="f8")


def make_set(size: int) -> set[int]:
    """Return what cannot be stored."""
    return set(range(size))


def process_of(number: int) -> int:
    """Return the id of the process that does this."""
    return os.getpid()


def mark_and_sleep(path: str) -> None:
    """Say that the call has begun, then take a minute, or until a file with the ending `.stop` is there."""
    with open(path, "w") as file:
        file.write(str(os.getpid()))
    wait_for_file(f"{path}.stop")


def wait_for_file(path: str) -> None:
    """Wait until a file is there, for at most a minute."""
    limit = time.monotonic() + 60.0
    while not os.path.exists(path) and time.monotonic() < limit:
        time.sleep(0.005)
