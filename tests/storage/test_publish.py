from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from holdfast.errors import StoreDamaged, StoreFailure
from holdfast.model.content import encode
from holdfast.storage import publish as publish_module
from holdfast.storage.publish import publish, publish_all
from holdfast.storage.staging import stage
from holdfast.storage.store import read_text, store_path, verify_store
from holdfast.storage.workdir import WorkDirectory

UID = "ab" * 32


def staged(workdir: WorkDirectory, value: Any) -> str:
    return stage(workdir.path, encode(value)).name


def test_a_published_store_has_its_uid_for_a_name_and_left_its_first_place(workdir: WorkDirectory) -> None:
    result = publish(workdir, staged(workdir, [1, 2]), UID)
    assert (result.store, result.conflict) == (UID, None)
    assert store_path(workdir, UID) == workdir.nodes / "ab" / UID
    assert os.listdir(workdir.tmp) == []
    assert read_text(workdir, UID) == b"[1,2]"


def test_the_same_content_again_keeps_what_is_there(workdir: WorkDirectory) -> None:
    publish(workdir, staged(workdir, np.arange(5)), UID)
    inode = store_path(workdir, UID).stat().st_ino
    result = publish(workdir, staged(workdir, np.arange(5)), UID)
    assert (result.store, result.conflict) == (UID, None)
    assert store_path(workdir, UID).stat().st_ino == inode
    assert os.listdir(workdir.tmp) == []


def test_other_content_destroys_nothing_and_is_reported(workdir: WorkDirectory) -> None:
    publish(workdir, staged(workdir, [1]), UID)
    for _ in range(2):
        result = publish(workdir, staged(workdir, [2]), UID)
        assert result.store == encode([2]).digest.hex()
        assert result.conflict == encode([1]).digest
    assert read_text(workdir, UID) == b"[1]"
    assert read_text(workdir, result.store) == b"[2]"
    assert os.listdir(workdir.tmp) == []


@pytest.mark.parametrize("damage", ["missing", "flipped", "cut", "no metadata"])
def test_a_broken_store_of_the_same_content_is_replaced(workdir: WorkDirectory, damage: str) -> None:
    publish(workdir, staged(workdir, np.arange(5)), UID)
    path = store_path(workdir, UID) / ("metadata.json" if damage == "no metadata" else "data.npy")
    data = path.read_bytes()
    if damage in ("missing", "no metadata"):
        path.unlink()
    else:
        path.write_bytes(data[:-1] + (b"" if damage == "cut" else b"\1"))
    result = publish(workdir, staged(workdir, np.arange(5)), UID)
    assert (result.store, result.conflict) == (UID, None)
    verify_store(workdir, UID)
    assert len(os.listdir(workdir.tmp)) == 1, "what was broken is set aside, for whoever wants to look"


@pytest.mark.parametrize("obstacle", ["empty folder", "file", "link"])
def test_what_is_no_store_gives_way(workdir: WorkDirectory, obstacle: str) -> None:
    place = store_path(workdir, UID)
    place.parent.mkdir()
    if obstacle == "empty folder":
        place.mkdir()
    elif obstacle == "file":
        place.write_text("x")
    else:
        place.symlink_to(workdir.path)
    assert publish(workdir, staged(workdir, [1]), UID).store == UID
    assert read_text(workdir, UID) == b"[1]"
    assert workdir.marker.exists()


def test_many_are_published_at_once(workdir: WorkDirectory) -> None:
    pairs = [(staged(workdir, [i]), f"{i:02x}" * 32) for i in range(20)]
    assert [result.store for result in publish_all(workdir, pairs)] == [uid for _, uid in pairs]
    assert publish_all(workdir, []) == []


def test_folders_are_flushed_before_publishing_returns(workdir: WorkDirectory, monkeypatch: pytest.MonkeyPatch) -> None:
    flushed: list[Path] = []
    monkeypatch.setattr(publish_module, "flush_folder", flushed.append)
    publish_all(workdir, [(staged(workdir, [1]), "aa" * 32), (staged(workdir, [2]), "aa" + "bb" * 31)])
    assert flushed == [workdir.nodes / "aa", workdir.nodes]
    publish(workdir, staged(workdir, [1]), "aa" * 32)
    assert flushed[2:] == [workdir.nodes / "aa", workdir.nodes], "whoever made them may have been killed before"


def test_a_flush_that_fails_is_a_failure(workdir: WorkDirectory, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path) -> None:
        raise OSError(errno.EIO, "broken")

    monkeypatch.setattr(publish_module, "flush_folder", refuse)
    with pytest.raises(StoreFailure, match="broken"):
        publish(workdir, staged(workdir, [1]), UID)


def test_a_staged_store_that_is_gone_is_an_error(workdir: WorkDirectory) -> None:
    name = staged(workdir, [1])
    publish(workdir, name, UID)
    with pytest.raises(StoreDamaged):
        publish(workdir, name, UID)


@pytest.mark.parametrize("uid", ["", "ab", "../" * 20 + "ab" * 2, "AB" * 32])
def test_a_uid_that_is_none_is_refused(workdir: WorkDirectory, uid: str) -> None:
    with pytest.raises(StoreDamaged):
        publish(workdir, staged(workdir, [1]), uid)


def test_a_link_in_the_place_of_the_folder_is_refused(workdir: WorkDirectory) -> None:
    elsewhere = workdir.path.parent / "elsewhere"
    elsewhere.mkdir()
    (workdir.nodes / "ab").symlink_to(elsewhere)
    with pytest.raises(StoreFailure):
        publish(workdir, staged(workdir, [1]), UID)
    assert os.listdir(elsewhere) == []
