"""Whatever was acknowledged before a kill is found after it, whole."""

from __future__ import annotations

import os
import random
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from holdfast.errors import StoreDamaged
from holdfast.model.content import decode
from holdfast.storage.owner import current_owner
from holdfast.storage.ownership import Ownership
from holdfast.storage.staging import sweep_tmp
from holdfast.storage.store import open_array, read_text, store_path, verify_store
from holdfast.storage.workdir import open_workdir
from holdfast.storage.writer import CatalogWriter

WRITE = """
import hashlib, os, sys
import numpy as np
from holdfast.model.content import encode
from holdfast.storage.commit import GroupCommit
from holdfast.storage.owner import current_owner
from holdfast.storage.ownership import Ownership
from holdfast.storage.rows import CallRow
from holdfast.storage.staging import stage, sweep_tmp
from holdfast.storage.workdir import open_workdir

workdir = open_workdir(sys.argv[1])
ownership = Ownership.acquire(workdir, current_owner("writer"))
sweep_tmp(workdir)
commit = GroupCommit(workdir, durability=sys.argv[2], on_failure=lambda error: os._exit(3))
for number in range(int(sys.argv[3]), 10**9):
    key = hashlib.sha256(b"%d" % number).digest()
    if number % 10:
        content = encode([number])
        row, staged = CallRow(key, content.digest, content.text), []
    else:
        content = encode({"number": number, "array": np.full(100, number)})
        row, staged = CallRow(key, content.digest, None, key), [(stage(workdir.path, content).name, key.hex())]
    commit.append([row], staged, lambda number=number: os.write(1, b"%d\\n" % number))
    if number % 7 == 0:
        commit.urge()
"""


def key(number: int) -> bytes:
    import hashlib

    return hashlib.sha256(b"%d" % number).digest()


def check(path: Path, acknowledged: list[int]) -> None:
    """Open as the next session would, and read everything."""
    workdir = open_workdir(path)
    ownership = Ownership.acquire(workdir, current_owner("judge"))
    sweep_tmp(workdir)
    assert os.listdir(workdir.tmp) == []
    with CatalogWriter.open(workdir) as catalog:
        rows = catalog.find_calls([key(number) for number in acknowledged])
        for number in acknowledged:
            row = rows[key(number)]
            if row.text is not None:
                assert row.text == b"[%d]" % number
                continue
            assert row.store is not None
            text = read_text(workdir, row.store.hex(), digest=row.digest)

            def find(digest: str) -> object:
                place = catalog.find_arrays([bytes.fromhex(digest)])[bytes.fromhex(digest)]
                assert place.store is not None
                return open_array(store_path(workdir, place.store.hex()) / str(place.file), digest=digest)

            value = decode(text, find)  # type: ignore[arg-type]
            assert value["number"] == number
            assert value["array"].tolist() == [number] * 100
    for folder in workdir.nodes.iterdir():
        for store in folder.iterdir():
            verify_store(workdir, store.name)
    ownership.release()


@pytest.mark.parametrize("durability", ["power", "process"])
def test_what_was_acknowledged_before_a_kill_is_found_after_it(
    tmp_path: Path, start: Callable[..., subprocess.Popen[str]], durability: str
) -> None:
    chance = random.Random(durability)
    acknowledged: list[int] = []
    for _ in range(5):
        begin = acknowledged[-1] + 1 if acknowledged else 0
        program = start(WRITE, tmp_path / "work", durability, begin)
        assert program.stdout is not None
        acknowledged.append(int(program.stdout.readline()))
        time.sleep(chance.uniform(0.0, 0.3))
        program.kill()
        acknowledged += [int(line) for line in program.communicate()[0].splitlines() if line]
        check(tmp_path / "work", acknowledged)
    assert len(acknowledged) == len(set(acknowledged)) > 5


@pytest.mark.parametrize("delay", [0.0, 0.05, 0.1, 0.15, 0.2, 0.3])
def test_a_kill_at_the_very_beginning_leaves_a_directory_that_opens(
    tmp_path: Path, start: Callable[..., subprocess.Popen[str]], delay: float
) -> None:
    program = start(WRITE, tmp_path / "work", "power", 0)
    time.sleep(delay)
    program.kill()
    check(tmp_path / "work", [int(line) for line in program.communicate()[0].splitlines() if line])


def test_a_row_never_outlives_its_store(tmp_path: Path) -> None:
    """What the other tests rely on: a missing store would be noticed."""
    workdir = open_workdir(tmp_path)
    with pytest.raises(StoreDamaged):
        verify_store(workdir, "00" * 32)
