from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from holdfast.errors import InvalidData
from holdfast.formats.hdf5 import Hdf5Format

FORMAT = Hdf5Format()


def test_the_file_is_read_by_the_library_itself(tmp_path: Path) -> None:
    array = np.arange(6.0).reshape(2, 3)
    with open(tmp_path / "a.h5", "w+b") as stream:
        FORMAT.write(array, stream)
    with h5py.File(tmp_path / "a.h5") as file:
        assert np.array_equal(file["data"][...], array)


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


@pytest.mark.parametrize("make", [packed, elsewhere, linked, text, group, promised])
def test_hostile_files_are_refused_before_memory_is_taken(make: Any) -> None:
    stream = io.BytesIO()
    with h5py.File(stream, "w") as file:
        make(file)
    for use in (FORMAT.read, FORMAT.digest):
        with pytest.raises(InvalidData):
            use(stream)
