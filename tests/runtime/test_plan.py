from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import holdfast as hf
from holdfast.errors import GraphError, WorkingDirectoryError
from holdfast.runtime.plan import plan_in


@hf.operation(name="demo.add")
def add(a: int, b: int = 1) -> int:
    return a + b


@hf.operation(name="demo.parity")
def parity(x: int) -> int:
    return x % 2


@hf.operation(name="demo.fragile")
def fragile(x: int) -> int:
    return 1 // x


@hf.operation(name="demo.several_failing")
def several_failing(x: int) -> Any:
    return [add(x), fragile(x)]


@hf.operation(name="demo.small")
def is_small(x: int) -> bool:
    return x < 3


@pytest.fixture
def opened(tmp_path: Path) -> Any:
    with hf.Session(tmp_path / "work") as session:
        yield session


def counted(session: hf.Session, node: Any) -> dict[str, tuple[int, int]]:
    return {found.operation: (found.calls, found.depending) for found in session.plan(node).operations}


def test_a_plan_runs_nothing_and_agrees_with_what_then_runs(opened: hf.Session) -> None:
    node = add(add(1), add(2))
    assert counted(opened, node) == {"demo.add": (2, 1)}
    assert not opened.plan(node).is_exact
    assert opened.status(node) is hf.NodeState.DECLARED
    assert opened.counts.done == 0
    assert opened.result(node) == 5
    assert opened.counts.done == 3
    done = opened.plan(node)
    assert (done.calls, done.is_exact, done.reused) == (0, True, 1)
    assert str(done).startswith("nothing would run")


def test_equal_calls_by_two_routes_are_counted_once(opened: hf.Session) -> None:
    opened.result([add(1, 1), add(0, 2)])
    assert counted(opened, [parity(add(1, 1)), parity(add(0, 2)), parity(2)]) == {"demo.parity": (1, 0)}


def test_a_result_with_the_same_call_key_is_reused_and_what_stands_behind_it_is_looked_up(opened: hf.Session) -> None:
    opened.result(parity(add(1, 1)))
    found = opened.plan(parity(add(parity(3), 1)))
    assert counted(opened, parity(add(parity(3), 1))) == {"demo.parity": (1, 1), "demo.add": (0, 1)}
    assert found.depending == 2
    opened.result(parity(3))
    again = opened.plan(parity(add(parity(3), 1)))
    assert (again.calls, again.depending) == (0, 0)


def test_an_ensemble_counts_its_missing_members(opened: hf.Session) -> None:
    opened.result(hf.map(add, [1, 2, 3]))
    found = opened.plan(hf.map(add, [1, 2, 3, 4, 5, 5]))
    (planned,) = found.operations
    assert (planned.calls, planned.depending, dict(planned.reasons)) == (2, 0, {"new inputs": 2})
    assert planned.seconds_each is not None
    assert found.reused == 3
    assert found.is_exact


def test_the_width_of_an_ensemble_counts_before_what_it_captures_is_known(opened: hf.Session) -> None:
    shift = add(1)
    assert counted(opened, hf.map(lambda x: add(x, shift), x=[1, 2, 3])) == {"demo.add": (1, 3)}


def test_gathering_what_is_there_is_no_call_and_hides_none(opened: hf.Session) -> None:
    opened.result([add(1), add(2)])
    total = hf.operation(lambda values: sum(values), name="demo.total")
    found = opened.plan(total(hf.gather([add(1), add(2)])))
    assert [(planned.operation, planned.calls) for planned in found.operations] == [("demo.total", 1)]
    assert found.is_exact


def test_what_only_a_run_can_tell_is_said(opened: hf.Session) -> None:
    loop = hf.while_loop(is_small, lambda x: add(x), add(0))
    found = opened.plan(parity(loop))
    assert (found.calls, found.depending) == (1, 1)
    assert found.unknown == ("how many rounds holdfast.while_loop has",)
    assert "not known before it runs: how many rounds" in str(found)
    branch = opened.plan(hf.cond(is_small(1), lambda: add(1), lambda: add(2)))
    assert branch.unknown == ("which branch holdfast.cond takes",)


def test_what_would_fail_before_it_runs_is_said(opened: hf.Session) -> None:
    pair = hf.operation(lambda x: [x, x], name="demo.pair")(1)
    opened.result(pair)
    total = hf.operation(lambda values: sum(values), name="demo.total")
    found = opened.plan(total(hf.map(add, a=pair, b=[1, 2, 3])))
    assert (found.calls, found.depending) == (0, 1)
    assert "would fail: hf.map runs over inputs of unequal widths" in found.unknown[0]
    absent = opened.plan(add(pair["label"]))
    assert "would fail" in absent.unknown[0]


def test_a_call_that_returned_nodes_is_not_counted_again(opened: hf.Session) -> None:
    with pytest.raises(hf.OperationFailed):
        opened.result(several_failing(0))
    found = opened.plan(several_failing(0))
    assert found.calls == 0
    assert "returned nodes earlier" in found.unknown[0]


def test_the_reason_is_a_failure_a_change_of_code_or_new_inputs(opened: hf.Session, tmp_path: Path) -> None:
    def reasons(node: Any) -> dict[str, int]:
        (found,) = opened.plan(node).operations
        return dict(found.reasons)

    assert reasons(fragile(0)) == {"first run": 1}
    with pytest.raises(hf.OperationFailed):
        opened.result(fragile(0))
    opened.result(fragile(1))
    assert reasons(fragile(0)) == {"failed before": 1}
    assert reasons(fragile(2)) == {"new inputs": 1}
    changed = hf.operation(lambda x: 2 // x, name="demo.fragile")
    assert reasons(changed(1)) == {"code changed": 1}
    (found,) = opened.plan(changed(1)).operations
    assert found.seconds is not None


def test_a_plan_is_written_as_json(opened: hf.Session) -> None:
    written = json.loads(json.dumps(opened.plan(add(1)).to_json()))
    assert (written["calls"], written["exact"], written["unknown"]) == (1, True, [])
    assert written["operations"][0]["reasons"] == {"first run": 1}


def test_a_plan_needs_a_concrete_graph(opened: hf.Session) -> None:
    with pytest.raises(GraphError, match="not bound"):
        opened.plan(add(hf.Placeholder("x")))


def test_looking_makes_no_directory_and_refuses_a_strange_one(tmp_path: Path) -> None:
    assert plan_in(str(tmp_path / "none"), add(1)).calls == 1
    assert not (tmp_path / "none").exists()
    (tmp_path / "strange").mkdir()
    assert plan_in(str(tmp_path / "strange"), add(1)).calls == 1
    (tmp_path / "strange" / "thesis.tex").write_text("")
    with pytest.raises(WorkingDirectoryError, match=r"holdfast\.json"):
        plan_in(str(tmp_path / "strange"), add(1))


def test_a_long_chain_needs_no_recursion(opened: hf.Session) -> None:
    node = add(0)
    for _ in range(3000):
        node = add(node)
    assert counted(opened, node) == {"demo.add": (1, 3000)}
