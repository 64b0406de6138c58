"""Make the working directory that stands beside this script, in the format of the version that runs it.

Run once for each format version, by hand, and never again: python tests/old_data/make.py 1
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy

import holdfast as hf
from holdfast.storage.catalog import Catalog
from holdfast.storage.workdir import open_workdir


@hf.operation(name="old.ramp", version="1")
def ramp(start: float) -> numpy.ndarray[Any, Any]:
    return numpy.arange(20_000) + start


@hf.operation(name="old.add", version="1")
def add(x: float) -> float:
    return x + 1.0


@hf.operation(name="old.below", version="1")
def below(x: float) -> bool:
    return x < 3.0


@hf.operation(name="old.parts", version="1")
def parts(x: float) -> dict[str, Any]:
    return {"array": numpy.array([[x, 2.0], [3.0, 4.0]]), "text": "ä", "nothing": None, "bytes": b"\0\1"}


TARGETS = {
    "loop": hf.while_loop(below, add, 0.0),
    "map": hf.map(add, [1.0, 2.0, 3.0]),
    "store": ramp(0.5),
    "parts": parts(1.0),
}


if __name__ == "__main__":
    place = Path(__file__).with_name(f"format_{sys.argv[1]}")
    with hf.Session(place, engine="in_process") as session:
        session.result(TARGETS)
    Catalog.open(open_workdir(place)).close()
