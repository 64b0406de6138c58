"""One operation of many steps, for being killed: usage: checkpointed.py WORK COUNTED STEPS SECONDS ENGINE.

Every 100 steps are noted in COUNTED before they are made, so that what a kill costs can be counted.
"""

from __future__ import annotations

import os
import sys
import time

import holdfast as hf

NOTED = 100


@hf.operation
def simulate(seed: int, *, steps: int, seconds: float, counted: str, checkpoint: hf.Checkpoint) -> list[int]:
    state = checkpoint.load() or {"step": 0, "value": seed}
    value = state["value"]
    descriptor = os.open(counted, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    for step in range(state["step"], steps):
        if step % NOTED == 0:
            os.write(descriptor, b".")
            time.sleep(seconds * NOTED)
        value = (value * 6364136223846793005 + step) % 2**61
        checkpoint.write({"step": step + 1, "value": value})
    os.close(descriptor)
    return [steps, value]


def expected(seed: int, steps: int) -> list[int]:
    """Return what an undisturbed run gives."""
    for step in range(steps):
        seed = (seed * 6364136223846793005 + step) % 2**61
    return [steps, seed]


if __name__ == "__main__":
    work, counted, steps, seconds, engine = sys.argv[1:]
    with hf.Session(work, engine=engine, workers=None if engine == "in_process" else 1) as session:
        node = simulate(1, steps=int(steps), seconds=float(seconds), counted=counted)
        assert session.result(node) == expected(1, int(steps))
