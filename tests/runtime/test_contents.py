from __future__ import annotations

import threading
import time
import tracemalloc
from pathlib import Path
from typing import Any

import numpy
import pytest

import holdfast as hf
from holdfast.errors import StoreDamaged
from holdfast.runtime import contents as contents_module
from holdfast.storage import commit as commit_module
from holdfast.storage import store as store_module

SIZE = 300_000
"""Elements of an array that has a file of its own, and is mapped."""

TICK = 0.05
"""Longer than the tick of the file system's clock."""


@hf.operation
def make(start: int) -> Any:
    return numpy.arange(start, start + SIZE)


@hf.operation
def double(values: Any) -> Any:
    return 2 * values


@hf.operation
def total(values: Any) -> int:
    return int(values.sum())


@hf.operation
def count_and_add(values: Any) -> Any:
    return [len(values), sum(values)]


@hf.operation
def largest(left: int, right: int) -> int:
    return max(left, right)


@pytest.fixture
def compared(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Files whose bytes were compared with their digest in this process."""
    found: list[str] = []
    true_compare = store_module._compare

    def compare(root: Path, inner: Any, file: Any) -> None:
        found.append("/".join(inner))
        true_compare(root, inner, file)

    monkeypatch.setattr(store_module, "_compare", compare)
    return found


def flip_last_byte(work: Path, node: Any) -> None:
    path = work / "nodes" / node.uid[:2] / node.uid / "data.npy"
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)


@pytest.mark.parametrize("engine", ["in_process", "threads", "processes"])
def test_what_a_session_wrote_is_not_compared_again_by_it(tmp_path: Path, engine: str, compared: list[str]) -> None:
    with hf.Session(tmp_path / "work", engine=engine, workers=2) as session:
        value = session.result(double(make(3)))
        assert value[1] == 8
        assert session.result([make(3), total(make(3))])[1] == 45000750000
    assert compared == []


def test_what_another_session_wrote_is_compared_before_it_is_used(tmp_path: Path, compared: list[str]) -> None:
    for _ in range(2):
        with hf.Session(tmp_path / "work") as session:
            assert session.result(make(4))[0] == 4
            assert session.result(total(make(4))) == 45001050000
    assert len(compared) == 1


@pytest.mark.parametrize("many", [list, hf.gather])
def test_several_files_are_compared_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, many: Any) -> None:
    nodes = many([make(1), make(2)])
    with hf.Session(tmp_path / "work") as session:
        session.result(nodes)
    meeting = threading.Barrier(2, timeout=20)
    true_compare = store_module._compare

    def compare(root: Path, inner: Any, file: Any) -> None:
        meeting.wait()
        true_compare(root, inner, file)

    monkeypatch.setattr(store_module, "_compare", compare)
    with hf.Session(tmp_path / "work") as session:
        assert [values[0] for values in session.result(nodes)] == [1, 2]


def test_members_of_an_ensemble_are_not_hashed_again_to_run_over_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(array: Any) -> str:
        raise AssertionError(f"{array.shape} was hashed again")

    ensemble = hf.map(make, [1, 2, 3])
    with hf.Session(tmp_path / "work") as session:
        session.result(ensemble)
        monkeypatch.setattr(contents_module, "array_digest", refuse)
        assert session.result(hf.map(total, ensemble))[0] == 45000150000
        assert session.result(total(ensemble[1])) == 45000450000


def test_a_file_is_opened_once_for_all_its_elements(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[str] = []
    true_open = contents_module.open_array

    def open_array(path: str, **how: Any) -> Any:
        opened.append(path)
        return true_open(path, **how)

    values = make(0)
    with hf.Session(tmp_path / "work") as session:
        session.result(values)
        monkeypatch.setattr(contents_module, "open_array", open_array)
        assert session.result(count_and_add([values[index] for index in range(0, 2_000, 2)])) == [1_000, 999_000]
        assert len(opened) <= 2, "for the call key, and for what is handed to the operation"
        assert session.result(hf.reduce(largest, [values[index] for index in range(64)])) == 63
        assert len(opened) < 64


def test_what_was_changed_since_a_session_wrote_it_is_never_a_value(tmp_path: Path) -> None:
    node = make(5)
    with hf.Session(tmp_path / "work") as session:
        session.result(node)
        time.sleep(TICK)
        flip_last_byte(tmp_path / "work", node)
        with pytest.raises(StoreDamaged, match=node.uid):
            session.result(node)
        with pytest.raises(hf.OperationFailed, match="damaged"):
            session.result(total(node))


@pytest.mark.parametrize("engine", ["in_process", "threads"])
def test_a_large_result_is_used_before_it_is_durable_and_handed_out_after(
    tmp_path: Path, engine: str, counted: Any, ran: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = threading.Event()
    true_publish = commit_module.publish_all

    def publish_all(workdir: Any, staged: Any) -> Any:
        assert not staged or gate.wait(30)
        return true_publish(workdir, staged)

    monkeypatch.setattr(commit_module, "publish_all", publish_all)
    with hf.Session(tmp_path / "work", engine=engine) as session:
        node = counted(total(make(7)))
        future = session.publish(node)
        end = time.monotonic() + 30
        while not ran() and time.monotonic() < end:
            time.sleep(0.01)
        assert ran(), "it ran on what was not durable"
        assert not future.done()
        assert session.status(make(7)) is not hf.NodeState.DONE
        gate.set()
        assert future.result(30) == 45001950000
        assert session.status(make(7)) is hf.NodeState.DONE


def test_large_results_do_not_stay_in_memory(tmp_path: Path) -> None:
    with hf.Session(tmp_path / "work") as session:
        session.result(total(make(0)))
        tracemalloc.start()
        session.results([total(make(start)) for start in range(1, 20)])
        left = tracemalloc.get_traced_memory()[0]
        tracemalloc.stop()
    assert left < 2 * 8 * SIZE


@pytest.mark.parametrize("engine", ["in_process", "processes"])
def test_a_session_keeps_few_files_open_whatever_it_writes(tmp_path: Path, engine: str) -> None:
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (256, hard))
    try:
        with hf.Session(tmp_path / "work", engine=engine, workers=1) as session:
            rows = session.result(hf.map(hf.operation(_row, name="demo.row"), range(200)))
            assert rows[199, 0] == 199
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def _row(index: int) -> Any:
    return numpy.full(20_000, index)
