"""Whoever accepts a change of code is shown what the change is, and has to say why."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import holdfast as hf
from holdfast.errors import NotFound


def operation_of(source: str, name: str = "shown.double") -> Any:
    module: dict[str, Any] = {"__name__": "shown"}
    exec(source, module)
    return hf.operation(module["double"], name=name, version=source)


ONE, TWO, THREE = map(operation_of, (f"def double(x):\n    return {text}\n" for text in ("2 * x", "x + x", "x * 2")))


def test_the_change_is_shown_before_and_after_it_is_accepted(tmp_path: Path) -> None:
    with hf.Session(tmp_path / "work") as session:
        session.result(ONE(1))
        looked = session.accept(TWO, dry=True)
        assert session.plan(TWO(1)).calls == 1
        accepted = session.accept(TWO, why="the same sum")
        assert session.plan(TWO(1)).calls == 0
    assert (looked.earlier, looked.later) == (ONE.implementation.uid, TWO.implementation.uid)
    assert looked.changes == accepted.changes
    assert [change.cause for change in looked.changes] == ["version"]
    assert "accepted by" not in str(looked)
    assert "the same sum" in str(accepted)
    assert accepted.to_json()["changes"][0]["cause"] == "version"


def test_the_earlier_code_is_the_latest_other_one_or_the_one_that_is_named(tmp_path: Path) -> None:
    with hf.Session(tmp_path / "work") as session:
        session.results([ONE(1), TWO(2)])
        assert session.accept(THREE, dry=True).earlier == TWO.implementation.uid
        uid = ONE.implementation.uid
        assert session.accept(THREE, earlier=uid[:10], dry=True).earlier == uid


def test_nothing_is_accepted_without_a_reason_or_an_earlier_code(tmp_path: Path) -> None:
    with hf.Session(tmp_path / "work") as session:
        with pytest.raises(NotFound, match="nothing to accept"):
            session.accept(ONE, why="why not")
        session.result(ONE(1))
        with pytest.raises(NotFound, match="nothing to accept"):
            session.accept(ONE, why="why not")
        with pytest.raises(hf.GraphError, match="Say why"):
            session.accept(TWO, why=" ")
        with pytest.raises(hf.GraphError, match="no operation"):
            session.accept(ONE(1), why="why not")
        with pytest.raises(NotFound, match=r"begins no or several.*Recorded: " + ONE.implementation.uid[:16]):
            session.accept(TWO, why="why not", earlier="zz")
        assert session.plan(TWO(1)).calls == 1
