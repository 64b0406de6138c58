"""Finished calls that are made again are compared, and what is stored stays; so are those that are made again after a loss."""

from __future__ import annotations

import hashlib
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import holdfast as hf
from holdfast.runtime.events import Event, ResultDiffers
from holdfast.storage.repair import repair
from holdfast.storage.verify import verify


@hf.operation(version="1", name="checked.count")
def count(path: str, x: Any) -> Any:
    """Return how often it was called."""
    place = Path(path)
    calls = int(place.read_text() or 0) + 1 if place.exists() else 1
    place.write_text(str(calls))
    return calls + x


@hf.operation(version="1", name="checked.draw")
def draw(x: Any) -> bytes:
    return os.urandom(8)


@hf.operation(version="1", name="checked.fill")
def fill(size: int) -> Any:
    return np.ones(size)


@hf.operation(version="1", name="checked.fill_anew")
def fill_anew(path: str, size: int) -> Any:
    place = Path(path)
    place.write_text(place.read_text() + "." if place.exists() else ".")
    return np.full(size, float(len(place.read_text())))


@hf.operation(version="1", name="checked.add")
def add(x: Any, y: int = 1) -> Any:
    return x + y


@hf.operation(version="1", name="checked.fragile")
def fragile(path: str) -> int:
    if Path(path).exists():
        raise ValueError("not again")
    Path(path).touch()
    return 1


@hf.operation(version="1", name="checked.go_on")
def go_on(path: str, checkpoint: hf.Checkpoint) -> int:
    """Leave a state behind and be lost with it; go on from it when called again."""
    state = checkpoint.load()
    checkpoint.write({"step": 1})
    with Path(path).open("a") as stream:
        stream.write(f"{state} ")
    return 1


@hf.operation(version="1", name="checked.below")
def below(state: Any) -> bool:
    return bool(state < 3)


@hf.operation(version="1", name="checked.generate")
def generate(path: str) -> Any:
    return [add(1), add(count(path, 0))]


def files(path: Path) -> dict[Path, str]:
    return {
        place.relative_to(path): hashlib.sha256(place.read_bytes()).hexdigest()
        for place in path.rglob("*")
        if place.is_file() and "catalog.db" not in place.name
    }


@pytest.mark.parametrize("engine", ["in_process", "threads", "processes", "executor"])
def test_the_same_results_are_no_difference_and_nothing_is_written(tmp_path: Path, engine: str) -> None:
    node = [add(fill(200_000)), hf.map(add, [1, 2, 3]), hf.while_loop(below, add, 0)]
    with (
        ThreadPoolExecutor(1) as executor,
        hf.Session(tmp_path / "work", engine=executor if engine == "executor" else engine, workers=1) as session,
    ):
        session.result(node)
        before = files(tmp_path / "work")
        found = session.check(node)
        assert files(tmp_path / "work") == before
        assert session.result(hf.map(add, [1, 2, 3, 4])).tolist() == [2, 3, 4, 5]  # the session goes on
    assert (found.finished, found.unfinished, found.differences) == (2 + 3 + 4 + 1, 0, ())
    assert found.calls == found.finished  # two of the three rounds make the same calls as members


def test_another_result_is_told_with_both_digests_and_the_first_one_stays(tmp_path: Path) -> None:
    node = add(count(str(tmp_path / "count"), 0))
    events: list[Event] = []
    with hf.Session(tmp_path / "work") as session:
        session.listen(events.append)
        assert session.result(node) == 2
        found = session.check(node)
        assert found.calls == 2  # what follows is checked with the stored result
        (difference,) = found.differences
        assert difference in events
        assert session.result(node) == 2
    assert (difference.operation, difference.is_lost) == ("checked.count", False)
    assert difference.node == difference.uid == count(str(tmp_path / "count"), 0).uid
    assert str(tmp_path / "count") in difference.arguments
    assert (difference.earlier, difference.later) == tuple(hashlib.sha256(text).hexdigest() for text in (b"1", b"2"))
    for told in (difference.earlier, difference.later, "checked.count", "1 gave another result"):
        assert told in str(found)
    with hf.Session(tmp_path / "work") as session:
        assert session.result(node) == 2


@pytest.mark.parametrize("engine", ["in_process", "processes"])
def test_members_rounds_and_calls_that_return_nodes_are_checked(tmp_path: Path, engine: str) -> None:
    paths = [str(tmp_path / name) for name in "abcd"]
    ensemble = hf.map(count, [paths[0]], [5, 6])
    loop = hf.fori_loop(0, 1, lambda index, state: count(paths[1], state), 0)
    generated = generate(paths[2])
    with hf.Session(tmp_path / "work", engine=engine, workers=1) as session:
        session.result([ensemble, loop, generated])
        found = session.check([ensemble, loop, generated])
        assert [difference.operation for difference in found.differences] == ["checked.count"] * 4
        references = {difference.node for difference in found.differences}
        assert {f"{ensemble.uid}[0]", f"{ensemble.uid}[1]"} < references
        assert found.calls == 6  # generate itself returned the same nodes; of these, two are one call
        assert list(session.subscribe(ensemble.uid))  # its subscribers are told by its uid


def test_a_call_that_fails_now_is_a_difference(tmp_path: Path) -> None:
    node = fragile(str(tmp_path / "flag"))
    with hf.Session(tmp_path / "work") as session:
        session.result(node)
        (difference,) = session.check(node).differences
    assert difference.later == "ValueError: not again"


def test_what_is_not_finished_is_not_made(tmp_path: Path) -> None:
    with hf.Session(tmp_path / "work") as session:
        session.result(add(1))
        found = session.check([add(1), count(str(tmp_path / "count"), 5)])
    assert (found.calls, found.unfinished, found.differences) == (1, 1, ())
    assert "no result yet: 1" in str(found)
    assert not (tmp_path / "count").exists()


def test_a_call_that_is_checked_begins_anew_and_leaves_no_state(tmp_path: Path) -> None:
    node = go_on(str(tmp_path / "states"))
    with hf.Session(tmp_path / "work") as session:
        session.result(node)
        assert session.check(node).differences == ()
    assert (tmp_path / "states").read_text().split() == ["None", "None"]
    assert not list((tmp_path / "work").glob("checkpoints/*/*"))


@pytest.mark.parametrize(("sample", "calls"), [(3, 3), (100, 20), (0.1, 2), (0.01, 1), (1.0, 20)])
def test_a_sample_is_so_many_calls_or_such_a_part(tmp_path: Path, sample: float, calls: int) -> None:
    node = hf.map(add, list(range(20)))
    with hf.Session(tmp_path / "work") as session:
        session.result(node)
        found = session.check(node, sample=sample)
    assert (found.calls, found.finished) == (calls, 20)


def test_differences_are_told_in_the_order_of_the_graph(tmp_path: Path) -> None:
    node = hf.map(draw, list(range(12)))
    with hf.Session(tmp_path / "work", engine="processes", workers=2) as session:
        session.result(node)
        found = session.check(node)
    assert [difference.node for difference in found.differences] == [f"{node.uid}[{index}]" for index in range(12)]


@pytest.mark.parametrize("sample", [0, -1, 1.5, 0.0, True])
def test_no_sample_is_refused_before_anything_is_made(tmp_path: Path, sample: Any) -> None:
    with hf.Session(tmp_path / "work") as session, pytest.raises(hf.GraphError, match="is no sample"):
        session.check(add(1), sample=sample)


def test_other_sessions_look_at_other_calls(tmp_path: Path) -> None:
    node = hf.map(count, [str(tmp_path / "count")], list(range(200)))
    chosen: list[set[str]] = []
    with hf.Session(tmp_path / "work") as session:
        session.result(node)
    for _ in range(2):
        with hf.Session(tmp_path / "work") as session:
            chosen.append({difference.node for difference in session.check(node, sample=20).differences})
    assert [len(names) for names in chosen] == [20, 20]
    assert chosen[0] != chosen[1]


def test_a_check_shows_whether_it_was_right_to_accept(tmp_path: Path) -> None:
    def version(word: str, factor: int) -> Any:
        def double(x: Any) -> Any:
            return factor * x

        return hf.operation(double, name="checked.double", version=word)

    first, right, wrong = version("1", 2), version("2", 2), version("3", 4)
    with hf.Session(tmp_path / "work") as session:
        session.result([first(1), hf.map(first, [2, 3])])
        session.accept(right, why="the same")
        assert session.check([right(1), hf.map(right, [2, 3])]).differences == ()
        session.accept(wrong, why="a mistake")
        session.result(wrong(1))
        assert len(session.check([wrong(1), hf.map(wrong, [2, 3])]).differences) == 3
        assert session.result(wrong(1)) == 2


# after a loss


def test_after_a_loss_another_result_is_told_and_kept(tmp_path: Path) -> None:
    work, path = tmp_path / "work", str(tmp_path / "calls")
    ensemble = hf.map(fill_anew, [path], [30_000, 30_001])
    with hf.Session(work) as session:
        assert session.result(ensemble)[0][0] == 1.0
    for file in work.glob("nodes/*/*/*.npy"):
        file.unlink()
    repair(work)
    events: list[Event] = []
    with hf.Session(work) as session:
        session.listen(events.append)
        assert [array[0] for array in session.result(ensemble)] == [3.0, 4.0]
    told = [event for event in events if isinstance(event, ResultDiffers)]
    assert [(event.operation, event.node, event.is_lost) for event in told] == [
        ("checked.fill_anew", f"{ensemble.uid}[{index}]", True) for index in range(2)
    ]
    assert all(path in event.arguments and event.earlier != event.later for event in told)
    assert "(lost)" in str(told[0])
    assert verify(work).findings == []
    with hf.Session(work) as session:  # and once only
        session.listen(events.append)
        assert session.result(ensemble)[0][0] == 3.0
    assert [event for event in events if isinstance(event, ResultDiffers)] == told


def test_after_a_loss_the_same_result_is_no_news(tmp_path: Path) -> None:
    work, node = tmp_path / "work", add(fill(30_000))
    with hf.Session(work) as session:
        session.result(node)
    for file in work.glob("nodes/*/*/*.npy"):
        file.unlink()
    repair(work)
    events: list[Event] = []
    with hf.Session(work) as session:
        session.listen(events.append)
        session.result(node)
        assert session.counts.done == 2
    assert not [event for event in events if isinstance(event, ResultDiffers)]
