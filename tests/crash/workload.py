"""A map of 1 000 and a loop of 100, for being killed: usage: workload.py WORK RAN ACKNOWLEDGED ENGINE.

Each operation appends what it makes to RAN when it ends; what the session tells to be durable goes to ACKNOWLEDGED.
"""

from __future__ import annotations

import os
import sys
import time

import holdfast as hf
from holdfast.runtime.events import Event, NodeDone, RoundDone

WIDTH = 1_000
ROUNDS = 100


def append(path: str, line: str) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(descriptor, f"{line}\n".encode())
    os.close(descriptor)


@hf.operation
def member(x: int, *, ran: str) -> int:
    time.sleep(0.0005)
    append(ran, str(1_000_000 + x))
    return 1_000_000 + x


@hf.operation
def below(x: int, limit: int) -> bool:
    return x < limit


@hf.operation
def advance(x: int, *, ran: str) -> int:
    time.sleep(0.003)
    append(ran, str(x + 1))
    return x + 1


def graph(ran: str) -> dict[str, object]:
    return {
        "ensemble": hf.map(lambda x: member(x, ran=ran), range(WIDTH)),
        "loop": hf.while_loop(lambda x: below(x, ROUNDS), lambda x: advance(x, ran=ran), 0),
    }


def main() -> None:
    work, ran, acknowledged, engine = sys.argv[1:]
    nodes = graph(ran)

    def note(event: Event) -> None:
        if isinstance(event, RoundDone):
            append(acknowledged, str(event.number))
        elif isinstance(event, NodeDone) and event.operation == "workload.advance" and not event.reused:
            append(acknowledged, event.uid)

    with hf.Session(work, engine=engine, workers=None if engine == "in_process" else 2) as session:
        session.listen(note)
        result = session.result(nodes)
    assert result["loop"] == ROUNDS
    assert result["ensemble"].tolist() == list(range(1_000_000, 1_000_000 + WIDTH))
    append(acknowledged, "finished")


if __name__ == "__main__":
    main()
