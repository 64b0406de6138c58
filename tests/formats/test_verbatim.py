from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from holdfast.errors import InvalidData
from holdfast.formats.verbatim import PickleFormat, TableFormat
from holdfast.model.canonical import array_digest
from holdfast.storage.format import Layout

DATA = np.frombuffer(b"ARROW1\0\0 and so on", "u1")


@pytest.mark.parametrize("form", [TableFormat(), PickleFormat()])
def test_bytes_are_laid_out_as_they_are(form: Any, tmp_path: Path) -> None:
    stream = io.BytesIO()
    form.write(DATA, stream)
    assert stream.getvalue() == DATA.tobytes()
    layout = Layout("|u1", DATA.shape)
    assert form.read(stream, layout).tobytes() == form.read(stream).tobytes() == DATA.tobytes()
    assert form.digest(stream, layout) == array_digest(DATA)
    (tmp_path / "file").write_bytes(stream.getvalue())
    with open(tmp_path / "file", "rb") as file:
        mapped = form.map(file, layout)
    assert mapped.tobytes() == DATA.tobytes()
    assert not mapped.flags.writeable


@pytest.mark.parametrize("form", [TableFormat(), PickleFormat()])
def test_no_layout_chooses_them_and_nothing_but_bytes_is_written(form: Any) -> None:
    assert not any(form.accepts(Layout(dtype, (3,))) for dtype in ("|u1", "<f8", "text", "|O"))
    for value in (np.zeros(3), np.zeros((3, 3), "u1"), np.array([object()])):
        with pytest.raises(InvalidData):
            form.write(value, io.BytesIO())


@pytest.mark.parametrize("layout", [Layout("|u1", (3,)), Layout("|u1", (10**15,)), Layout("<f8", DATA.shape)])
def test_a_file_of_another_size_or_kind_than_expected_is_refused_before_memory_is_taken(layout: Layout) -> None:
    for form in (TableFormat(), PickleFormat()):
        for use in (form.read, form.digest):
            with pytest.raises(InvalidData):
                use(io.BytesIO(DATA.tobytes()), layout)
