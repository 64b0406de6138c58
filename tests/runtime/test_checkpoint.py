"""An operation that failed or was killed goes on from its checkpoint, on any engine."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import holdfast as hf


def make(place: Path, *, addend: int = 1) -> Any:
    """Return an operation that fails in the middle of its first run, and leaves one line for each step."""
    path = str(place / "steps")

    @hf.operation(name="demo.slow")
    def slow(x: int, steps: int, *, checkpoint: hf.Checkpoint) -> list[int]:
        state = checkpoint.load() or {"step": 0, "sum": x}
        begin = state["step"]
        for step in range(begin, steps):
            with open(path, "a") as stream:
                stream.write(f"{x}:{step}\n")
            state = {"step": step + 1, "sum": state["sum"] + addend}
            checkpoint.write(state)
            if step == steps // 2 and begin == 0:
                checkpoint.flush()
                raise RuntimeError("the power is gone")
        return [begin, state["sum"]]

    return slow


def steps(place: Path) -> list[str]:
    return (place / "steps").read_text().split()


def left(place: Path) -> list[Path]:
    return [path for path in (place / "work").glob("checkpoints/*/*/*") if path.suffix == ".state"]


def open_session(place: Path, engine: str) -> hf.Session:
    return hf.Session(place / "work", engine=engine, workers=None if engine == "in_process" else 2)


@pytest.mark.parametrize("second", ["in_process", "threads", "processes"])
def test_a_failed_operation_goes_on_where_it_was_on_another_engine(tmp_path: Path, engine: str, second: str) -> None:
    slow = make(tmp_path)
    with open_session(tmp_path, engine) as session, pytest.raises(hf.OperationFailed):
        session.result(slow(100, 10))
    assert left(tmp_path)
    with open_session(tmp_path, second) as session:
        assert session.result(slow(100, 10)) == [6, 110]
        assert left(tmp_path) == []
    assert steps(tmp_path) == [f"100:{step}" for step in range(10)]


def test_members_of_an_ensemble_have_one_each(tmp_path: Path, engine: str) -> None:
    slow = make(tmp_path)
    members = hf.map(lambda x: slow(x, 10), [100, 200, 300])
    with open_session(tmp_path, engine) as session:
        with pytest.raises(hf.OperationFailed):
            session.result(members)
        assert session.result(members) == [[6, 110], [6, 210], [6, 310]]
        assert left(tmp_path) == []
    assert sorted(steps(tmp_path)) == sorted(f"{x}:{step}" for x in (100, 200, 300) for step in range(10))


def test_changed_code_and_other_inputs_begin_anew(tmp_path: Path) -> None:
    with open_session(tmp_path, "in_process") as session:
        for node in (make(tmp_path)(100, 10), make(tmp_path, addend=2)(100, 10), make(tmp_path)(100, 11)):
            with pytest.raises(hf.OperationFailed):
                session.result(node)
    assert steps(tmp_path) == [f"100:{step}" for step in (*range(6), *range(6), *range(6))]


def test_an_equal_call_by_another_node_goes_on_too(tmp_path: Path) -> None:
    slow, same = make(tmp_path), hf.operation(lambda x: x, name="demo.same")
    with open_session(tmp_path, "in_process") as session:
        with pytest.raises(hf.OperationFailed):
            session.result(slow(100, 10))
        assert slow(same(100), 10).uid != slow(100, 10).uid
        assert session.result(slow(same(100), 10)) == [6, 110]


def test_an_operation_that_never_uses_its_checkpoint_leaves_nothing(session: hf.Session, tmp_path: Path) -> None:
    @hf.operation(name="demo.unused")
    def unused(x: int, checkpoint: hf.Checkpoint) -> int:
        return x

    assert session.result(unused(1)) == 1
    assert not (tmp_path / "work" / "checkpoints").exists()
