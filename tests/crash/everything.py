"""A directory with every kind of row, store and file, for being damaged: usage: everything.py WORK.

Run as a script, it is killed at the end, so that the log of the database, its owner and checkpoints stay behind.
"""

from __future__ import annotations

import os
import signal
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy

import holdfast as hf
from holdfast.storage.checkpoint import CheckpointFacility

Array = numpy.ndarray[Any, Any]


@hf.operation(name="everything.field", version="1")
def field(seed: int) -> Array:
    return numpy.random.default_rng(seed).normal(size=(17_000,))


@hf.operation(name="everything.xdr", version="1", format="xdr")
def xdr(start: int) -> Array:
    return numpy.arange(17_000) + start


@hf.operation(name="everything.hdf5", version="1", format="hdf5")
def hdf5(start: int) -> Array:
    return numpy.arange(17_000) + start


@hf.operation(name="everything.parts", version="1")
def parts(x: float) -> dict[str, Any]:
    return {"small": numpy.arange(5.0) + x, "large": numpy.full(17_000, x), "text": "é" * 100, "bytes": b"\1" * 2000}


@hf.operation(name="everything.text", version="1")
def text(length: int) -> list[int]:
    return list(range(10**17, 10**17 + length))


@hf.operation(name="everything.add", version="1")
def add(x: float) -> float:
    return x + 1.0


@hf.operation(name="everything.keep", version="1")
def keep(x: Any) -> Any:
    return x


@hf.operation(name="everything.below", version="1")
def below(x: float) -> bool:
    return x < 6.0


@hf.operation(name="everything.generate", version="1")
def generate(x: float) -> Any:
    return add(add(x))


@hf.operation(name="everything.fail", version="1")
def fail(x: float) -> float:
    raise ArithmeticError(f"no {x}")


def targets() -> dict[str, Any]:
    """A loop, a branch, maps with and without stores, returned nodes, and one store of each format."""
    return {
        "loop": hf.while_loop(below, add, 0.0),
        "branch": hf.cond(below(1.0), add, generate, 4.0),
        "numbers": hf.map(add, [1.0, 2.0, 3.0]),
        "fields": hf.map(field, [1, 2]),
        "generated": generate(1.0),
        "parts": parts(2.0),
        "text": text(7_500),
        "xdr": xdr(3),
        "hdf5": hdf5(4),
    }


def compute(path: Path) -> tuple[Any, int]:
    """Return the values of all targets, and how many calls were made for them."""
    with hf.Session(path, engine="in_process") as session:
        return session.result(targets()), session.counts.done


def are_equal(one: Any, other: Any) -> bool:
    """Return whether values are the same, array for array."""
    try:
        numpy.testing.assert_equal(one, other)
    except AssertionError:
        return False
    return True


if __name__ == "__main__":
    work = Path(sys.argv[1])
    session = hf.Session(work, engine="in_process").__enter__()
    session.result(targets())
    with suppress(hf.OperationFailed):
        session.result(fail(1.0))
    for step in range(2):
        CheckpointFacility(work, "ab" * 32).write({"step": step, "x": numpy.arange(3)})
    os.kill(os.getpid(), signal.SIGKILL)
