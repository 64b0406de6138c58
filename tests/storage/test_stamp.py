from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from holdfast.storage.stamp import Stamp, stamp_of

TICK = 0.05
"""Longer than the tick of the file system's clock."""


def look(path: Path) -> Stamp:
    with open(path, "rb") as stream:
        return stamp_of(stream)


def flip(path: Path) -> None:
    with open(path, "r+b") as stream:
        stream.write(b"X")


def flip_and_set_the_time_back(path: Path) -> None:
    before = path.stat()
    flip(path)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def replace(path: Path) -> None:
    other = path.with_name("other")
    other.write_bytes(path.read_bytes())
    os.utime(other, ns=(path.stat().st_atime_ns, path.stat().st_mtime_ns))
    other.rename(path)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    (tmp_path / "folder").mkdir()
    path = tmp_path / "folder" / "data"
    path.write_bytes(b"abc")
    return path


@pytest.mark.parametrize("change", [flip, flip_and_set_the_time_back, replace, Path.touch])
def test_whoever_writes_to_a_file_changes_its_stamp(path: Path, change: Callable[[Path], None]) -> None:
    before = look(path)
    time.sleep(TICK)
    change(path)
    assert look(path) != before


def test_reading_and_renaming_its_folder_do_not_change_it(path: Path) -> None:
    before = look(path)
    time.sleep(TICK)
    path.read_bytes()
    path.parent.rename(path.parent.with_name("elsewhere"))
    assert look(path.parent.with_name("elsewhere") / "data") == before
