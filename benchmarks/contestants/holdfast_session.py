"""Holdfast itself, with the default durability: every result survives a power cut."""

from __future__ import annotations

import time
from typing import Any

import holdfast as hf
from benchmarks import tasks

add_one = hf.operation(tasks.add_one)
add = hf.operation(tasks.add)
add_index = hf.operation(tasks.add_index)
is_below_far = hf.operation(tasks.is_below_far)
nap = hf.operation(tasks.nap)
make_array = hf.operation(tasks.make_array)
double_array = hf.operation(tasks.double_array)

Notes = dict[str, float]


def prepare() -> None:
    """Import what is imported late, as the others have by now; opening the session is part of every measurement."""
    import numpy  # noqa: F401

    assert hf.Session


def tasks_in_process(n: int, work: str, notes: Notes) -> Any:
    """Map a trivial function over `n` numbers."""
    with hf.Session(work) as session:
        return int(session.result(hf.map(add_one, range(n))).sum())


def tasks_on_processes(n: int, work: str, notes: Notes) -> Any:
    """Do the same on two worker processes."""
    with hf.Session(work, engine="processes", workers=2) as session:
        return int(session.result(hf.map(add_one, range(n))).sum())


def every_second_task(n: int, work: str, notes: Notes) -> Any:
    """Map over every second of `n` numbers, so that a later map misses the other half."""
    with hf.Session(work) as session:
        return int(session.result(hf.map(add_one, range(0, n, 2))).sum())


def nodes(n: int, work: str, notes: Notes) -> Any:
    """Make `n` separate nodes in a Python loop, and ask for all."""
    made = [add_one(x) for x in range(n)]
    with hf.Session(work) as session:
        return sum(session.results(made))


def build_nodes(n: int, work: str, notes: Notes) -> Any:
    """Make `n` separate nodes and run nothing."""
    return len([add_one(x) for x in range(n)])


def chain(n: int, work: str, notes: Notes) -> Any:
    """Make `n` nodes, each of which takes what the one before gives."""
    node: Any = 0
    for _ in range(n):
        node = add_one(node)
    with hf.Session(work) as session:
        return session.result(node)


def loop(n: int, work: str, notes: Notes) -> Any:
    """Do the same as one loop."""
    with hf.Session(work) as session:
        return session.result(hf.fori_loop(0, n, add_index, 0))


def restart(n: int, work: str, notes: Notes) -> Any:
    """Let a loop whose length is decided by a condition go on for one round."""
    with hf.Session(work) as session:
        return session.result(hf.while_loop(is_below_far, add_one, 0, max_iterations=n))


def tree(leaves: int, work: str, notes: Notes) -> Any:
    """Sum numbers pair by pair."""
    level: list[Any] = [add_one(x) for x in range(leaves)]
    while len(level) > 1:
        level = [add(left, right) for left, right in zip(level[::2], level[1::2], strict=True)]
    with hf.Session(work) as session:
        return session.result(level[0])


def arrays(count: int, work: str, notes: Notes) -> Any:
    """Make arrays of 32 MiB and transform each."""
    with hf.Session(work) as session:
        results = session.results([double_array(make_array(i, 32)) for i in range(count)])
        started = time.perf_counter()
        total = sum(float(array[::65536].sum()) for array in results)
        notes["touch seconds"] = time.perf_counter() - started
        return total


def naps(n: int, work: str, notes: Notes) -> Any:
    """Run tasks of a millisecond on two worker processes; the start of the workers apart."""
    with hf.Session(work, engine="processes", workers=2) as session:
        session.result(hf.map(nap, range(-64, 0)))
        started = time.perf_counter()
        total = int(session.result(hf.map(nap, range(n))).sum())
        notes["inner seconds"] = time.perf_counter() - started
        return total


def first_result(n: int, work: str, notes: Notes) -> Any:
    """Compute one task."""
    with hf.Session(work) as session:
        return session.result(add_one(n))


def waiting(seconds: int, work: str, notes: Notes) -> Any:
    """Wait for one long task on a worker process, and note what the waiting costs the coordinator."""
    import resource

    sleep = hf.operation(tasks.sleep)
    with hf.Session(work, engine="processes", workers=1) as session:
        session.result(add_one(0))
        future = session.publish(sleep(seconds))
        time.sleep(0.5)
        before, cpu = resource.getrusage(resource.RUSAGE_SELF), time.process_time()
        time.sleep(seconds - 1)
        after = resource.getrusage(resource.RUSAGE_SELF)
        notes["share of a core"] = (time.process_time() - cpu) / (seconds - 1)
        notes["wake-ups per second"] = (after.ru_nvcsw - before.ru_nvcsw - 1) / (seconds - 1)
        future.result(timeout=60)
        return 0
