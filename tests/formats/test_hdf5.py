from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from holdfast.errors import InvalidData
from holdfast.formats.hdf5 import Hdf5Format
from holdfast.storage.format import Layout

FORMAT = Hdf5Format()


def test_the_file_is_read_by_the_library_itself(tmp_path: Path) -> None:
    array = np.arange(6.0).reshape(2, 3)
    with open(tmp_path / "a.h5", "w+b") as stream:
        FORMAT.write(array, stream)
    with h5py.File(tmp_path / "a.h5") as file:
        assert np.array_equal(file["data"][...], array)


def test_strings_texts_and_times_are_what_the_library_calls_so() -> None:
    for value in (np.array([["Zürich", "b"]]), np.array(["2020-01-01", "NaT"], "<M8[us]"), b'{"a":1}'):
        stream = io.BytesIO()
        FORMAT.write(value, stream)
        with h5py.File(stream) as file:
            if isinstance(value, bytes):
                assert file["text"][()] == value
            elif value.dtype.kind == "U":
                assert file["data"].asstr()[...].tolist() == value.tolist()
            else:
                assert np.array_equal(file["data"][...], value, equal_nan=True)


@pytest.mark.parametrize("dtype", ["<m8", "<f16", "<U0"])
def test_what_hdf5_has_no_type_for_is_not_accepted(dtype: str) -> None:
    assert not FORMAT.accepts(Layout(dtype, (1,)))


def packed(file: Any) -> None:
    file.create_dataset("data", data=np.zeros(10**6), chunks=(1000,), compression="gzip")


def elsewhere(file: Any) -> None:
    file.create_dataset("data", (3,), "<f8", external=[("/etc/passwd", 0, 24)])


def linked(file: Any) -> None:
    file["data"] = h5py.ExternalLink("other.h5", "data")


def text(file: Any) -> None:
    file["data"] = "text"


def group(file: Any) -> None:
    file.create_group("data")


def promised(file: Any) -> None:
    file.create_dataset("data", (10**15,), "<f8")


def texts(file: Any) -> None:
    file.create_dataset("text", data=np.array([b"ab", b"cd"], h5py.string_dtype("utf-8", 2)))


def odd(file: Any) -> None:
    file.create_dataset("data", data=np.array([b"abcde"], h5py.string_dtype("utf-8", 5)))


def torn(file: Any) -> None:
    file.create_dataset("data", data=np.array([b"\xff\xfe\xfd\xfc"], h5py.string_dtype("utf-8", 4)))


def objects(file: Any) -> None:
    file.create_dataset("data", data=np.zeros(3, h5py.opaque_dtype("V8")))


HOSTILE = [packed, elsewhere, linked, text, group, promised, texts, odd, torn, objects]


@pytest.mark.parametrize("make", HOSTILE)
def test_hostile_files_are_refused_before_memory_is_taken(make: Any) -> None:
    stream = io.BytesIO()
    with h5py.File(stream, "w") as file:
        make(file)
    for use in (FORMAT.read, FORMAT.digest):
        with pytest.raises(InvalidData):
            use(stream)
