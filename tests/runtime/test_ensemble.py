from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy
import pytest

import holdfast as hf
from holdfast.errors import GraphError, NotFound


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


def test_a_reduction_is_a_tree_whose_brackets_never_change(session: hf.Session) -> None:
    join = hf.operation(lambda a, b: f"({a}{b})", name="demo.join")
    assert session.result(hf.reduce(join, list("abcdefg"))) == "(((ab)(cd))((ef)g))"
    assert session.result(hf.reduce(join, ["a"])) == "a"
    assert session.result(hf.reduce(lambda a, b: add(add(a, b), 0), hf.map(double, [1, 2, 3]))) == 12
    assert session.result(hf.reduce(add, numpy.ones((5, 2)))).tolist() == [5.0, 5.0]
    with pytest.raises(GraphError, match="no elements to combine"):
        hf.reduce(add, [])
    with pytest.raises(hf.OperationFailed, match="no elements to combine"):
        session.result(hf.reduce(add, hf.gather([])))


def test_a_reduction_of_more_elements_combines_only_what_is_new(session: hf.Session, counted: Any) -> None:
    total = hf.operation(lambda a, b: a + b, name="demo.total")
    assert session.result(hf.reduce(total, range(1_000))) == 499_500
    assert session.counts.done == 999
    assert session.result(hf.reduce(total, range(1_024))) == 523_776
    assert session.counts.done < 999 + 60


def test_axes_are_scattered_and_values_broadcast(session: hf.Session) -> None:
    grid = numpy.arange(6.0).reshape(2, 3)
    mean = hf.operation(lambda x: float(x.mean()), name="demo.mean")
    assert session.result(hf.map(mean, hf.scatter(grid))).tolist() == [1.0, 4.0]
    assert session.result(hf.map(mean, hf.scatter(grid, 1))).tolist() == [1.5, 2.5, 3.5]
    assert session.result(hf.map(mean, hf.scatter(double(grid), axis=-1))).tolist() == [3.0, 5.0, 7.0]
    assert session.result(hf.map(add, numpy.arange(2.0), b=hf.broadcast(grid))).shape == (2, 2, 3)
    with pytest.raises(GraphError, match="axis 2"):
        hf.scatter(grid, axis=2)
    with pytest.raises(GraphError, match="no elements"):
        hf.scatter({"a": 1})
    with pytest.raises(hf.OperationFailed, match="axis 2 is out of bounds"):
        session.result(hf.scatter(double(grid), axis=2))


@pytest.mark.parametrize("of_graphs", [False, True])
def test_an_ensemble_that_grows_or_is_reordered_runs_only_what_is_new(
    tmp_path: Path, engine: str, of_graphs: bool
) -> None:
    def ensemble(members: Any) -> Any:
        return hf.map((lambda x: add(double(x), x)) if of_graphs else double, members)

    calls = 2 if of_graphs else 1
    with hf.Session(tmp_path / "work", engine=engine) as session:
        session.result(ensemble(numpy.arange(1_000)))
    with hf.Session(tmp_path / "work", engine=engine) as session:
        assert session.result(ensemble(numpy.arange(2_000))).sum() == 1_999_000 * (calls + 1 if of_graphs else 2)
        assert session.counts.done == 1_000 * calls + (1_000 if of_graphs else 0)
        session.result(ensemble(numpy.arange(2_000)[::-1]))
        assert session.counts.done == 1_000 * calls + (1_000 if of_graphs else 0)


@pytest.mark.parametrize("of_graphs", [False, True])
def test_who_asks_for_one_member_computes_no_other(
    session: hf.Session, counted: Any, ran: Any, of_graphs: bool
) -> None:
    ensemble = hf.map(lambda x, y: counted(add(x, y) if of_graphs else x), double([1, 2, 3]), [10] * 6)
    several = hf.map(lambda x, y: counted(add(x, y) if of_graphs else x), list(range(6)), y=[10])
    assert session.result(several[2]) == (12 if of_graphs else 2)
    assert session.result([several[2], {"other": several[4]}]) == (
        [12, {"other": 14}] if of_graphs else [2, {"other": 4}]
    )
    assert len(ran()) == 2
    assert session.result(several).tolist() == [x + 10 * of_graphs for x in range(6)]
    assert len(ran()) == 6
    assert session.result(ensemble[1]) == (12 if of_graphs else 2), "widths that are not known: all are computed"
    nested = hf.map(lambda row: hf.map(counted, row), numpy.arange(100, 106).reshape(2, 3))
    before = len(ran())
    assert session.result(nested[1][2]) == 105
    assert len(ran()) == before + 1
    loops = hf.map(lambda n: hf.fori_loop(0, n, lambda i, s: add(s, i), 0), [2, 4])
    assert session.result(loops[1]) == 6
    assert list(session.rounds(loops[1])) == [0, 1, 3, 6]
    with pytest.raises(NotFound, match="width is 6"):
        session.result(several[6])
