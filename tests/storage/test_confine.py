from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from holdfast.errors import InvalidData
from holdfast.storage.confine import make_folder, open_within, remove


def test_a_plain_file_is_opened(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "b").write_bytes(b"x")
    with open_within(tmp_path, ("a", "b")) as stream:
        assert stream.read() == b"x"


def test_no_link_is_followed(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "b").write_bytes(b"x")
    (tmp_path / "link").symlink_to(tmp_path / "a")
    (tmp_path / "a" / "link").symlink_to(tmp_path / "a" / "b")
    for inner in (("link", "b"), ("a", "link")):
        with pytest.raises(OSError, match="link"), open_within(tmp_path, inner):
            pass


def test_a_pipe_is_neither_opened_nor_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(InvalidData, match="no plain file"), open_within(tmp_path, ("pipe",)):
        pass


def test_no_descriptor_is_left_open(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    before = len(os.listdir("/dev/fd"))
    for inner in (("pipe",), ("missing",), ("missing", "file")):
        with pytest.raises((InvalidData, OSError)), open_within(tmp_path, inner):
            pass
    assert len(os.listdir("/dev/fd")) == before


def test_removing_does_not_reach_through_links(tmp_path: Path) -> None:
    (tmp_path / "kept" / "deep").mkdir(parents=True)
    (tmp_path / "kept" / "file").write_bytes(b"x")
    (tmp_path / "gone" / "deep").mkdir(parents=True)
    (tmp_path / "gone" / "deep" / "file").write_bytes(b"x")
    (tmp_path / "gone" / "folder").symlink_to(tmp_path / "kept")
    (tmp_path / "gone" / "deep" / "link").symlink_to(tmp_path / "kept" / "file")
    remove(tmp_path / "gone")
    assert sorted(os.listdir(tmp_path)) == ["kept"]
    assert sorted(os.listdir(tmp_path / "kept")) == ["deep", "file"]


def test_a_link_in_the_place_of_a_folder_is_refused(tmp_path: Path) -> None:
    make_folder(tmp_path / "a")
    make_folder(tmp_path / "a")
    (tmp_path / "link").symlink_to(tmp_path / "a")
    with pytest.raises(FileExistsError):
        make_folder(tmp_path / "link")


SWEEP = """
import sys
from pathlib import Path
from holdfast.storage.confine import remove
sys.stdin.readline()
for place in sorted(Path(sys.argv[1]).iterdir()):
    try:
        remove(place)
    except FileNotFoundError:
        pass
"""


def test_several_may_remove_the_same_at_once(tmp_path: Path, start: Callable[..., subprocess.Popen[str]]) -> None:
    for number in range(30):
        inner = tmp_path / "swept" / str(number) / "deep"
        inner.mkdir(parents=True)
        for name in range(20):
            (inner / str(name)).touch()
    sweepers = [start(SWEEP, tmp_path / "swept") for _ in range(3)]
    for sweeper in sweepers:
        assert sweeper.stdin is not None
        print(file=sweeper.stdin, flush=True)
    assert [sweeper.wait(60) for sweeper in sweepers] == [0, 0, 0]
    assert list((tmp_path / "swept").iterdir()) == []
