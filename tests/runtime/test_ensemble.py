from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy
import pytest

import holdfast as hf
from holdfast.errors import GraphError


@hf.operation
def double(x: Any) -> Any:
    return x * 2


@hf.operation
def add(a: Any, b: Any = 1) -> Any:
    return a + b


@hf.operation
def describe(value: Any) -> list[Any]:
    return [type(value).__name__, getattr(value, "dtype", None) and str(value.dtype), len(value)]


@pytest.mark.parametrize(
    ("members", "expected"),
    [
        ([1, 2, 3], ["ndarray", "int64", 3]),
        ([1.0, float("nan")], ["ndarray", "float64", 2]),
        ([True, False], ["ndarray", "bool", 2]),
        ([1j, 2j], ["ndarray", "complex128", 2]),
        ([1, 2.0], ["list", None, 2]),
        (["a", "b"], ["list", None, 2]),
        ([None, None], ["list", None, 2]),
        ([{"a": 1}, {"a": 2}], ["list", None, 2]),
        ([], ["list", None, 0]),
        ([numpy.zeros(3), numpy.ones(3)], ["ndarray", "float64", 2]),
        ([numpy.zeros(3), numpy.ones(4)], ["list", None, 2]),
        ([numpy.zeros(3), numpy.ones(3, dtype="i4")], ["list", None, 2]),
        ([numpy.zeros(20_000), numpy.ones(20_000)], ["ndarray", "float64", 2]),
    ],
)
def test_alike_numeric_members_are_an_array_and_others_a_list(
    session: hf.Session, members: list[Any], expected: list[Any]
) -> None:
    same = hf.operation(lambda x: x, name="demo.same")
    assert session.result(describe(hf.map(same, members))) == expected
    assert session.result(describe(hf.gather([same(member) for member in members]))) == expected


def test_integers_beyond_64_bits_are_a_list(session: hf.Session) -> None:
    square = hf.operation(lambda x: x**2, name="demo.square")
    assert session.result(hf.map(square, [2**31, 2**35])) == [2**62, 2**70]


def test_members_are_parts_of_an_ensemble(session: hf.Session) -> None:
    large = hf.map(hf.operation(lambda n: numpy.full(50_000, float(n)), name="demo.large"), range(4))
    records = hf.map(hf.operation(lambda n: {"n": n, "row": numpy.arange(n)}, name="demo.record"), [1, 2, 3])
    assert session.result(large[3])[0] == 3.0
    assert session.result(add(large[2], large[1]))[0] == 3.0
    assert session.result(large).shape == (4, 50_000)
    assert session.result(records["n"]).tolist() == [1, 2, 3]
    assert session.result(records[2]["row"]).tolist() == [0, 1, 2]
    assert session.result(hf.map(double, records["n"])).tolist() == [2, 4, 6]
    assert session.result(hf.map(double, large))[3, 0] == 6.0


def test_inputs_are_scattered_together_and_width_one_broadcasts(session: hf.Session) -> None:
    assert session.result(hf.map(add, [1, 2, 3], b=[10])).tolist() == [11, 12, 13]
    assert session.result(hf.map(add, a=numpy.ones((2, 3)), b=numpy.arange(2))).tolist() == [[1.0] * 3, [2.0] * 3]
    assert session.result(hf.map(add, double([1, 2]), b=[100])).tolist() == [101, 102, 101, 102]


def test_a_body_may_refer_to_nodes_outside_of_it(session: hf.Session) -> None:
    shift = add(1, 2)
    assert session.result(hf.map(lambda x: add(x, shift), [1, 2])).tolist() == [4, 5]
    assert session.result(hf.map(lambda x: add(double(x), shift), [1, 2])).tolist() == [5, 7]
    fail = hf.operation(lambda: 1 / 0, name="demo.fail")
    with pytest.raises(hf.OperationFailed, match=r"demo\.fail"):
        session.result(hf.map(lambda x: add(x, fail()), [1, 2]))


def test_unequal_widths_are_refused_by_name() -> None:
    with pytest.raises(GraphError, match=r"'a' has 3.*'b' has 2"):
        hf.map(add, [1, 2, 3], b=[1, 2])
    with pytest.raises(GraphError, match="no axis"):
        hf.map(add, double(1), b=hf.Integer64(3))


def test_unequal_widths_known_only_at_run_time_fail_by_name(session: hf.Session) -> None:
    with pytest.raises(hf.OperationFailed, match=r"'a' has 4.*'b' has 6"):
        session.result(hf.map(add, double([1, 2]), b=double([1, 2, 3])))


def test_bodies_may_be_graphs_with_ensembles_and_loops_inside(session: hf.Session) -> None:
    below = hf.operation(lambda x, limit: x < limit, name="demo.below")

    def grow(x: Any, limit: Any) -> Any:
        return hf.while_loop(lambda s: below(s, limit), double, x)

    ensemble = hf.map(
        lambda row: {"grown": hf.map(grow, row, limit=[10]), "first": row[0]}, numpy.array([[1, 3], [5, 7]])
    )
    assert session.result(ensemble["grown"]).tolist() == [[16, 12], [10, 14]]
    assert session.result(ensemble[1]["first"]) == 5


def test_equal_members_run_once(tmp_path: Path, engine: str, counted: Any, ran: Any) -> None:
    with hf.Session(tmp_path / "work", engine=engine) as session:
        assert session.result(hf.map(counted, [7] * 100)).tolist() == [7] * 100
    assert len(ran()) == 1


def test_a_grown_ensemble_runs_only_what_is_new_and_a_reordered_one_nothing(
    tmp_path: Path, engine: str, counted: Any, ran: Any
) -> None:
    with hf.Session(tmp_path / "work", engine=engine) as session:
        session.result(hf.map(counted, range(1_000)))
    with hf.Session(tmp_path / "work", engine=engine) as session:
        assert session.result(hf.map(counted, range(2_000))).tolist() == list(range(2_000))
        assert len(ran()) == 2_000
        assert session.result(hf.map(counted, range(1_999, -1, -1)))[0] == 1_999
        assert session.result(counted(5)) == 5
    assert len(ran()) == 2_000


def test_graph_members_are_kept_one_by_one_too(tmp_path: Path, counted: Any, ran: Any) -> None:
    for width in (10, 20):
        with hf.Session(tmp_path / "work") as session:
            ensemble = hf.map(lambda x: add(counted(x), counted(add(x, 1000))), range(width))
            assert session.result(ensemble).tolist() == [2 * x + 1000 for x in range(width)]
    assert len(ran()) == 40


def test_a_failing_member_stops_no_other_and_only_it_is_tried_again(tmp_path: Path, engine: str) -> None:
    folder = str(tmp_path)

    @hf.operation(name="demo.fragile")
    def fragile(x: int) -> int:
        from pathlib import Path

        with (Path(folder) / "ran").open("a") as stream:
            stream.write(f"{x}\n")
        if x in (3, 5) and not (Path(folder) / "mended").exists():
            raise ValueError(f"cannot do {x}")
        return x

    ensemble = hf.map(fragile, range(20))
    with hf.Session(tmp_path / "work", engine=engine) as session:
        with pytest.raises(hf.OperationFailed) as caught:
            session.result(add(ensemble))
        assert session.status(ensemble) is hf.NodeState.FAILED
        assert session.counts.done == 18
    error = caught.value
    assert error.operation == "demo.fragile"
    assert error.node == f"{ensemble.uid}[3]"
    assert error.arguments == '{"x":3}'
    assert error.kind == "ValueError"
    assert "cannot do 3" in error.reason
    assert "1 more" in error.reason
    assert 'raise ValueError(f"cannot do {x}")' in error.traceback
    assert "holdfast" not in error.traceback.replace(str(tmp_path), "").replace("test_ensemble", "")
    (tmp_path / "mended").touch()
    with hf.Session(tmp_path / "work", engine=engine) as session:
        assert session.status(ensemble) is hf.NodeState.FAILED
        assert session.result(ensemble).tolist() == list(range(20))
        assert session.counts.done == 2
        assert session.status(ensemble) is hf.NodeState.DONE
    assert len((tmp_path / "ran").read_text().split()) == 22


def test_a_second_request_in_the_same_session_tries_again(tmp_path: Path) -> None:
    flag = tmp_path / "mended"

    @hf.operation(name="demo.flaky")
    def flaky(x: int) -> int:
        if not flag.exists():
            raise OSError("not mounted yet")
        return x

    with hf.Session(tmp_path / "work") as session:
        node = add(flaky(1))
        with pytest.raises(hf.OperationFailed, match="not mounted yet"):
            session.result(node)
        flag.touch()
        assert session.result(node) == 2


def test_a_finished_ensemble_costs_one_look_up(tmp_path: Path) -> None:
    with hf.Session(tmp_path / "work") as session:
        session.result(hf.map(double, range(20_000)))
    with hf.Session(tmp_path / "work") as session:
        assert session.result(hf.map(double, range(20_000)))[-1] == 39_998
        assert session.counts.reused == 1
        assert session.counts.done == 0
