"""A context takes nodes in, each in the state that what is stored puts it in."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import holdfast as hf
from holdfast.runtime.builder import direct
from holdfast.storage.workdir import open_workdir

DECLARED, DONE, FAILED, SUSPENDED = (
    *(hf.NodeState.DECLARED, hf.NodeState.DONE),
    *(hf.NodeState.FAILED, hf.NodeState.SUSPENDED),
)


@hf.operation(name="demo.step")
def step(x: int) -> int:
    if x == 3:
        raise ValueError("three is too much")
    return x + 1


@hf.operation(name="demo.always")
def always(x: int) -> bool:
    return True


def graph(counted: Any) -> hf.WorkGraph:
    first = counted(1)
    return hf.WorkGraph(
        {
            "first": first,
            "second": counted(first),
            "pair": [first, counted(2)],
            "loop": hf.while_loop(always, step, counted(0)),
            "failing": step(3),
            "data": hf.Integer64(5),
        }
    )


def test_each_node_starts_declared_where_nothing_is_stored(
    tmp_path: Path, counted: Any, ran: Callable[[], list[str]]
) -> None:
    with hf.WorkerContext(tmp_path / "work") as context:
        states = context.load(graph(counted))
    assert states == dict.fromkeys(("failing", "first", "loop", "pair", "second"), DECLARED) | {"data": DONE}
    assert not ran()


def test_each_node_starts_in_the_state_of_what_is_stored(tmp_path: Path, counted: Any) -> None:
    work = graph(counted)
    with hf.Session(tmp_path / "work") as session:
        session.result(work["first"])
        for name in ("failing", "loop"):
            with pytest.raises(hf.OperationFailed):
                session.result(work[name])
    with hf.WorkerContext(tmp_path / "work") as context:
        states = context.load(graph(counted))
        assert states["first"] is states["data"] is DONE
        assert states["second"] is states["pair"] is DECLARED
        assert states["failing"] is FAILED
        assert states["loop"] is SUSPENDED  # three of its rounds are stored


def test_a_loop_that_was_cut_off_starts_suspended_and_goes_on(
    tmp_path: Path, counted: Any, ran: Callable[[], list[str]]
) -> None:
    more = hf.operation(lambda x: x < 5, name="demo.more")
    stopped = hf.while_loop(more, lambda x: counted(step(x)), 10, max_iterations=2)
    longer = hf.while_loop(hf.operation(lambda x: x < 13, name="demo.more"), lambda x: counted(step(x)), 10)
    shorter = hf.while_loop(hf.operation(lambda x: x < 12, name="demo.more"), lambda x: counted(step(x)), 10)
    with hf.Session(tmp_path / "work") as session:
        assert session.result(stopped) == 10
        assert session.result(shorter) == 12
    with hf.WorkerContext(tmp_path / "work") as context:
        uid = context.add_node(longer)
        assert context.status(uid) is SUSPENDED
        assert context.publish(uid).result(30) == 13
        assert context.status(uid) is DONE
    assert ran() == ["11", "12", "13"]


def test_adding_twice_is_harmless_and_takes_in_what_a_node_needs(tmp_path: Path, counted: Any) -> None:
    first = counted(1)
    node = counted({"x": first, "y": [first["part"]]})
    with hf.WorkerContext(tmp_path / "work") as context:
        assert context.add_node(node) == context.add_node(node) == node.uid
        assert context.publish(first.uid).result(30) == 1  # taken in with the node that needs it
    workdir = open_workdir(tmp_path / "work")
    built = direct([node], {}, workdir)
    assert [(builder.node, builder.needs, builder.state) for builder in built] == [
        (first, (), DONE),
        (node, (first.uid,), DECLARED),
    ]
    assert direct([node], {builder.node.uid: builder for builder in built}, workdir) == []


def test_an_operation_that_kept_a_checkpoint_starts_suspended_and_goes_on(tmp_path: Path, counted: Any) -> None:
    mended = tmp_path / "mended"

    @hf.operation(name="demo.interrupted", version="1")
    def interrupted(x: int, *, checkpoint: hf.Checkpoint) -> int:
        if checkpoint.load() is None:
            checkpoint.write({"step": x})
            checkpoint.flush()
            raise KeyboardInterrupt
        return x + int(checkpoint.load()["step"]) if mended.exists() else -1

    node = interrupted(counted(20))
    with hf.WorkerContext(tmp_path / "work") as context:
        context.add_node(node)
        assert context.status(node) is DECLARED
    with hf.Session(tmp_path / "work") as session:
        session.result(node.inputs["x"])
        with pytest.raises(KeyboardInterrupt):
            session.result(node)
    mended.touch()
    with hf.WorkerContext(tmp_path / "work") as context:
        context.add_node(node)
        assert context.status(node) is SUSPENDED
        assert context.publish(node).result(timeout=60) == 40
