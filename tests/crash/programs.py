"""Small programs that keep what they make, to be killed, refused and cut off; only the public face of holdfast is used.

Each operation leaves a line in the file `ran` of the trial when it has run, and each thing that a session says to be finished one in
`acknowledged`; both by one call to the system, so that nothing is said late. Where the trial stands is in the environment, because it may
be no part of an operation's inputs.

Usage by hand: TRIAL=FOLDER python programs.py NAME.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

import holdfast as hf
from holdfast.runtime.events import Event, NodeDone, RoundDone

WIDTH = 1_000
ROUNDS = 100
LARGE = 20_000
"""Numbers of an array that is kept in a file of its own."""

STEPS = 6
"""Steps of an operation that writes its state after each."""


def leave(file: str, line: object) -> None:
    """Append a line to a file of the trial."""
    descriptor = os.open(os.path.join(os.environ["TRIAL"], file), os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
    os.write(descriptor, f"{line}\n".encode())
    os.close(descriptor)


@hf.operation
def small(x: int) -> int:
    leave("ran", "small")
    return 2 * x


@hf.operation
def large(x: float) -> np.ndarray:
    leave("ran", "large")
    return np.arange(LARGE) * x


@hf.operation(format="xdr")
def large_in_xdr(x: float) -> np.ndarray:
    leave("ran", "xdr")
    return np.arange(LARGE) * x


@hf.operation(format="hdf5")
def large_in_hdf5(x: float) -> np.ndarray:
    leave("ran", "hdf5")
    return np.arange(LARGE) * x


@hf.operation
def long_text(word: str) -> str:
    leave("ran", "json")
    return word * LARGE


@hf.operation
def total(values: np.ndarray) -> float:
    leave("ran", "total")
    return float(values.sum())


@hf.operation
def member(x: int) -> int:
    leave("ran", 1_000_000 + x)
    return 1_000_000 + x


@hf.operation
def below(x: int, limit: int) -> bool:
    return x < limit


@hf.operation
def advance(x: int) -> int:
    leave("ran", x + 1)
    return x + 1


@hf.operation
def in_steps(x: int, checkpoint: hf.Checkpoint) -> list[int]:
    state = checkpoint.load() or {"step": 0, "values": np.zeros(100), "seen": []}
    for step in range(state["step"], STEPS):
        state = {"step": step + 1, "values": state["values"] + x, "seen": [*state["seen"], step]}
        checkpoint.write(state)
        checkpoint.flush()
        leave("steps", step)
    leave("ran", "steps")
    return [*state["seen"], int(state["values"].sum())]


def count_to(limit: int) -> Any:
    """A loop of so many rounds."""
    return hf.while_loop(lambda x: below(x, limit), advance, 0)


@dataclass(frozen=True)
class Program:
    """Nodes to ask a session for, one after the other, and their values."""

    nodes: Mapping[str, Any]
    values: Mapping[str, Any]
    options: Mapping[str, Any] = field(default_factory=dict)
    """Of the session."""


THREADS = {"engine": "threads", "workers": 2}
MEMBERS = list(range(1_000_000, 1_000_000 + WIDTH))
NUMBERS = np.arange(LARGE) * 0.5

PROGRAMS: dict[str, Program] = {
    "small": Program({"small": small(2_100_000)}, {"small": 4_200_000}),
    "numpy": Program(
        {"large": large(0.5), "total": total(large(0.5))}, {"large": NUMBERS, "total": float(NUMBERS.sum())}
    ),
    "json": Program({"json": long_text("holdfast ")}, {"json": "holdfast " * LARGE}),
    "xdr": Program({"xdr": large_in_xdr(0.5)}, {"xdr": NUMBERS}),
    "hdf5": Program({"hdf5": large_in_hdf5(0.5)}, {"hdf5": NUMBERS}),
    "ensemble": Program({"ensemble": hf.map(member, range(WIDTH))}, {"ensemble": np.array(MEMBERS)}),
    "threads": Program({"ensemble": hf.map(member, range(WIDTH))}, {"ensemble": np.array(MEMBERS)}, THREADS),
    "loop": Program({"loop": count_to(ROUNDS)}, {"loop": ROUNDS}),
    "checkpoint": Program({"steps": in_steps(2)}, {"steps": [*range(STEPS), STEPS * 200]}),
    "mixed": Program(
        {
            "small": small(2_100_000),
            "large": large(0.5),
            "steps": in_steps(2),
            "loop": count_to(7),
            "json": long_text("ab"),
        },
        {
            "small": 4_200_000,
            "large": NUMBERS,
            "steps": [*range(STEPS), STEPS * 200],
            "loop": 7,
            "json": "ab" * LARGE,
        },
    ),
}
"""Parts of `mixed` stand in every place that a working directory has."""

_ONE_OF_EACH = [PROGRAMS[name] for name in ("mixed", "xdr", "numpy", "ensemble", "loop")]

PROGRAMS["all"] = Program(
    {label: node for program in _ONE_OF_EACH for label, node in program.nodes.items()},
    {label: value for program in _ONE_OF_EACH for label, value in program.values.items()},
)

everything = dict(PROGRAMS["mixed"].nodes)
"""For the command line: holdfast run programs.py:everything."""


def acknowledge(event: Event) -> None:
    """Note what a session tells to be finished."""
    if isinstance(event, NodeDone):
        leave("acknowledged", f"node {event.uid}")
    elif isinstance(event, RoundDone):
        leave("acknowledged", f"round {event.uid} {event.number}")


def run(name: str, **options: Any) -> int:
    """Ask a session in the folder of the trial for all nodes of a program."""
    program = PROGRAMS[name]
    with hf.Session(os.path.join(os.environ["TRIAL"], "work"), **program.options, **options) as session:
        session.listen(acknowledge)
        for node in program.nodes.values():
            session.result(node)
            leave("acknowledged", f"node {node.uid}")
    return 0


if __name__ == "__main__":
    sys.exit(run(sys.argv[1]))
