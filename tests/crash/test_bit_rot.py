"""Damage of any file is an error that names it, never a value; verify finds it, and repair takes out nothing else."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import sys
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import everything
import pytest

from holdfast.errors import HoldfastError, OwnershipError, StoreDamaged, WorkingDirectoryError
from holdfast.storage.catalog import Catalog
from holdfast.storage.repair import repair
from holdfast.storage.verify import verify
from holdfast.storage.workdir import open_workdir

DAMAGES = 10_000 if os.environ.get("HOLDFAST_CRASH") == "long" else 500
REPAIRED = 10
"""Each of so many is repaired too."""

SECTOR = 512


@dataclass
class Whole:
    """A directory as it should be, and what it gives."""

    path: Path
    values: Any

    def files(self) -> list[Path]:
        """Return what can be damaged; the shared memory of SQLite is made anew by whoever opens the database."""
        found = (
            file for file in self.path.rglob("*") if file.is_file() and not file.name.endswith(("-shm", "reserve"))
        )
        return sorted(file.relative_to(self.path) for file in found)

    def copy(self, target: Path) -> Path:
        """Return a copy of which every file can be changed by itself; a store is never changed where it stands."""
        return Path(shutil.copytree(self.path, target))


def flip(data: bytes, chance: random.Random) -> bytes:
    place = chance.randrange(len(data))
    return data[:place] + bytes([data[place] ^ 1 << chance.randrange(8)]) + data[place + 1 :]


def zero(data: bytes, chance: random.Random) -> bytes:
    start = chance.randrange(len(data)) // SECTOR * SECTOR
    return data[:start] + bytes(len(data[start : start + SECTOR])) + data[start + SECTOR :]


def overwrite(data: bytes, chance: random.Random) -> bytes:
    start = chance.randrange(len(data))
    other = chance.randbytes(min(100, len(data) - start))
    return data[:start] + other + data[start + len(other) :]


def cut(data: bytes, chance: random.Random) -> bytes:
    return data[: chance.randrange(len(data))]


def grow(data: bytes, chance: random.Random) -> bytes:
    return data + chance.choice([bytes(4096), b"x", b"\n", data])


def empty(data: bytes, chance: random.Random) -> bytes:
    return b""


CHANGES = (flip, flip, flip, flip, zero, overwrite, cut, grow, empty)


def damage(work: Path, whole: Whole, chance: random.Random) -> list[Path]:
    """Do one kind of damage, and return the files that are not what they were."""
    file = work / chance.choice(whole.files())
    kind = chance.randrange(len(CHANGES) + 3)
    if kind < len(CHANGES):
        before = file.read_bytes()
        if before:
            file.write_bytes(CHANGES[kind](before, chance))
        return [file] if before != file.read_bytes() else []
    if kind == len(CHANGES):
        file.unlink()
        return [file]
    folder = kind == len(CHANGES) + 1 and work / "nodes" in file.parents
    one = file.parent if folder else file
    other = chance.choice(sorted((work / "nodes").glob("*/*" if folder else "*/*/*")))
    swap(one, other)
    return [one, other] if one != other else []


def swap(one: Path, other: Path) -> None:
    """Give each the name of the other."""
    aside = one.with_name("aside")
    if one != other:
        for source, target in ((one, aside), (other, one), (aside, other)):
            source.rename(target)


@pytest.fixture(scope="module", params=["log", "database"])
def whole(request: pytest.FixtureRequest, memory: Path) -> Whole:
    """A directory of a session that was killed, its rows still in the log, or moved into the database."""
    path = memory / request.param / "work"
    subprocess.run([sys.executable, everything.__file__, str(path)], check=False, timeout=60)
    if request.param == "database":
        Catalog.open(open_workdir(path)).close()
    values, made = everything.compute(Path(shutil.copytree(path, path.with_name("other"))))
    assert made == 0, "the killed session had finished all of it"
    assert verify(path).findings == []
    return Whole(path, values)


def find(work: Path) -> list[str]:
    """Return what verify says, one text for each finding."""
    try:
        return [f"{finding.node} {finding.file}: {finding.reason}" for finding in verify(work).findings]
    except WorkingDirectoryError as error:  # holdfast.json: everything refuses the directory
        return [str(error)]


def judge_reading(work: Path, whole: Whole, damaged: list[Path], findings: list[str]) -> None:
    """Ask for all values: they are right, or there is an error that names what is damaged."""
    error: HoldfastError | None = None
    try:
        values, made = everything.compute(work)
    except (StoreDamaged, WorkingDirectoryError, OwnershipError) as raised:
        error = raised
    if error is not None:
        assert findings or isinstance(error, OwnershipError), f"{error} was not found by verify"
        assert any(is_named(file, str(error)) for file in damaged), f"{error} does not name {damaged}"
    else:
        assert everything.are_equal(values, whole.values), f"a wrong value; verify says {findings}"
        is_told = findings or any(file.name == "catalog.db-wal" for file in damaged)
        assert is_told or not made, f"{made} calls were made again for {damaged}, of which verify says nothing"


def is_named(file: Path, message: str) -> bool:
    """Return whether a message names a file, or the node in whose store it is."""
    return file.name in message or any(part in message for part in file.parts if len(part) == 64)


def judge_repair(work: Path, whole: Whole, damaged: list[Path]) -> None:
    """Repair: nothing damaged is left, and a run makes again what was taken out."""
    if any(file.name in ("holdfast.json", "owner.json") for file in damaged):
        return  # not to be repaired: whose directory it is cannot be made up
    repair(work)
    assert find(work) == []
    values, made = everything.compute(work)
    assert everything.are_equal(values, whole.values)
    assert find(work) == []
    if all(work / "nodes" in file.parents for file in damaged):
        assert made <= 2 * len(damaged), f"{made} calls were made again for {damaged}"


@pytest.mark.crash
def test_damage_gives_an_error_that_names_it_and_never_a_wrong_value(whole: Whole, quick_path: Path) -> None:
    warnings.simplefilter("ignore")
    found = 0
    for number in range(DAMAGES // 2):
        chance = random.Random(f"holdfast rot {number}")
        work = whole.copy(quick_path / "work")
        damaged = damage(work, whole, chance)
        if damaged:
            findings = find(work)
            found += bool(findings)
            is_repaired = number % REPAIRED == 0
            copy = Path(shutil.copytree(work, quick_path / "copy")) if is_repaired else work
            judge_reading(copy, whole, damaged, findings)
            if is_repaired:
                judge_repair(work, whole, damaged)
                shutil.rmtree(copy)
        shutil.rmtree(work)
    assert found > DAMAGES // 4


@pytest.mark.crash
def test_a_flip_in_the_log_is_found_but_in_the_last_transaction(whole: Whole, quick_path: Path) -> None:
    work = whole.copy(quick_path / "work")
    log = work / "catalog.db-wal"
    before = log.read_bytes() if log.exists() else b""
    if before:
        chance = random.Random("holdfast log")
        for place in (0, 20, 40, *(chance.randrange(len(before) // 2) for _ in range(30))):
            log.write_bytes(before[:place] + bytes([before[place] ^ 1 << chance.randrange(8)]) + before[place + 1 :])
            assert any("catalog.db-wal" in finding for finding in find(work)), f"byte {place} of the log"
        findings = [finding.file for finding in repair(work).findings]
        assert str(log) in findings
        assert everything.are_equal(everything.compute(work)[0], whole.values)


@pytest.mark.crash
@pytest.mark.parametrize("change", [None, flip, zero, cut, grow, empty])
def test_no_file_of_a_store_can_be_damaged_unseen(
    whole: Whole, quick_path: Path, change: Callable[[bytes, random.Random], bytes] | None
) -> None:
    work = whole.copy(quick_path / "work")
    files = [work / file for file in whole.files() if file.parts[0] in ("nodes", "checkpoints")]
    assert len(files) > 12
    for file in files:
        if file.suffix == ".writer" or (change is None and file.suffix == ".state"):
            continue  # a claim holds nothing, and a generation that is gone is as good as one never written
        before = file.read_bytes()
        file.unlink()
        if change is not None:
            file.write_bytes(change(before, random.Random(file.name)))
        assert any(is_named(file, finding) for finding in find(work)), f"{file} is damaged, and that was not found"
        file.write_bytes(before)
    assert find(work) == []


@pytest.mark.crash
def test_stores_that_changed_places_give_an_error_and_never_the_value_of_the_other(
    whole: Whole, quick_path: Path
) -> None:
    work = whole.copy(quick_path / "work")
    one, other = sorted({file.parent for file in (work / "nodes").glob("*/*/data.npy")})[:2]
    swap(one, other)
    findings = find(work)
    assert any(one.name in finding for finding in findings)
    assert any(other.name in finding for finding in findings)
    with pytest.raises(StoreDamaged, match=r"data\.npy would be another array"):
        everything.compute(work)


@pytest.mark.crash
def test_a_damaged_store_is_found_beside_a_catalog_that_cannot_be_read(whole: Whole, quick_path: Path) -> None:
    work = whole.copy(quick_path / "work")
    store = next(iter((work / "nodes").glob("*/*/data.xdr")))
    store.write_bytes(store.read_bytes()[:-1])
    (work / "catalog.db").write_bytes(b"no database" * 1000)
    (work / "catalog.db-wal").unlink(missing_ok=True)
    assert any(store.parent.name in finding for finding in find(work))
    judge_repair(work, whole, [store, work / "catalog.db"])
