"""Graphs to be killed while they run. Usage: scenarios.py NAME WORK ENGINE, or scenarios.py DOCUMENT.json WORK ENGINE, which reads the
graph from its document. Prints uids and results when it has finished.

A scenario is a function without arguments that returns named nodes. Each operation takes long enough for a kill to fall into it.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import holdfast as hf


@hf.operation
def below(x: float, limit: float) -> bool:
    return x < limit


@hf.operation
def add(a: float, b: float = 1.0) -> float:
    time.sleep(0.002)
    return a + b


@hf.operation
def quick_sum(i: int, total: int) -> int:
    return total + i


@hf.operation
def shrink(values: Any) -> dict[str, Any]:
    return {"values": values / 2, "spread": float(values.max() - values.min())}


@hf.operation
def escape_time(x: float, y: float) -> int:
    """Iterations of z² + c until |z| > 2, up to 30."""
    time.sleep(0.001)
    z, c = 0j, complex(x, y)
    for count in range(30):
        if abs(z) > 2:
            return count
        z = z * z + c
    return 30


def toy_loop() -> dict[str, Any]:
    """The loop of the notebook, from 1.0 to 6.0."""
    return {"x": hf.while_loop(lambda x: below(x, 6.0), add, 1.0)}


def adaptive() -> dict[str, Any]:
    """An adaptive loop of maps of loops."""

    def member(value: Any) -> Any:
        return hf.fori_loop(0, 3, lambda i, x: add(x, i), value)

    def one_round(state: Any) -> Any:
        return shrink(hf.map(member, state["values"]))

    first = {"values": hf.gather([1.0, 2.0, 5.0, 9.0]), "spread": 8.0}
    return {"state": hf.while_loop(lambda s: below(0.6, s["spread"]), one_round, first)}


def long_loop() -> dict[str, Any]:
    """Ten thousand rounds."""
    return {"total": hf.fori_loop(0, 10_000, quick_sum, 0)}


def mandelbrot() -> dict[str, Any]:
    """Nested maps."""
    columns = [-2.0 + 0.15 * step for step in range(20)]
    rows = [-1.2 + 0.2 * step for step in range(12)]
    return {"image": hf.map(lambda y: hf.map(lambda x: escape_time(x, y), columns), rows)}


SCENARIOS: dict[str, Callable[[], dict[str, Any]]] = {
    "toy_loop": toy_loop,
    "adaptive": adaptive,
    "long_loop": long_loop,
    "mandelbrot": mandelbrot,
}


def plain(value: Any) -> Any:
    """Return a value as JSON would have it."""
    if isinstance(value, dict):
        return {label: plain(member) for label, member in value.items()}
    if isinstance(value, list):
        return [plain(member) for member in value]
    return value.tolist() if hasattr(value, "tolist") else value


def nodes_of(name: str) -> Mapping[str, Any]:
    """Return the named nodes of a scenario, or of a document."""
    if not name.endswith(".json"):
        return SCENARIOS[name]()
    graph = hf.WorkGraph.from_json(Path(name).read_text(), hf.allow(sys.modules[__name__]))
    return {label: graph[label] for label in graph.targets}


def main() -> None:
    name, work, engine = sys.argv[1:]
    nodes = nodes_of(name)
    with hf.Session(work, engine=engine, workers=None if engine == "in_process" else 2) as session:
        results = {label: plain(session.result(node)) for label, node in nodes.items()}
    print(json.dumps({"uids": {label: node.uid for label, node in nodes.items()}, "results": results}))


if __name__ == "__main__":
    main()
