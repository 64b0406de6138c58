from __future__ import annotations

import errno
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from holdfast.errors import StoreDamaged, StoreFailure
from holdfast.model.content import encode
from holdfast.storage.staging import read_staged, stage, sweep_tmp
from holdfast.storage.stamp import stamp_of
from holdfast.storage.workdir import WorkDirectory


def test_what_is_staged_can_be_looked_at_by_name(workdir: WorkDirectory) -> None:
    content = encode({"b": np.arange(5), "a": [np.ones((2, 2)), {"c": np.zeros(0)}], "text": "x"})
    staged = stage(workdir.path, content)
    assert os.listdir(workdir.tmp) == [staged.name]
    assert read_staged(workdir, staged.name).metadata == staged.metadata
    assert staged.metadata.digest == content.digest


def test_files_stay_open_until_they_are_flushed_if_that_is_left_to_the_publisher(workdir: WorkDirectory) -> None:
    flushed, left = stage(workdir.path, encode(np.arange(9))), stage(workdir.path, encode(np.arange(9)), flush=False)
    assert flushed.unflushed is None
    assert left.unflushed is not None
    assert left.unflushed.open_files == 2
    assert read_staged(workdir, left.name).metadata == left.metadata == flushed.metadata
    left.unflushed.flush()
    assert left.unflushed.open_files == 0


def test_every_file_has_the_stamp_it_had_when_it_was_written(workdir: WorkDirectory) -> None:
    staged = stage(workdir.path, encode({"a": np.arange(5), "b": np.ones(3)}))
    assert staged.stamps.keys() == {file.digest for file in staged.metadata.files}
    for file in staged.metadata.files:
        with open(workdir.tmp / staged.name / file.name, "rb") as stream:
            assert stamp_of(stream) == staged.stamps[file.digest]


@pytest.mark.parametrize("name", ["", ".", "..", "../nodes", "a/b", "/etc", "x" * 200, "é", "-.\0"])
def test_names_that_nobody_staged_are_refused(workdir: WorkDirectory, name: str) -> None:
    with pytest.raises(StoreDamaged):
        read_staged(workdir, name)


@pytest.mark.parametrize("error", [errno.ENOSPC, errno.EIO, errno.EDQUOT])
@pytest.mark.parametrize("step", range(4))
def test_staging_that_is_refused_leaves_nothing_and_says_what_to_do(
    workdir: WorkDirectory, monkeypatch: pytest.MonkeyPatch, error: int, step: int
) -> None:
    from holdfast.storage import flush

    flushes = 0
    true_fsync = os.fsync

    def refuse(descriptor: int) -> None:
        nonlocal flushes
        if flushes == step:
            raise OSError(error, os.strerror(error))
        flushes += 1
        true_fsync(descriptor)

    monkeypatch.setattr(flush.os, "fsync", refuse)
    with pytest.raises(StoreFailure, match=f"{workdir.path}.*run the same again") as failure:
        stage(workdir.path, encode({"a": np.arange(10), "b": 1}))
    assert failure.value.errno == error
    assert os.listdir(workdir.tmp) == []


def test_staging_where_there_is_no_directory_says_so(tmp_path: Path) -> None:
    with pytest.raises(StoreFailure, match="nowhere"):
        stage(tmp_path / "nowhere", encode(1))


STAGE = """
import os, signal, sys
from holdfast.model.content import encode
from holdfast.storage.stamp import stamp_of
from holdfast.storage.staging import stage
print(stage(sys.argv[1], encode(["x"])).name, flush=True)
sys.stdin.readline()
"""


def test_sweeping_takes_what_the_dead_left_and_nothing_of_the_living(
    workdir: WorkDirectory, start: Callable[..., subprocess.Popen[str]]
) -> None:
    living, dying = start(STAGE, workdir.path), start(STAGE, workdir.path)
    assert living.stdout is not None
    assert dying.stdout is not None
    kept = {living.stdout.readline().strip(), stage(workdir.path, encode(1)).name, "someone elses"}
    assert dying.stdout.readline()
    dying.kill()
    dying.wait()
    (workdir.tmp / "someone elses").write_text("x")
    (workdir.tmp / "holdfast.json.0123456789abcdef").write_text("x")
    assert sweep_tmp(workdir) == 2
    assert set(os.listdir(workdir.tmp)) == kept
