from __future__ import annotations

import io
import json
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import polars
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.errors import InvalidData
from holdfast.formats.arrow import ArrowFormat
from holdfast.storage.datastore import get_datastore
from holdfast.storage.format import Layout
from holdfast.storage.owner import current_owner
from holdfast.storage.ownership import Ownership
from holdfast.storage.workdir import open_workdir

FORMAT = ArrowFormat()
UID = "cd" * 32


def written(value: Any) -> bytes:
    stream = io.BytesIO()
    FORMAT.write(value, stream)
    return stream.getvalue()


@pytest.mark.parametrize("dtype", ["|i1", "<u2", "<i4", "<u8", "<f2", "<f4", "<f8", "<M8[ms]", "<m8[ns]", "|S3"])
def test_the_file_is_read_by_pyarrow_itself(dtype: str) -> None:
    array = np.arange(6).astype(dtype).reshape(2, 3)
    table = pa.ipc.open_file(written(array)).read_all()
    table.validate(full=True)
    assert np.array_equal(table["data"].to_numpy().astype(dtype), array.reshape(-1))
    assert json.loads(table.schema.metadata[b"holdfast"]) == {"dtype": dtype, "shape": [2, 3]}


def test_booleans_and_texts_are_what_arrow_calls_so() -> None:
    assert pa.ipc.open_file(written(np.array([True, False])))  # a canonical extension type, one byte each
    assert pa.ipc.open_file(written(np.array([True, False]))).read_all()["data"].to_pylist() == [True, False]
    assert pa.ipc.open_file(written(b'{"a":1}')).read_all()["data"].to_pylist() == ['{"a":1}']


def test_the_file_is_read_by_polars_itself(tmp_path: Path) -> None:
    (tmp_path / "a.arrow").write_bytes(written(np.arange(5.0)))
    assert polars.read_ipc(tmp_path / "a.arrow")["data"].to_list() == [0.0, 1.0, 2.0, 3.0, 4.0]


@pytest.mark.parametrize("dtype", ["<c16", "<U4", "<f16", "<M8[25us]", "<m8"])
def test_what_arrow_has_no_type_for_is_not_accepted(dtype: str) -> None:
    assert not FORMAT.accepts(Layout(dtype, (1,)))


def test_an_array_written_block_by_block_is_one_mapped_array(tmp_path: Path) -> None:
    workdir, whole = open_workdir(tmp_path / "work"), np.arange(600_000.0).reshape(3, -1)
    ownership = Ownership.acquire(workdir, current_owner("test"))
    try:
        store = get_datastore(workdir, UID, store_type="arrow", ownership=ownership)
        with store:
            handle = store.open("w")
            handle.declare("<f8", whole.shape)
            for row in whole:
                handle.append(row)
            handle.commit()
        found = store.open("r").read()
    finally:
        ownership.release()
    assert np.array_equal(found, whole)
    assert not found.flags.owndata
    (file,) = workdir.nodes.glob("*/*/data.arrow")
    assert file.read_bytes() == written(whole)
    with pa.memory_map(str(file)) as mapped:
        assert pa.ipc.open_file(mapped).num_record_batches == 1


def by_pyarrow(options: pa.ipc.IpcWriteOptions | None = None, metadata: dict[str, str] | None = None) -> bytes:
    """Return a file that looks like ours, but was written by others."""
    note = {"holdfast": '{"dtype":"<f8","shape":[100000]}'} if metadata is None else metadata
    table = pa.table({"data": np.zeros(100_000)}).replace_schema_metadata(note)
    sink = pa.BufferOutputStream()
    with pa.ipc.new_file(sink, table.schema, options=options) as writer:
        writer.write_table(table)
    return bytes(sink.getvalue())


GOOD = written(np.arange(3.0))
NOTE = b'{"dtype":"<f8","shape":[3]}'


def noted(note: bytes) -> bytes:
    return GOOD.replace(NOTE, note.ljust(len(NOTE))[: len(NOTE)] if len(note) <= len(NOTE) else note)


HOSTILE = {
    "empty": b"",
    "only magic": b"ARROW1\0\0",
    "compressed": by_pyarrow(pa.ipc.IpcWriteOptions(compression="zstd")),
    "compressed otherwise": by_pyarrow(pa.ipc.IpcWriteOptions(compression="lz4")),
    "of another writer": by_pyarrow(),
    "without a note": by_pyarrow(metadata={}),
    "a huge array": noted(b'{"dtype":"<f8","shape":[999]}'),
    "a shape beyond all numbers": noted(b'{"dtype":"<f8","shape":[' + b"9" * 900 + b"]}"),
    "a product beyond all numbers": noted(b'{"dtype":"|i1","shape":[' + b"9999999999," * 40 + b"1]}"),
    "no number": noted(b'{"dtype":"<f8","shape":[,]}'),
    "too many axes": noted(b'{"dtype":"<f8","shape":[' + b"1," * 65 + b"]}"),
    "objects": noted(b'{"dtype":"|O","shape":[3]}'),
    "another dtype": noted(b'{"dtype":"<i8","shape":[3]}'),
    "nothing of elements": noted(b'{"dtype":"|S0","shape":[3]}'),
    "longer": GOOD + b"\0",
    "shorter": GOOD[:-1],
    "twice": GOOD + GOOD,
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_files_are_refused_before_memory_is_taken(tmp_path: Path, name: str) -> None:
    (tmp_path / "a.arrow").write_bytes(HOSTILE[name])
    for use in (FORMAT.read, FORMAT.digest, FORMAT.map):
        with open(tmp_path / "a.arrow", "rb") as stream, pytest.raises(InvalidData):
            use(stream)


@given(st.binary(max_size=60), st.integers(0, len(GOOD)), st.integers(0, 60))
def test_whatever_a_file_holds_it_is_an_array_or_invalid(data: bytes, place: int, dropped: int) -> None:
    with suppress(InvalidData):
        FORMAT.read(io.BytesIO(GOOD[:place] + data + GOOD[place + dropped :]))
