"""What each of several sessions on one directory is asked for: a map, a loop, a tree and an operation that returns nodes.

Run as a program it is a nursery: for each line "place engine" it forks a session and says its process, and for each line
"wait process" how that ended. Each call leaves a line "call process" in a file when it starts, and gives a result that no other start of
it would give; so a second start is seen, and so is a second result.
"""

from __future__ import annotations

import os
import sys
import time
import traceback
from pathlib import Path
from typing import Any

import holdfast as hf
from holdfast.runtime.events import ResultDiffers

WIDTH, ROUNDS, LEAVES = 24, 6, 8
CALLS = WIDTH + 2 + ROUNDS + (LEAVES - 1) + 1 + 3


def begin(ran: str, call: str, seconds: float) -> str:
    descriptor = os.open(ran, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(descriptor, f"{call} {os.getpid()}\n".encode())
    os.close(descriptor)
    time.sleep(seconds)
    return os.urandom(4).hex()


@hf.operation
def member(x: int, *, ran: str) -> str:
    return begin(ran, f"member-{x}", 0.004)


@hf.operation
def large(x: int, *, ran: str) -> dict[str, Any]:
    import numpy

    return {"told": begin(ran, f"large-{x}", 0.004), "data": numpy.full(40_000, float(x))}


@hf.operation
def below(state: list[Any]) -> bool:
    return bool(state[0] < ROUNDS)


@hf.operation
def advance(state: list[Any], *, ran: str) -> list[Any]:
    return [state[0] + 1, begin(ran, f"round-{state[0]}-{state[1]}", 0.006)]


@hf.operation
def combine(left: str, right: str, *, ran: str) -> str:
    return begin(ran, f"pair-{left}-{right}", 0.003)


@hf.operation
def branches(x: int, *, ran: str) -> Any:
    begin(ran, f"branches-{x}", 0.003)
    return [member(1_000 + 10 * x + i, ran=ran) for i in range(3)]


def graph(ran: str) -> dict[str, Any]:
    return {
        "map": hf.map(lambda x: member(x, ran=ran), range(WIDTH)),
        "stores": hf.map(lambda x: large(x, ran=ran), range(2))["told"],
        "loop": hf.while_loop(below, lambda state: advance(state, ran=ran), [0, "begin"]),
        "tree": hf.reduce(lambda left, right: combine(left, right, ran=ran), [f"leaf{i}" for i in range(LEAVES)]),
        "generated": branches(1, ran=ran),
    }


def work(place: str, engine: str) -> None:
    """Be one session; what it got is written down whole, or not at all."""
    name = f"{place}/got.{os.getpid()}"
    with hf.Session(f"{place}/work", engine=engine, workers=None if engine == "in_process" else 2) as session:
        session.listen(lambda event: isinstance(event, ResultDiffers) and begin(f"{place}/differs", str(event), 0.0))
        value = session.result(graph(f"{place}/ran"))
    Path(f"{name}.new").write_text(repr(value))
    os.rename(f"{name}.new", name)


def fork(place: str, engine: str) -> int:
    child = os.fork()
    if child:
        return child
    try:
        work(place, engine)
    except BaseException:
        traceback.print_exc()
        os._exit(1)
    os._exit(0)


def main() -> None:
    import holdfast.engines.threads
    import holdfast.runtime.session  # noqa: F401  before the forks, which share it

    for line in sys.stdin:
        first, second = line.split()
        number = os.waitpid(int(second), 0)[1] if first == "wait" else fork(first, second)
        print(number, flush=True)


if __name__ == "__main__":
    main()
