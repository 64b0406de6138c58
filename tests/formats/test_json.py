from __future__ import annotations

import hashlib
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.errors import InvalidData
from holdfast.formats.json import JsonFormat
from holdfast.storage.format import Layout

FORMAT = JsonFormat()


@given(st.binary(max_size=300))
def test_a_text_is_its_own_file(text: bytes) -> None:
    stream = io.BytesIO()
    FORMAT.write(text, stream)
    assert stream.getvalue() == text
    assert FORMAT.read(stream, Layout("text", (len(text),))) == text
    assert FORMAT.digest(stream) == hashlib.sha256(text).hexdigest()


@pytest.mark.parametrize("size", [0, 2, 2**62])
def test_a_file_of_another_size_is_refused(size: int) -> None:
    for use in (FORMAT.read, FORMAT.digest):
        with pytest.raises(InvalidData, match="1 bytes instead of"):
            use(io.BytesIO(b"1"), Layout("text", (size,)))


def test_only_texts_are_accepted() -> None:
    assert FORMAT.accepts(Layout("text", (3,)))
    assert not FORMAT.accepts(Layout("<f8", (3,)))
