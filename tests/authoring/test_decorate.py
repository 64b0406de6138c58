from __future__ import annotations

import time
from typing import Any

import numpy
import pytest

import holdfast as hf
from holdfast.errors import GraphError, UnstableCode, UnsupportedValue

ran: list[int] = []


@hf.operation
def record_run(x: int, y: int = 2) -> int:
    ran.append(x)
    return x + y


def test_calling_an_operation_makes_a_node_and_runs_nothing() -> None:
    node = record_run(1)
    assert not ran
    assert len(node.uid) == 64
    assert set(node.record) == {"depends", "input", "operation"}
    assert node.record["operation"][-1] == "record_run"
    assert node.record["depends"] == [record_run.implementation.uid]


def test_the_way_of_calling_does_not_count() -> None:
    assert record_run(1) == record_run(x=1) == record_run(1, 2) == record_run(y=2, x=1) != record_run(1, 3)


def test_replace_makes_an_equivalent_node_with_other_inputs() -> None:
    assert record_run(1).replace(x=5) == record_run(5)
    with pytest.raises(GraphError, match="'z'"):
        record_run(1).replace(z=1)


@pytest.mark.parametrize(
    "call", [lambda: record_run(), lambda: record_run(1, 2, 3), lambda: record_run(1, z=3), lambda: record_run(1, x=1)]
)
def test_wrong_inputs_are_refused_by_name(call: Any) -> None:
    with pytest.raises(GraphError, match="record_run"):
        call()


def test_a_value_that_no_format_takes_is_refused_when_the_node_is_built(tmp_path: Any) -> None:
    with (tmp_path / "f").open("w") as stream, pytest.raises(UnsupportedValue, match=r"^x is _io"):
        record_run(stream)
    with pytest.raises(UnsupportedValue, match=r"^x\['deep'\]\[1\] is"):
        record_run({"deep": [1, lambda: 2]})
    with pytest.raises(ValueError, match="64 bits"):
        record_run(2**64)


def test_inputs_may_be_nodes_parts_and_structures_of_them() -> None:
    node = record_run(1)
    take_any = hf.operation(lambda x: x, name="demo.take_any")
    nested = take_any({"a": [node, node["label"], 3.0], "b": numpy.arange(3)})
    written = nested.record["input"]["x"]
    assert written["a"][:2] == [node.uid, node.uid + ".label"]
    assert written["b"] == hf.Integer64([0, 1, 2]).uid


def test_names_and_versions_are_the_users_to_choose() -> None:
    named = hf.operation(name="md.simulate", version="2")(lambda x: x)
    assert named.name.scope == ("md", "simulate")
    assert named.name.namespace == ("md",)
    assert named.name.operation_name == "simulate"
    assert named.implementation.parts == {"version": "2"}
    assert named(1) == hf.operation(name="md.simulate", version="2")(lambda x: x + 1)(1)


def test_code_that_cannot_be_read_needs_a_version() -> None:
    compiled = hf.operation(name="demo.length")(len)
    with pytest.raises(UnstableCode, match="version="):
        compiled([1])
    assert hf.operation(name="demo.length", version="1")(len)([1]).name == "demo.length"


def test_a_compiled_function_that_does_not_tell_its_inputs_is_refused_with_advice() -> None:
    with pytest.raises(hf.GraphError, match=r"demo\.nap does not tell its inputs.*Wrap it"):
        hf.operation(time.sleep, name="demo.nap", version="1")
