from __future__ import annotations

import errno
import hashlib
import os
import sqlite3
import threading
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from holdfast.errors import HoldfastError, SessionClosed, StoreDamaged, StoreFailure
from holdfast.model.canonical import array_digest
from holdfast.model.content import encode
from holdfast.storage import commit as commit_module
from holdfast.storage.catalog import Catalog
from holdfast.storage.commit import GroupCommit
from holdfast.storage.rows import ArrayRow, CallRow, Conflict, NodeRow
from holdfast.storage.staging import stage
from holdfast.storage.store import open_array, read_text, store_path, verify_store
from holdfast.storage.workdir import WorkDirectory
from holdfast.storage.writer import CatalogWriter


def digest(text: object) -> bytes:
    return hashlib.sha256(str(text).encode()).digest()


def inline(data: bytes, shape: tuple[int, ...]) -> ArrayRow:
    array = np.frombuffer(data).reshape(shape)
    return ArrayRow(bytes.fromhex(array_digest(array)), "<f8", shape, data=data)


def call(name: object, text: bytes = b"[1]") -> CallRow:
    return CallRow(digest(name), hashlib.sha256(text).digest(), text)


def ignore() -> None:
    """For those who need not know."""


def append_all(commit: GroupCommit, recorder: Recorder, number: int) -> None:
    for i in range(number):
        commit.append([call(i)], [], recorder.note(i))


class Recorder:
    """Notes what a commit tells."""

    def __init__(self) -> None:
        self.acknowledged: list[object] = []
        self.failures: list[Exception] = []
        self.conflicts: list[Conflict] = []

    def note(self, name: object) -> Any:
        return lambda: self.acknowledged.append(name)


@pytest.fixture
def recorder() -> Recorder:
    return Recorder()


@pytest.fixture
def commit(workdir: WorkDirectory, recorder: Recorder) -> Iterator[GroupCommit]:
    opened = GroupCommit(workdir, on_failure=recorder.failures.append, on_conflict=recorder.conflicts.extend)
    yield opened
    opened.close()


def found(workdir: WorkDirectory, *names: object) -> set[bytes]:
    with Catalog.open(workdir, read_only=True) as catalog:
        return set(catalog.find_calls([digest(name) for name in names]))


def test_what_is_acknowledged_can_be_found(workdir: WorkDirectory, commit: GroupCommit) -> None:
    seen: list[bool] = []
    done = threading.Event()

    def acknowledge() -> None:
        seen.append(found(workdir, 1) == {digest(1)})
        done.set()

    commit.append([call(1)], [], acknowledge)
    assert done.wait(10)
    assert seen == [True]


def test_acknowledgements_come_in_order_and_once(commit: GroupCommit, recorder: Recorder) -> None:
    for i in range(500):
        commit.append([call(i)] if i % 3 else [], [], recorder.note(i))
    commit.flush()
    assert recorder.acknowledged == list(range(500))


def test_rows_that_come_together_are_one_transaction(
    commit: GroupCommit, recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes: list[int] = []
    true_write = CatalogWriter.write

    def write(self: CatalogWriter, rows: Any, confirm: Any) -> Any:
        kept = list(rows)
        sizes.append(len(kept))
        return true_write(self, kept, confirm)

    monkeypatch.setattr(CatalogWriter, "write", write)
    monkeypatch.setattr(commit_module, "GROUP_SECONDS", 5.0)
    for i in range(100):
        commit.append([call(i)], [], recorder.note(i))
    commit.flush()
    assert sizes == [100]
    for i in range(commit_module.GROUP_ROWS):
        commit.append([call(("more", i))], [], ignore)
    commit.append([call("last")], [], ignore)
    commit.flush()
    assert len(sizes) <= 4
    assert sum(sizes) == 100 + commit_module.GROUP_ROWS + 1


def test_a_row_waits_for_no_others_when_urged(commit: GroupCommit, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(commit_module, "GROUP_SECONDS", 30.0)
    done = threading.Event()
    commit.append([call(1)], [], done.set)
    commit.urge()
    assert done.wait(5)
    commit.urge()
    commit.append([call(2)], [], done.clear)
    assert done.is_set(), "urging while there was nothing must not hurry what comes later"
    commit.flush(10)
    assert not done.is_set()


def test_a_row_is_written_soon_though_nobody_urges(commit: GroupCommit) -> None:
    done = threading.Event()
    commit.append([call(1)], [], done.set)
    assert done.wait(5)


def test_closing_writes_what_is_queued(workdir: WorkDirectory, recorder: Recorder) -> None:
    commit = GroupCommit(workdir, on_failure=recorder.failures.append)
    for i in range(50):
        commit.append([call(i)], [], recorder.note(i))
    commit.close()
    commit.close()
    assert recorder.acknowledged == list(range(50))
    assert len(found(workdir, *range(50))) == 50
    with pytest.raises(SessionClosed):
        commit.append([call(51)], [], ignore)


def test_whoever_appends_waits_while_the_queue_is_full(
    commit: GroupCommit, recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = threading.Event()
    true_write = CatalogWriter.write

    def write(self: CatalogWriter, rows: Any, confirm: Any) -> Any:
        gate.wait(20)
        return true_write(self, rows, confirm)

    monkeypatch.setattr(CatalogWriter, "write", write)
    monkeypatch.setattr(commit_module, "QUEUE_BYTES", 1000)
    appended: list[int] = []

    def append() -> None:
        for i in range(10):
            text = b"[%d]" % i + b" " * 400
            commit.append([CallRow(digest(i), hashlib.sha256(text).digest(), text)], [], recorder.note(i))
            appended.append(i)

    thread = threading.Thread(target=append)
    thread.start()
    time.sleep(0.3)
    assert len(appended) < 8
    gate.set()
    thread.join(20)
    commit.flush()
    assert recorder.acknowledged == list(range(10))


# stores


def test_stores_are_published_with_their_rows_and_those_of_their_arrays(
    workdir: WorkDirectory, commit: GroupCommit, recorder: Recorder
) -> None:
    content = encode({"a": np.arange(5), "b": np.arange(6.0), "c": "x"})
    uid = digest("uid")
    staged = stage(workdir.path, content)
    row = CallRow(digest(1), content.digest, None, uid)
    commit.append([row], [(staged.name, uid.hex())], recorder.note(1))
    commit.flush()
    assert read_text(workdir, uid.hex(), digest=content.digest) == content.text
    with Catalog.open(workdir, read_only=True) as catalog:
        assert catalog.find_calls([digest(1)]) == {digest(1): row}
        places = catalog.find_arrays([bytes.fromhex(name) for name in content.arrays])
    assert len(places) == 2
    for place in places.values():
        assert place.store == uid
        array = open_array(store_path(workdir, uid.hex()) / str(place.file), digest=place.digest.hex())
        assert array_digest(array) == place.digest.hex()
    assert os.listdir(workdir.tmp) == []


def test_rows_follow_their_store_to_where_it_was_put(
    workdir: WorkDirectory, commit: GroupCommit, recorder: Recorder
) -> None:
    """As after a crash between data and row, when the operation gives another result the second time."""
    uid = digest("uid")
    first, second = encode(np.arange(5)), encode(np.arange(6))
    commit.append([], [(stage(workdir.path, first).name, uid.hex())], ignore)
    commit.append(
        [CallRow(digest(1), second.digest, None, uid)], [(stage(workdir.path, second).name, uid.hex())], ignore
    )
    commit.flush()
    with Catalog.open(workdir, read_only=True) as catalog:
        row = catalog.find_calls([digest(1)])[digest(1)]
        place = catalog.find_arrays([bytes.fromhex(name) for name in second.arrays])
    assert row.store is not None
    assert read_text(workdir, row.store.hex(), digest=second.digest) == second.text
    assert [found.store for found in place.values()] == [row.store]
    verify_store(workdir, uid.hex())


def test_another_result_of_the_same_call_is_told_before_it_is_acknowledged(
    commit: GroupCommit, recorder: Recorder
) -> None:
    commit.append([call(1, b"[1]")], [], recorder.note(1))
    commit.flush()
    seen: list[list[Conflict]] = []
    commit.append([call(1, b"[2]")], [], lambda: seen.append(list(recorder.conflicts)))
    commit.flush()
    assert seen == [[Conflict(digest(1), call(1, b"[1]").digest, call(1, b"[2]").digest)]]


def test_a_store_that_is_missing_fails_its_group_and_leaves_no_row(
    workdir: WorkDirectory, commit: GroupCommit, recorder: Recorder
) -> None:
    staged = stage(workdir.path, encode([1]))
    (workdir.tmp / staged.name / "metadata.json").unlink()
    row = CallRow(digest(1), encode([1]).digest, None, digest("uid"))
    commit.append([row], [(staged.name, digest("uid").hex())], recorder.note(1))
    with pytest.raises(StoreDamaged):
        commit.flush()
    assert recorder.acknowledged == []
    assert found(workdir, 1) == set()


def test_a_store_that_was_left_unflushed_is_flushed_before_anything_names_it(
    workdir: WorkDirectory, commit: GroupCommit, recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    order: list[str] = []
    true_fsync, true_rename = os.fsync, os.rename

    def fsync(descriptor: int) -> None:
        order.append(os.path.basename(os.readlink(f"/proc/self/fd/{descriptor}")))
        true_fsync(descriptor)

    def rename(source: Any, target: Any) -> None:
        order.append("rename")
        true_rename(source, target)

    content = encode(np.arange(50_000))
    staged = stage(workdir.path, content, flush=False)
    assert staged.unflushed is not None
    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(os, "rename", rename)
    row = CallRow(digest(1), content.digest, None, digest("uid"))
    commit.append([row], [(staged.name, digest("uid").hex())], recorder.note(1), unflushed=[staged.unflushed])
    commit.flush()
    assert order[:4] == ["data.npy", "metadata.json", staged.name, "rename"]
    assert staged.unflushed.open_files == 0
    assert recorder.acknowledged == [1]
    verify_store(workdir, digest("uid").hex())


def test_a_store_that_cannot_be_flushed_fails_its_group_and_leaves_no_row(
    workdir: WorkDirectory, commit: GroupCommit, recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = encode(np.arange(50_000))
    staged = stage(workdir.path, content, flush=False)
    assert staged.unflushed is not None

    def refuse(descriptor: int) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(os, "fsync", refuse)
    row = CallRow(digest(1), content.digest, None, digest("uid"))
    commit.append([row], [(staged.name, digest("uid").hex())], recorder.note(1), unflushed=[staged.unflushed])
    with pytest.raises(StoreFailure, match="run the same again"):
        commit.flush()
    assert recorder.acknowledged == []
    assert found(workdir, 1) == set()
    assert not store_path(workdir, digest("uid").hex()).exists()


def test_whoever_appends_waits_while_too_many_files_are_open(
    workdir: WorkDirectory, commit: GroupCommit, recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = threading.Event()
    true_publish = commit_module.publish_all

    def publish_all(workdir: WorkDirectory, staged: Any) -> Any:
        gate.wait(20)
        return true_publish(workdir, staged)

    monkeypatch.setattr(commit_module, "publish_all", publish_all)
    monkeypatch.setattr(commit_module, "QUEUE_FILES", 4)
    appended: list[int] = []

    def append() -> None:
        for i in range(10):
            staged = stage(workdir.path, encode(["x", i]), flush=False)
            assert staged.unflushed is not None
            pairs = [(staged.name, digest(i).hex())]
            commit.append([call(i)], pairs, recorder.note(i), unflushed=[staged.unflushed])
            appended.append(i)

    thread = threading.Thread(target=append)
    thread.start()
    thread.join(1)
    assert len(appended) < 8
    gate.set()
    thread.join(20)
    commit.flush()
    assert recorder.acknowledged == list(range(10))


# failures


def test_after_a_failure_nothing_is_acknowledged_and_everything_later_is_refused(
    workdir: WorkDirectory, commit: GroupCommit, recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit.append([call(1)], [], recorder.note(1))
    commit.flush()
    full = sqlite3.OperationalError("database or disk is full")
    full.sqlite_errorcode = sqlite3.SQLITE_FULL

    def refuse(*_: object) -> None:
        raise full

    monkeypatch.setattr(CatalogWriter, "_write_calls", refuse)
    commit.append([call(2)], [], recorder.note(2))
    with pytest.raises(StoreFailure, match="Free some space"):
        commit.flush()
    with pytest.raises(StoreFailure):
        commit.append([call(3)], [], recorder.note(3))
    commit.close()
    monkeypatch.undo()
    assert recorder.acknowledged == [1]
    assert [type(failure) for failure in recorder.failures] == [StoreFailure]
    assert found(workdir, 1, 2, 3) == {digest(1)}


def test_whoever_waits_for_room_learns_of_the_failure(
    commit: GroupCommit, recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(self: CatalogWriter, rows: Any, confirm: Any) -> None:
        time.sleep(0.1)
        raise StoreFailure("the disk is gone")

    monkeypatch.setattr(CatalogWriter, "write", refuse)
    monkeypatch.setattr(commit_module, "QUEUE_ROWS", 0)
    with pytest.raises(StoreFailure):
        append_all(commit, recorder, 1000)
    assert recorder.acknowledged == []


def test_an_acknowledgement_that_raises_is_a_failure_and_no_silence(commit: GroupCommit, recorder: Recorder) -> None:
    def acknowledge() -> None:
        raise RuntimeError("a bug")

    commit.append([call(1)], [], acknowledge)
    with pytest.raises(RuntimeError):
        commit.flush()
    assert len(recorder.failures) == 1


def test_a_catalog_that_cannot_be_opened_is_told_at_once(workdir: WorkDirectory, recorder: Recorder) -> None:
    workdir.catalog_path.write_bytes(b"x" * 1000)
    with pytest.raises(HoldfastError):
        GroupCommit(workdir, on_failure=recorder.failures.append)


def test_waiting_has_a_limit(commit: GroupCommit, monkeypatch: pytest.MonkeyPatch) -> None:
    gate = threading.Event()
    true_write = CatalogWriter.write

    def write(self: CatalogWriter, rows: Any, confirm: Any) -> Any:
        gate.wait(20)
        return true_write(self, rows, confirm)

    monkeypatch.setattr(CatalogWriter, "write", write)
    commit.append([call(1)], [], ignore)
    with pytest.raises(StoreFailure, match=r"within 0\.1 s"):
        commit.flush(0.1)
    gate.set()
    commit.flush()


def test_nodes_and_arrays_are_written_too(workdir: WorkDirectory, commit: GroupCommit) -> None:
    array = inline(bytes(8), (1,))
    commit.append([NodeRow(digest(1), digest(2), "demo.add", "{}"), array], [], ignore)
    commit.flush()
    with Catalog.open(workdir, read_only=True) as catalog:
        assert catalog.find_call_keys([digest(1)]) == {digest(1): digest(2)}
        assert catalog.find_arrays([array.digest]) == {array.digest: array}
