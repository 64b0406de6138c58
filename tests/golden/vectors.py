"""The nodes whose uids must never drift, by name. Run this file to write them down again after a recorded decision."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy
import pyarrow
import xarray

import holdfast as hf
from holdfast.model.datatype import BY_NAME, Dataset, Table
from holdfast.model.graph import reachable
from holdfast.model.reference import Part, Reference

PLACE = Path(__file__).parent


def take(name: str) -> Any:
    """Return an operation of any input, whose code is a word."""
    return hf.operation(lambda **inputs: inputs, name=name, version="1")


add, below, scale = take("golden.add"), take("golden.below"), take("golden.nested.scale")


def data() -> dict[str, Reference]:
    """Return data nodes of every type and kind of shape."""
    found: dict[str, Reference] = {"the notebook's array": hf.Integer64([[1, 2], [3, 4]])}
    for scope, datatype in sorted(BY_NAME.items()):
        if datatype.dtype:
            for shape in ((), (3,), (2, 2), (0,), (0, 3)):
                array = numpy.arange(numpy.prod(shape, dtype=int)).reshape(shape).astype(datatype.dtype)
                found[f"{scope[-1]} of shape {list(shape)}"] = datatype(array if shape else array[()])
    found |= {
        f"Float64 {x!r}": hf.Float64(x) for x in (0.1, -0.0, 1e300, 5e-324, float("nan"), float("inf"), float("-inf"))
    }
    found |= {f"Integer64 {x}": hf.Integer64(x) for x in (2**63 - 1, -(2**63))}
    found |= {f"String {x!r}": hf.String(x) for x in ("", "plain", 'quo"te\\', "line\nend\t\x1f", "ü → 🜁", ["a", "bb"])}
    return found | {
        "Complex128 -0.5+2j": hf.Complex128(-0.5 + 2j),
        "Boolean True": hf.Boolean(True),
        "Null": hf.Null(None),
        "Bytes": hf.Bytes(bytes(range(256))),
        "many Bytes": hf.Bytes(b"ab" * 1000),
        "Mapping": hf.Mapping({"b": [1, None, {"z": 2.5}], "a": "x", "🜁": 1, "\uffff": 2}),
        "Mapping with a key that begins with $": hf.Mapping({"$odd": 1}),
        "Mapping that holds an array": hf.Mapping({"x": numpy.arange(3.0)}),
        "1025 numbers, named by digest": hf.Integer64(numpy.arange(1025)),
        "Table": Table(pyarrow.table({"a": [1, None], "b": ["x", "ü"]})),
        "Table of categories": Table(pyarrow.table({"a": pyarrow.array(["x", "y", "x"]).dictionary_encode()})),
        "Dataset": Dataset(xarray.Dataset({"t": ("x", [1.5, 2.5])}, {"x": [1, 2]}, {"unit": "K"})),
        "a File": hf.File(PLACE / "file.txt"),
    }


def graphs() -> dict[str, Reference]:
    """Return operation nodes, parts, ensembles, loops, placeholders and graphs, some inside others."""
    one = add(a=1, b=2.5)
    grown = hf.while_loop(lambda s: below(s=s), lambda s: add(a=s, b=one), 1.0, max_iterations=10)
    nested = hf.map(lambda x: hf.map(lambda y: add(a=x, b=y), [1, 2]), [[1, 2], [3, 4]])
    return {
        "operation": one,
        "operation in a nested scope": scale(x=one),
        "parts": add(a=one["label"], b=one["odd label"][3]),
        "structure": add(a=[one, {"x": one[0], "y": 1}], b={}),
        "no input": take("golden.nothing")(),
        "gather": hf.gather([one, 1]),
        "map over numbers": hf.map(lambda x: scale(x=x), [1.0, 2.0]),
        "map over two inputs": hf.map(lambda x, y: add(a=x, b=y), numpy.arange(3), [5]),
        "map over a node": hf.map(lambda x: add(a=x, b=one), one),
        "map of maps": nested,
        "while_loop": grown,
        "while_loop over a mapping": hf.while_loop(
            lambda s: below(s=s["x"]), lambda s: {"x": add(a=s["x"])}, {"x": one}
        ),
        "loop in a map": hf.map(lambda x: hf.while_loop(lambda s: below(s=s), lambda s: add(a=s, b=x), x), nested[0]),
        "map in a loop": hf.while_loop(lambda s: below(s=s), lambda s: hf.map(lambda e: scale(x=e), s), [1.0, 2.0]),
        "while_loop that raises at its limit": hf.while_loop(
            lambda s: below(s=s), lambda s: add(a=s), 1.0, max_iterations=10, on_max="raise"
        ),
        "fori_loop": hf.fori_loop(0, 10, lambda i, s: add(a=i, b=s), 1.0),
        "fori_loop between nodes": hf.fori_loop(one["first"], one["last"], lambda i, s: add(a=s), {"x": one}),
        "scan": hf.scan(lambda c, x: [add(a=c, b=x), scale(x=c)], 0.0, [1.0, 2.0, 3.0])[0],
        "outputs of a scan without elements": hf.scan(lambda c, x: [add(a=c), c], one, length=5)[1],
        "scan over a mapping": hf.scan(lambda c, x: [add(a=c, b=x["u"]), x["v"]], 0, {"u": [1, 2], "v": [3, 4]})[1],
        "cond": hf.cond(below(s=one), lambda x: add(a=x), lambda x: scale(x=x), one),
        "cond of loops": hf.cond(
            one["flag"], lambda x: hf.fori_loop(0, 3, lambda i, s: add(a=s, b=i), x), lambda x: x, 2
        ),
        "reduce": hf.reduce(lambda a, b: add(a=a, b=b), [1.0, 2.0, 3.0]),
        "reduce of an ensemble": hf.reduce(lambda a, b: add(a=a, b=b), nested),
        "scatter along an inner axis": hf.scatter(one, axis=1),
        "map of a scatter, and a broadcast": hf.map(
            lambda x, y: add(a=x, b=y), hf.scatter(numpy.arange(6.0).reshape(2, 3), axis=1), hf.broadcast(one)
        ),
        "placeholder": hf.Placeholder("x"),
        "typed placeholder": hf.Placeholder("x", float, ("n", None, 3)),
        "graph": hf.trace(
            lambda x, y: {"sum": add(a=x, b=y), "x": x}, x=hf.Placeholder("x", int), y=hf.Placeholder("y")
        ),
        "graph of graphs": hf.trace(lambda x: hf.map(lambda y: add(a=x, b=y), x), x=hf.Placeholder("x")),
        "graph bound in part": hf.trace(lambda x, y: add(a=x, b=y), x=hf.Placeholder("x"), y=hf.Placeholder("y")).bind(
            x=grown
        ),
    }


def vectors(named: dict[str, Reference]) -> list[dict[str, Any]]:
    """Return what is written down: each node, and after the named ones all that they refer to and that has a record."""
    sources = {name: node.source if isinstance(node, Part) else node for name, node in named.items()}
    found = {node.uid: name for name, node in sources.items()}
    nodes = {node.uid: node for node in sources.values()}
    waiting = list(sources.values())
    while waiting:
        source = waiting.pop()
        within = [source.output, list(source.placeholders)] if hasattr(source, "placeholders") else [source]
        for node in reachable(within):
            if node.uid not in nodes:
                nodes[node.uid] = node
                found[node.uid] = ""
            if hasattr(node, "placeholders") and node is not source:
                waiting.append(node)
    return [{"name": found[uid], "uid": uid, "record": node.record} for uid, node in nodes.items()]  # type: ignore[attr-defined]


FILES = {"data.json": data, "graphs.json": graphs}

if __name__ == "__main__":
    for file, made in FILES.items():
        (PLACE / file).write_text(json.dumps(vectors(made()), indent=1) + "\n")
