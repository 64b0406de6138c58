from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import holdfast as hf
from holdfast.runtime.events import RoundDone


@hf.operation
def below(x: float, limit: float) -> bool:
    return x < limit


@hf.operation
def add(a: Any, b: Any = 1.0) -> Any:
    return a + b


def make_counted(folder: Path) -> Any:
    path = str(folder / "ran")

    @hf.operation(name="demo.advance")
    def advance(x: float, step: float = 1.0) -> float:
        with open(path, "a") as stream:
            stream.write("x\n")
        return x + step

    return advance, lambda: len(Path(path).read_text().split()) if Path(path).exists() else 0


def test_the_toy_loop_goes_from_one_to_six(session: hf.Session) -> None:
    assert session.result(hf.while_loop(lambda x: below(x, 6.0), add, 1.0)) == 6.0


def test_the_condition_is_asked_before_the_first_round(session: hf.Session) -> None:
    assert session.result(hf.while_loop(lambda x: below(x, 0.0), add, 1.0)) == 1.0
    assert session.result(hf.while_loop(lambda x: below(x, 6.0), add, 1.0, max_iterations=0)) == 1.0


def test_the_number_of_rounds_is_limited(session: hf.Session) -> None:
    assert session.result(hf.while_loop(lambda x: below(x, 100.0), add, 1.0, max_iterations=3)) == 4.0


def test_the_state_may_be_a_structure_with_constants(session: hf.Session) -> None:
    loop = hf.while_loop(
        lambda s: below(s["x"], 4.0),
        lambda s: {"x": add(s["x"]), "log": [s["log"], s["x"]], "word": "fixed", "none": None},
        {"x": 1.0, "log": [], "word": "first", "none": None},
    )
    assert session.result(loop) == {"x": 4.0, "log": [[[[], 1.0], 2.0], 3.0], "word": "fixed", "none": None}
    assert session.result(add(loop["x"], loop["log"][1])) == 7.0


def test_a_loop_with_a_looser_condition_goes_on_and_a_stricter_one_goes_back(tmp_path: Path, engine: str) -> None:
    advance, count = make_counted(tmp_path)

    def loop(limit: float, rounds: int | None = None) -> Any:
        return hf.while_loop(lambda x: below(x, limit), advance, 0.0, max_iterations=rounds)

    with hf.Session(tmp_path / "work", engine=engine) as session:
        assert session.result(loop(10.0)) == 10.0
    with hf.Session(tmp_path / "work", engine=engine) as session:
        assert session.result(loop(15.0)) == 15.0
        assert count() == 15
        assert session.result(loop(4.0)) == 4.0
        assert session.result(loop(15.0, 7)) == 7.0
        assert session.result(loop(20.0, 17)) == 17.0
    assert count() == 17


def test_a_loop_restarts_at_its_last_round_and_looks_no_earlier_one_up(tmp_path: Path) -> None:
    advance, count = make_counted(tmp_path)

    @hf.operation(name="demo.guarded")
    def guarded(x: float) -> float:
        if x == 50.0 and not (tmp_path / "mended").exists():
            raise RuntimeError("stop here")
        return x

    loop = hf.while_loop(lambda x: below(x, 60.0), lambda x: advance(guarded(x)), 0.0)
    with hf.Session(tmp_path / "work") as session, pytest.raises(hf.OperationFailed, match="stop here"):
        session.result(loop)
    assert count() == 50
    (tmp_path / "mended").touch()
    with hf.Session(tmp_path / "work") as session:
        assert session.result(loop) == 60.0
        assert session.counts.reused <= 3
    assert count() == 60


def test_rounds_are_told(session: hf.Session) -> None:
    loop = hf.while_loop(lambda x: below(x, 3.0), add, 0.0)
    events = session.subscribe(loop)
    session.publish(loop).result(60)
    assert [event.number for event in events if isinstance(event, RoundDone)] == [1, 2, 3]


def test_a_condition_that_gives_no_boolean_fails_and_says_so(session: hf.Session) -> None:
    with pytest.raises(hf.OperationFailed, match="expected True or False"):
        session.result(hf.while_loop(lambda x: add(x), add, 1.0))


def test_a_failing_round_keeps_the_rounds_before(session: hf.Session) -> None:
    fail = hf.operation(lambda x: 1 / (x - 2.0) and x + 1.0, name="demo.fail")
    with pytest.raises(hf.OperationFailed, match="ZeroDivisionError"):
        session.result(hf.while_loop(lambda x: below(x, 5.0), fail, 0.0))
    assert session.result(hf.while_loop(lambda x: below(x, 2.0), fail, 0.0)) == 2.0


def test_a_thousand_rounds_need_no_recursion(tmp_path: Path) -> None:
    with hf.Session(tmp_path / "work") as session:
        assert session.result(hf.while_loop(lambda x: below(x, 1000.0), add, 0.0)) == 1000.0
        endless = hf.while_loop(lambda x: below(0.0, 1.0), lambda x: x, 0.0, max_iterations=3000)
        assert session.result(endless) == 0.0
