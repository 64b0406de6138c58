"""All finished calls behind a request are found, whatever control flow they stand in, and each once."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest

import holdfast as hf
from holdfast.model.argument import as_input
from holdfast.runtime.contents import Contents
from holdfast.runtime.finished import FinishedCalls
from holdfast.storage.catalog import Catalog
from holdfast.storage.workdir import open_workdir


@hf.operation(version="1", name="finished.add")
def add(x: Any, y: Any = 1) -> Any:
    return x + y


@hf.operation(version="1", name="finished.below")
def below(state: Any) -> bool:
    return bool(state < 3)


@hf.operation(version="1", name="finished.fails")
def fails(x: Any) -> Any:
    raise ValueError("no")


@hf.operation(version="1", name="finished.count_down")
def count_down(x: int) -> Any:
    return count_down(x - 1) if x else add(100)


@hf.graph
def twice(x: Any) -> Any:
    return add(add(x, 10), 10)


def found_in(path: Path, node: Any) -> tuple[Counter[str], FinishedCalls, list[str]]:
    workdir = open_workdir(path)
    with Catalog.open(workdir, read_only=True) as catalog:
        found = FinishedCalls(catalog, Contents(workdir, catalog, shares_memory=True, store_type="numpy"))
        calls = list(found.behind([as_input(node, "the request")]))
        expected = catalog.find_calls([call.call.key for call in calls if not call.node.name.endswith("down")])
    for call in calls:
        assert call.call.key not in expected or expected[call.call.key].digest == call.digest
    assert found.finished == len(calls) == len({call.call.key for call in calls})
    return Counter(call.node.name.rpartition(".")[2] for call in calls), found, [call.where for call in calls]


NODES = {
    "chain": (add(add(1)), {"add": 2}),
    "equal calls": ([add(1), add(hf.Integer64(1))], {"add": 1}),
    "parts": ({"a": [add(1)], "b": add(2)}, {"add": 2}),
    "ensemble": (hf.map(add, [1, 2, 3]), {"add": 3}),
    "ensemble over results": (hf.map(add, hf.map(add, [1, 2, 3])), {"add": 4}),
    "ensemble with a captured node": (hf.map(lambda x: add(x, add(50)), [1, 2]), {"add": 3}),
    "ensemble of graphs": (hf.map(twice, [1, 2]), {"add": 4}),
    "while": (hf.while_loop(below, add, 0), {"below": 4, "add": 3}),
    "while to its limit": (hf.while_loop(below, add, 0, max_iterations=2), {"below": 3, "add": 2}),
    "for": (hf.fori_loop(2, 5, lambda index, state: add(state, index), 0), {"add": 3}),
    "scan": (hf.scan(lambda state, x: (add(state, x), add(x, 70)), 0, [1, 2]), {"add": 4}),
    "branch": (hf.cond(below(2), lambda x: add(x), lambda x: fails(x), 5), {"below": 1, "add": 1}),
    "reduction": (hf.reduce(add, [1, 2, 3, 4, 5]), {"add": 4}),
    "gathered": (hf.gather([add(1), add(2)]), {"add": 2}),
    "returned nodes": (count_down(2), {"count_down": 3, "add": 1}),
    "loop in an ensemble": (
        hf.map(lambda x: hf.fori_loop(0, 2, lambda index, state: add(state, x), 0), [5, 6]),
        {"add": 4},
    ),
}


@pytest.mark.parametrize(("node", "expected"), NODES.values(), ids=NODES)
def test_every_call_that_ran_is_found(tmp_path: Path, node: Any, expected: dict[str, int]) -> None:
    with hf.Session(tmp_path) as session:
        session.result(node)
        ran = sum(session.counts.reasons.values())
    counted, found, _ = found_in(tmp_path, node)
    assert counted == expected
    assert found.unfinished == 0
    assert ran == sum(expected.values())


def test_what_has_no_result_is_counted_and_what_lies_before_it_is_found(tmp_path: Path) -> None:
    node = [fails(add(1)), add(fails(add(2))), hf.map(add, [1, 2, 3]), hf.while_loop(below, fails, 0)]
    with hf.Session(tmp_path) as session:
        session.result(hf.map(add, [1, 2]))
        with pytest.raises(hf.OperationFailed):
            session.results(node[:2])
    counted, found, _ = found_in(tmp_path, node)
    assert counted == {"add": 2}
    assert found.unfinished == 5  # fails twice, what needs it, the third member, the first condition


def test_members_are_named_by_their_ensemble(tmp_path: Path) -> None:
    node = hf.map(add, [1, 2])
    with hf.Session(tmp_path) as session:
        session.result(node)
    assert found_in(tmp_path, node)[2] == [f"{node.uid}[0]", f"{node.uid}[1]"]
