"""Compute numbers in a directory, in processes that may be killed: usage: agreeing.py, one command as JSON on each line of the input.

A command lists processes that run at once: [directory, numbers, microseconds after which it is killed, or 0]. Answered is, for each, its
values, the name of an error of ours, or null if it was killed. What is called is noted beside the directory in `.ran`, and what was
told to be durable in `.told`.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy

import holdfast as hf
from holdfast.errors import HoldfastError
from holdfast.runtime.events import Event, NodeDone


@hf.operation(name="agreeing.array", version="1")
def array(number: int, *, ran: str) -> numpy.ndarray[Any, Any]:
    note(ran, number)
    return numpy.full(length_of(number), float(number))


def length_of(number: int) -> int:
    """Return the length of an array: every third has no store of its own."""
    return 17_000 if number % 3 else 3


def note(path: str | Path, number: int) -> None:
    """Append a line, whole or not at all."""
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(descriptor, f"{number}\n".encode())
    os.close(descriptor)


def noted(work: Path, ending: str) -> list[int]:
    """Return what was noted."""
    path = work.with_suffix(ending)
    return [int(line) for line in path.read_text().split()] if path.exists() else []


def node_of(work: Path, number: int) -> Any:
    """Return the node of a number."""
    return array(number, ran=str(work.with_suffix(".ran")))


def compute(work: Path, numbers: list[int]) -> list[list[float]]:
    """Return first and last element and length of the array of each number."""
    nodes = {node_of(work, number).uid: number for number in numbers}

    def tell(event: Event) -> None:
        if isinstance(event, NodeDone) and event.uid in nodes:
            note(work.with_suffix(".told"), nodes[event.uid])

    with hf.Session(work, engine="in_process") as session:
        session.listen(tell)
        values = session.result([node_of(work, number) for number in numbers])
    return [[float(value[0]), float(value[-1]), len(value)] for value in values]


def start(work: str, numbers: list[int], microseconds: int, answer: Path) -> int:
    """Fork a process that computes, and return its id."""
    process = os.fork()
    if process:
        return process
    signal.setitimer(signal.ITIMER_REAL, microseconds / 1e6)  # nobody handles the signal: it ends the process at once
    try:
        found: Any = compute(Path(work), numbers)
    except HoldfastError as error:
        found = type(error).__name__
    answer.with_suffix(".part").write_text(json.dumps(found))
    answer.with_suffix(".part").rename(answer)  # it may be killed while it writes
    os._exit(0)


def main() -> None:
    """Carry out the commands."""
    with tempfile.TemporaryDirectory() as place:
        compute(Path(place) / "work", [1])  # what is imported now need not be imported by each process
        for line in sys.stdin:
            commands = json.loads(line)
            answers = [Path(place) / str(number) for number in range(len(commands))]
            processes = [start(*command, answer) for command, answer in zip(commands, answers, strict=True)]
            for process in processes:
                os.waitpid(process, 0)
            print(json.dumps([json.loads(path.read_text()) if path.exists() else None for path in answers]), flush=True)
            for path in answers:
                path.unlink(missing_ok=True)


if __name__ == "__main__":
    main()
