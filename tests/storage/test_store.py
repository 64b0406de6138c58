from __future__ import annotations

import errno
import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from holdfast.errors import NotFound, StoreDamaged
from holdfast.model.canonical import array_digest
from holdfast.model.content import Content, array_token, decode, encode
from holdfast.storage import store as store_module
from holdfast.storage.publish import publish
from holdfast.storage.staging import stage
from holdfast.storage.store import (
    open_array,
    read_store,
    read_text,
    size_of,
    store_path,
    verify_store,
)
from holdfast.storage.workdir import WorkDirectory

UID = "ab" * 32

VALUES: dict[str, Any] = {
    "array": np.arange(24.0).reshape(2, 3, 4),
    "large": np.arange(300_000.0),
    "zero-dimensional": np.array(5, "<i4"),
    "empty": np.zeros((0, 3)),
    "strings": np.array(["a", "bcd"]),
    "times": np.array(["2026-01-01"], "<M8[ns]"),
    "mixture": {"b": np.arange(5), "a": [np.ones((2, 2)), {"c": np.zeros(0)}], "text": "x", "nothing": None},
    "text": ["x" * 1000] * 200,
    "bytes": bytes(range(256)) * 1000,
}


def keep(workdir: WorkDirectory, value: Any, uid: str = UID) -> Content:
    """Store a value, and return its content."""
    content = encode(value)
    publish(workdir, stage(workdir.path, content).name, uid)
    return content


def places_of(workdir: WorkDirectory, uid: str = UID) -> dict[str, Path]:
    """Where each array is, as the catalog knows it."""
    return {file.digest: store_path(workdir, uid) / file.name for file in read_store(workdir, uid).arrays}


def value_of(workdir: WorkDirectory, files: dict[str, Path], uid: str = UID) -> Any:
    return decode(read_text(workdir, uid), lambda digest: open_array(files[digest], digest=digest))


def only_file(workdir: WorkDirectory, name: str = "data.npy", uid: str = UID) -> Path:
    return store_path(workdir, uid) / name


@pytest.mark.parametrize("name", VALUES)
def test_what_was_stored_is_read_back(workdir: WorkDirectory, name: str) -> None:
    content = keep(workdir, VALUES[name])
    assert read_text(workdir, UID, digest=content.digest) == content.text
    assert encode(value_of(workdir, places_of(workdir))).text == content.text
    assert verify_store(workdir, UID).digest == content.digest


def test_a_plain_array_is_one_file_and_metadata_that_people_can_read(workdir: WorkDirectory) -> None:
    array = np.arange(6.0).reshape(2, 3)
    keep(workdir, array)
    folder = store_path(workdir, UID)
    assert sorted(os.listdir(folder)) == ["data.npy", "metadata.json"]
    record = json.loads((folder / "metadata.json").read_text())
    assert (record["file_type"], record["dtype"], record["shape"]) == ("numpy", "<f8", [2, 3])
    assert record["files"]["data.npy"]["digest"] == array_digest(array)
    assert np.array_equal(np.load(folder / "data.npy", allow_pickle=False), array)


def test_equal_values_give_equal_bytes_whatever_their_order(workdir: WorkDirectory) -> None:
    first = {"x": np.arange(3), "y": np.ones(2)}
    keep(workdir, first, "aa" * 32)
    keep(workdir, dict(reversed(first.items())), "bb" * 32)
    folders = [store_path(workdir, uid * 32) for uid in ("aa", "bb")]
    names = sorted(os.listdir(folders[0]))
    assert names == ["array-0.npy", "array-1.npy", "data.json", "metadata.json"]
    assert all((folders[0] / name).read_bytes() == (folders[1] / name).read_bytes() for name in names)


def test_arrays_that_travel_otherwise_may_be_left_out(workdir: WorkDirectory) -> None:
    content = encode([np.arange(3), np.arange(4)])
    digest = array_digest(np.arange(4))
    staged = stage(workdir.path, Content(content.text, {digest: content.arrays[digest]}))
    publish(workdir, staged.name, UID)
    assert [file.digest for file in read_store(workdir, UID).arrays] == [digest]
    assert read_text(workdir, UID) == content.text


def test_a_plain_array_that_travels_otherwise_leaves_its_text(workdir: WorkDirectory) -> None:
    content = encode(np.arange(3))
    publish(workdir, stage(workdir.path, Content(content.text, {})).name, UID)
    assert read_text(workdir, UID, digest=content.digest) == content.text


def test_large_arrays_are_mapped_and_all_are_read_only(workdir: WorkDirectory) -> None:
    keep(workdir, VALUES["large"])
    large = open_array(only_file(workdir))
    assert type(large) is np.ndarray
    assert type(large.base.base.obj if isinstance(large.base.base, memoryview) else large.base).__name__ != "NoneType"
    keep(workdir, VALUES["array"], "cd" * 32)
    small = open_array(only_file(workdir, uid="cd" * 32))
    for array in (large, small):
        with pytest.raises(ValueError, match="read-only"):
            array[...] = 0


def test_where_nothing_more_can_be_mapped_arrays_are_read(
    workdir: WorkDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    import mmap

    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.ENOMEM, "no more maps")

    keep(workdir, VALUES["large"])
    monkeypatch.setattr(mmap, "mmap", refuse)
    assert np.array_equal(open_array(only_file(workdir)), VALUES["large"])


def test_the_size_of_a_content_counts_text_and_arrays() -> None:
    assert size_of(encode(np.zeros(10))) == len(encode(np.zeros(10)).text) + 80


# damage


def flip(path: Path, position: int) -> None:
    data = bytearray(path.read_bytes())
    data[position] ^= 1
    path.write_bytes(data)


DAMAGES: dict[str, Callable[[Path], object]] = {
    "missing": Path.unlink,
    "emptied": lambda path: path.write_bytes(b""),
    "cut": lambda path: path.write_bytes(path.read_bytes()[:-1]),
    "grown": lambda path: path.write_bytes(path.read_bytes() + b"\0"),
    "zeroed": lambda path: path.write_bytes(bytes(path.stat().st_size)),
    "flipped at the start": lambda path: flip(path, 0),
    "flipped in the middle": lambda path: flip(path, path.stat().st_size // 2),
    "flipped at the end": lambda path: flip(path, -1),
    "a link": lambda path: (path.rename(path.parent.parent / "moved"), path.symlink_to(path.parent.parent / "moved")),
    "a folder": lambda path: (path.unlink(), path.mkdir()),
    "a pipe": lambda path: (path.unlink(), os.mkfifo(path)),
}


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("name", ["data.npy", "metadata.json", "array-0.npy", "data.json", "large/data.npy"])
def test_damage_is_an_error_that_names_node_and_file_and_never_a_value(
    workdir: WorkDirectory, name: str, damage: str
) -> None:
    value = VALUES["large"] if "/" in name else VALUES["array"] if name == "data.npy" else VALUES["mixture"]
    keep(workdir, value)
    path = store_path(workdir, UID) / name.rpartition("/")[2]
    places = places_of(workdir)
    DAMAGES[damage](path)
    with pytest.raises(StoreDamaged, match=rf"{UID}.*{path.name}"):
        value_of(workdir, places)
    with pytest.raises(StoreDamaged, match=UID):
        verify_store(workdir, UID)


def test_a_store_that_is_gone_is_an_error(workdir: WorkDirectory) -> None:
    with pytest.raises(StoreDamaged, match=UID):
        read_text(workdir, UID)
    with pytest.raises(StoreDamaged, match=UID):
        open_array(only_file(workdir))


def test_swapped_stores_are_seen_by_the_digest_that_the_catalog_states(workdir: WorkDirectory) -> None:
    first, second = keep(workdir, [1] * 9, "aa" * 32), keep(workdir, np.arange(9), "bb" * 32)
    one, other = store_path(workdir, "aa" * 32), store_path(workdir, "bb" * 32)
    one.rename(workdir.tmp / "x")
    other.rename(one)
    (workdir.tmp / "x").rename(other)
    with pytest.raises(StoreDamaged, match="another value"):
        read_text(workdir, "aa" * 32, digest=first.digest)
    with pytest.raises(StoreDamaged, match="another array"):
        open_array(one / "data.npy", digest="00" * 32)
    assert read_text(workdir, "aa" * 32, digest=second.digest) == second.text


def test_damage_that_comes_after_a_good_reading_is_seen_by_the_next(workdir: WorkDirectory) -> None:
    keep(workdir, VALUES["array"])
    open_array(only_file(workdir))
    time.sleep(0.05)  # longer than the tick of the file system's clock
    flip(only_file(workdir), -1)
    with pytest.raises(StoreDamaged):
        open_array(only_file(workdir))
    assert open_array(only_file(workdir), verify=False).shape == (2, 3, 4)


def test_without_comparing_every_byte_headers_and_sizes_are_checked_all_the_same(workdir: WorkDirectory) -> None:
    keep(workdir, VALUES["large"])
    header = only_file(workdir).read_bytes()[:128]
    with open(only_file(workdir), "r+b") as stream:
        stream.write(header.replace(b"<f8", b"<i8"))
    with pytest.raises(StoreDamaged, match=r"holds <i8 \[300000\] instead of <f8"):
        open_array(only_file(workdir), verify=False)


@pytest.mark.parametrize(
    "path",
    [
        "/etc/passwd",
        "nodes/ab/{uid}/../../../../x.npy",
        "nodes/ab/{uid}/metadata.json",
        "elsewhere/ab/{uid}/data.npy",
        "nodes/ab/short/data.npy",
        "nodes/../{uid}/data.npy",
        "nodes/ab/{uid}/array-0.npy",
        "",
    ],
)
def test_no_path_leads_out_of_the_stores(workdir: WorkDirectory, path: str) -> None:
    keep(workdir, VALUES["array"])
    with pytest.raises(StoreDamaged):
        open_array(workdir.path / path.format(uid=UID))


@pytest.mark.parametrize("name", ["", "ab", "../../etc", "AB" * 32, "ab" * 31 + "a/", "ab" * 32 + "\n"])
def test_names_that_are_no_names_of_stores_are_refused(workdir: WorkDirectory, name: str) -> None:
    with pytest.raises(StoreDamaged):
        store_path(workdir, name)


@pytest.mark.parametrize("part", ["ab", UID])
def test_a_folder_of_a_store_that_leads_elsewhere_is_not_followed(workdir: WorkDirectory, part: str) -> None:
    keep(workdir, VALUES["array"])
    folder = workdir.nodes / "ab" if part == "ab" else store_path(workdir, UID)
    elsewhere = workdir.path.parent / "elsewhere"
    folder.rename(elsewhere)
    folder.symlink_to(elsewhere)
    with pytest.raises(StoreDamaged):
        open_array(only_file(workdir))
    with pytest.raises(StoreDamaged):
        read_text(workdir, UID)


HOSTILE: dict[str, tuple[str, str]] = {
    "a newer version": ('"version": 1', '"version": 2'),
    "no files": ('"files"', '"folders"'),
    "a file elsewhere": ('"data.npy"', '"../../../x"'),
    "an object array": ('{"format": "numpy", "dtype": "<f8"', '{"format": "numpy", "dtype": "|O"'),
    "a huge array": ("[2, 3, 4]", f"[{2**62}, {2**62}]"),
    "a negative size": ("[2, 3, 4]", "[2, -3, 4]"),
    "an unknown format": ('{"format": "numpy"', '{"format": "pickle"'),
    "another size": ('"size": 320', '"size": 321'),
    "another digest": ('"digest": "', '"digest": "0000'),
    "deep brackets": ('"version": 1', '"version": ' + "[" * 100_000),
    "blanks": ("\n", "\n "),
}


@pytest.mark.parametrize("what", HOSTILE)
def test_hostile_metadata_are_refused(workdir: WorkDirectory, what: str) -> None:
    keep(workdir, VALUES["array"])
    path = store_path(workdir, UID) / "metadata.json"
    old, new = HOSTILE[what]
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))
    with pytest.raises((StoreDamaged, NotFound)):
        open_array(only_file(workdir))


def test_reading_verifies_each_state_of_a_file_once(workdir: WorkDirectory, monkeypatch: pytest.MonkeyPatch) -> None:
    keep(workdir, VALUES["array"])
    compared: list[str] = []
    true_compare = store_module._compare

    def compare(root: Path, inner: Any, file: Any) -> None:
        compared.append(file.name)
        true_compare(root, inner, file)

    monkeypatch.setattr(store_module, "_compare", compare)
    for _ in range(3):
        open_array(only_file(workdir))
    assert compared == ["data.npy"]


def test_a_token_of_the_text_and_the_file_agree(workdir: WorkDirectory) -> None:
    content = keep(workdir, VALUES["array"])
    token = array_token(content.text)
    assert token is not None
    assert array_digest(open_array(only_file(workdir))) == token[2]
