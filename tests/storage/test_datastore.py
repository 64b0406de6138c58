from __future__ import annotations

import os
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from holdfast.errors import InvalidData, NotFound, OwnershipError, StoreDamaged, UnsupportedValue
from holdfast.model.content import encode
from holdfast.storage.datastore import DataStore, get_datastore, lock_store
from holdfast.storage.owner import current_owner
from holdfast.storage.ownership import Ownership
from holdfast.storage.store import read_store, store_path
from holdfast.storage.workdir import WorkDirectory, open_workdir

UID = "ab" * 32


@pytest.fixture
def ownership(workdir: WorkDirectory) -> Iterator[Ownership]:
    held = Ownership.acquire(workdir, current_owner("test"))
    yield held
    held.release()


@pytest.fixture
def store(workdir: WorkDirectory, ownership: Ownership) -> DataStore:
    return get_datastore(workdir, UID, ownership=ownership)


def test_a_value_is_written_once_and_read_after_reopening(store: DataStore) -> None:
    with store:
        handle = store.open("w")
        handle.write(encode({"x": np.arange(3), "y": "text"}))
        assert not store.exists
        handle.commit()
    for _ in range(2):
        with store:
            value = store.open("r").read()
        assert value["y"] == "text"
        assert value["x"].tolist() == [0, 1, 2]


@pytest.mark.parametrize("store_type", ["numpy", "xdr"])
@pytest.mark.parametrize("shape", [(10, 7), (0, 3), ()])
def test_an_array_that_came_in_blocks_is_the_store_of_the_whole(
    workdir: WorkDirectory, ownership: Ownership, store_type: str, shape: tuple[int, ...]
) -> None:
    array = np.arange(np.prod(shape), dtype="<i4").reshape(shape)
    names = "aa" * 32, "bb" * 32
    whole, blocks = (get_datastore(workdir, name, store_type=store_type, ownership=ownership) for name in names)
    with whole:
        handle = whole.open("w")
        handle.write(encode(array))
        handle.commit()
    with blocks:
        handle = blocks.open("w")
        handle.declare("<i4", shape)
        for block in np.array_split(array.reshape(-1), 3):
            handle.append(block.astype(">i4"))
        handle.commit()
    folders = [store_path(workdir, name) for name in names]
    assert len(os.listdir(folders[0])) == 2
    for name in os.listdir(folders[0]):
        assert (folders[0] / name).read_bytes() == (folders[1] / name).read_bytes()
    assert np.array_equal(blocks.open().read(), array)


def test_writing_in_blocks_takes_the_memory_of_a_block(store: DataStore) -> None:
    block = np.zeros(100_000)
    handle = store.open("w")
    handle.declare("<f8", (100, 100_000))
    tracemalloc.start()
    for _ in range(100):
        handle.append(block)
    handle.commit()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    store.close()
    assert peak < 2_000_000
    assert store.open().read().shape == (100, 100_000)


def test_blocks_that_do_not_fit_what_was_declared_are_refused(store: DataStore, workdir: WorkDirectory) -> None:
    handle = store.open("w")
    with pytest.raises(InvalidData, match="Use declare"):
        handle.append(np.zeros(1))
    handle.declare("<f8", (3,))
    with pytest.raises(InvalidData, match="1 elements of <i8, expected at most 3 of <f8"):
        handle.append(np.zeros(1, "<i8"))
    with pytest.raises(InvalidData, match="4 elements"):
        handle.append(np.zeros(4))
    handle.append(np.zeros(2))
    with pytest.raises(InvalidData, match="lacks 1 of"):
        handle.commit()
    with pytest.raises(InvalidData, match="written once"):
        handle.write(encode(1))
    store.close()
    assert not store.exists
    assert os.listdir(workdir.tmp) == []


def test_a_format_that_wants_the_whole_array_says_so(workdir: WorkDirectory, ownership: Ownership) -> None:
    store = get_datastore(workdir, UID, store_type="hdf5", ownership=ownership)
    with store, pytest.raises(UnsupportedValue, match="kept as hdf5"):
        store.open("w").declare("<f8", (3,))


def test_closing_without_committing_leaves_nothing(store: DataStore, workdir: WorkDirectory) -> None:
    for _ in range(2):
        store.open("w").write(encode(np.arange(5)))
        assert len(os.listdir(workdir.tmp)) == 1
        store.close()
        assert os.listdir(workdir.tmp) == []
    store.close()
    assert not store.exists


def test_where_the_name_is_taken_meanwhile_the_store_there_stays_and_ours_is_removed(
    store: DataStore, workdir: WorkDirectory, ownership: Ownership
) -> None:
    other = get_datastore(workdir, UID, ownership=ownership)
    first, second = store.open("w"), other.open("w")
    for handle in (first, second):
        handle.write(encode(np.arange(5)))
    first.commit()
    before = os.stat(store_path(workdir, UID)).st_ino
    assert second.commit().store == UID
    assert os.stat(store_path(workdir, UID)).st_ino == before
    assert os.listdir(workdir.tmp) == []


def test_the_state_is_looked_at_before_anything_is_opened(store: DataStore, workdir: WorkDirectory) -> None:
    with pytest.raises(NotFound, match="Nothing is stored"):
        store.open("r")
    with pytest.raises(InvalidData, match="'a' is no mode"):
        store.open("a")  # type: ignore[call-overload]
    handle = store.open("w")
    with pytest.raises(InvalidData, match="open already"):
        store.open("r")
    handle.write(encode(np.arange(5)))
    handle.commit()
    store.close()
    with pytest.raises(InvalidData, match="there already"):
        store.open("w")
    assert store.open("r").metadata == read_store(workdir, UID)
    store.close()
    (store_path(workdir, UID) / "data.npy").write_bytes(b"")
    with pytest.raises(StoreDamaged, match=UID):
        store.open("r").read()


def test_a_store_without_an_owner_can_only_be_read(workdir: WorkDirectory) -> None:
    with pytest.raises(OwnershipError, match="lock_store"):
        get_datastore(workdir, UID).open("w")


def test_ownership_is_confirmed_and_not_believed(tmp_path: Path, workdir: WorkDirectory, ownership: Ownership) -> None:
    store = get_datastore(workdir, UID)
    elsewhere = Ownership.acquire(open_workdir(tmp_path / "other"), current_owner("other"))
    with pytest.raises(ValueError, match="The ownership is of"):
        lock_store(store, elsewhere)
    elsewhere.release()
    owned = lock_store(store, ownership)
    ownership.release()
    with pytest.raises(OwnershipError, match="was released"):
        owned.open("w")


def test_a_late_owner_publishes_nothing(workdir: WorkDirectory, ownership: Ownership) -> None:
    handle = get_datastore(workdir, UID, ownership=ownership).open("w")
    handle.write(encode([1.0]))
    workdir.owner_path.write_text(workdir.owner_path.read_text().replace('"test"', '"successor"'))
    with pytest.raises(OwnershipError, match="taken from session test by session successor of process") as refused:
        handle.commit()
    assert refused.value.process == os.getpid()
    assert not get_datastore(workdir, UID).exists


def test_a_session_beside_others_may_own_a_store(workdir: WorkDirectory) -> None:
    beside = Ownership.acquire(workdir, current_owner("beside"), exclusive=False)
    with get_datastore(workdir, UID, ownership=beside) as store:
        handle = store.open("w")
        handle.write(encode([1.0]))
        handle.commit()
    assert get_datastore(workdir, UID).open("r").read() == [1.0]
    beside.release()
