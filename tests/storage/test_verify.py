"""Damage of any file is found, and repair takes out nothing else."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy
import pytest

import holdfast as hf
from holdfast.errors import HoldfastError, OwnershipError, WorkingDirectoryError
from holdfast.storage.catalog import Catalog
from holdfast.storage.checkpoint import CheckpointFacility
from holdfast.storage.repair import repair
from holdfast.storage.verify import verify
from holdfast.storage.workdir import open_workdir


@hf.operation(name="healthy.field", version="1")
def field(seed: int) -> numpy.ndarray[Any, Any]:
    return numpy.random.default_rng(seed).normal(size=(20_000,))


@hf.operation(name="healthy.parts", version="1")
def parts(x: float) -> dict[str, Any]:
    return {"small": numpy.arange(5.0) + x, "large": numpy.full(20_000, x), "text": "a" * 100}


@hf.operation(name="healthy.add", version="1")
def add(x: float) -> float:
    return x + 1.0


@hf.operation(name="healthy.below", version="1")
def below(x: float) -> bool:
    return x < 6.0


def targets() -> dict[str, Any]:
    """A loop, a map of numbers, a map of arrays with stores of their own, and a mapping of small and large arrays."""
    return {
        "loop": hf.while_loop(below, add, 0.0),
        "numbers": hf.map(add, [1.0, 2.0, 3.0]),
        "fields": hf.map(field, [1, 2]),
        "parts": parts(2.0),
    }


def compute(path: Path) -> Any:
    with hf.Session(path, engine="in_process") as session:
        return session.result(targets())


def are_equal(one: Any, other: Any) -> bool:
    numpy.testing.assert_equal(one, other)
    return True


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Any]:
    path = tmp_path_factory.mktemp("whole") / "work"
    values = compute(path)
    Catalog.open(open_workdir(path)).close()  # moves the log into the database, which is what is damaged here
    CheckpointFacility(path, "ab" * 32).write({"step": 7, "x": numpy.arange(3)})
    return path, values


@pytest.fixture
def work(whole: tuple[Path, Any], tmp_path: Path) -> Path:
    return Path(shutil.copytree(whole[0], tmp_path / "work"))


def files(path: Path) -> list[Path]:
    """The files that hold something; the reserve, the lock of an owner that is gone and the shared memory of SQLite hold nothing."""
    kept = [file for file in path.rglob("*") if file.is_file() and not file.name.endswith(("-shm", "reserve"))]
    return sorted(file for file in kept if file.stat().st_size)


def is_found(path: Path) -> bool:
    try:
        return bool(verify(path).findings)
    except HoldfastError:  # holdfast.json itself: everything refuses the directory
        return True


def cut(data: bytes) -> bytes:
    return data[: len(data) // 2]


def grow(data: bytes) -> bytes:
    return data + b"\0" * 4096


def zero(data: bytes) -> bytes:
    return bytes(len(data))


def empty(data: bytes) -> bytes:
    return b""


def test_a_whole_directory_has_no_findings_and_is_left_as_it_is(work: Path) -> None:
    before = {file: file.read_bytes() for file in files(work)}
    found = verify(work)
    assert found.findings == []
    assert found.rows > 20
    assert found.stores == 3
    assert {file: file.read_bytes() for file in files(work)} == before


@pytest.mark.parametrize("damage", [cut, zero, empty, None])
def test_every_file_that_is_cut_zeroed_emptied_or_missing_is_found(
    work: Path, damage: Callable[[bytes], bytes] | None
) -> None:
    for file in files(work):
        if damage is None and file.suffix == ".state":
            continue  # a generation that is gone is as good as one never written
        data = file.read_bytes()
        file.unlink()
        if damage is not None:
            file.write_bytes(damage(data))
        assert is_found(work), f"{file} is damaged, and that was not found"
        file.write_bytes(data)
    assert verify(work).findings == []


def test_every_file_of_a_store_that_has_grown_is_found(work: Path) -> None:
    for file in files(work):
        if file.suffix == ".db" or file.name == "holdfast.json":
            continue  # SQLite and JSON know their end; see the flips
        data = file.read_bytes()
        file.write_bytes(grow(data))
        assert is_found(work), f"{file} has grown, and that was not found"
        file.write_bytes(data)


def test_swapped_files_and_swapped_stores_are_found_and_named(work: Path) -> None:
    stores = sorted(path for path in (work / "nodes").glob("*/*") if (path / "data.npy").exists())
    for one, other in ((stores[0] / "data.npy", stores[1] / "data.npy"), (stores[0], stores[1])):
        aside = work / "aside"
        for source, target in ((one, aside), (other, one), (aside, other)):
            source.rename(target)
        found = " ".join(f"{finding.node} {finding.file} {finding.reason}" for finding in verify(work).findings)
        assert stores[0].name in found
        assert stores[1].name in found
        assert "data.npy" in found
        for source, target in ((one, aside), (other, one), (aside, other)):
            source.rename(target)
    assert verify(work).findings == []


@pytest.mark.parametrize("damage", [cut, zero, empty, None])
def test_after_a_repair_a_run_makes_again_what_was_damaged(
    work: Path, whole: tuple[Path, Any], damage: Callable[[bytes], bytes] | None
) -> None:
    for file in [file for file in files(work) if file.name != "holdfast.json"]:
        copy = shutil.copytree(work, work.parent / "copy")
        place = copy / file.relative_to(work)
        data = place.read_bytes()
        place.unlink()
        if damage is not None:
            place.write_bytes(damage(data))
        repair(copy)
        assert verify(copy).findings == [], f"after a repair of {place}"
        assert are_equal(compute(copy), whole[1])
        assert verify(copy).findings == []
        shutil.rmtree(copy)


def test_a_repair_runs_nothing_again_but_what_was_damaged(tmp_path: Path, counted: Any, ran: Any) -> None:
    nodes = {str(seed): counted(numpy.full(20_000, float(seed))) for seed in range(4)}
    with hf.Session(tmp_path / "work", engine="in_process") as session:
        session.result(nodes)
    lines = (tmp_path / "ran").read_text().count("[")
    store = tmp_path / "work" / "nodes" / nodes["2"].uid[:2] / nodes["2"].uid
    (store / "data.npy").write_bytes(b"")
    found = repair(tmp_path / "work")
    assert store.name in {finding.node for finding in found.findings}
    with hf.Session(tmp_path / "work", engine="in_process") as session:
        assert session.result(nodes)["2"][0] == 2.0
    assert (tmp_path / "ran").read_text().count("[") == lines + 1


def test_of_a_page_that_cannot_be_read_the_others_are_kept(
    tmp_path: Path, counted: Any, ran: Callable[[], list[str]]
) -> None:
    work = tmp_path / "work"
    ensemble = hf.map(counted, list(range(3_000)))
    with hf.Session(work, engine="in_process") as session:
        session.result(ensemble)
    Catalog.open(open_workdir(work)).close()
    pages = (work / "catalog.db").read_bytes()
    # 13 marks a leaf of a table. Source: https://sqlite.org/fileformat2.html#b_tree_pages
    leaves = [start for start in range(4096, len(pages), 4096) if pages[start] == 13]
    middle = leaves[len(leaves) // 2]  # nearly all are of calls
    (work / "catalog.db").write_bytes(pages[:middle] + bytes(4096) + pages[middle + 4096 :])
    repair(work)
    assert verify(work).findings == []
    with hf.Session(work, engine="in_process") as session:
        assert session.result(hf.map(counted, list(range(3_001)))).tolist() == list(range(3_001))
    assert 3_001 < len(ran()) < 3_100


def test_a_catalog_of_a_newer_holdfast_is_told_and_never_repaired(work: Path) -> None:
    with closing(sqlite3.connect(work / "catalog.db")) as connection:
        connection.execute("PRAGMA user_version = 99")
    before = {file: file.read_bytes() for file in files(work)}
    assert "newer holdfast" in verify(work).findings[0].reason
    with pytest.raises(WorkingDirectoryError, match="pip install -U holdfast"):
        repair(work)
    assert {file: file.read_bytes() for file in files(work)} == before


def test_verifying_beside_a_live_session_finds_nothing(work: Path) -> None:
    with hf.Session(work, engine="in_process") as session:
        session.result(hf.map(field, [7, 8, 9]))
        assert verify(work).findings == []


def test_a_repair_never_takes_a_directory_from_a_live_session(work: Path) -> None:
    with hf.Session(work, engine="in_process"), pytest.raises(OwnershipError):
        repair(work)


def test_a_repair_of_what_is_whole_changes_nothing(work: Path) -> None:
    before = {file: file.read_bytes() for file in files(work)}
    assert repair(work).findings == []
    assert {file: file.read_bytes() for file in files(work)} == before
