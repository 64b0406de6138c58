from __future__ import annotations

import io
import struct

import numpy as np
import pytest

from holdfast.errors import InvalidData
from holdfast.formats.xdr import XdrFormat
from holdfast.storage.format import Layout

FORMAT = XdrFormat()
HEAD = b"\0\0\0\x0choldfast-xdr\0\0\0\x01"


def written(array: np.ndarray) -> bytes:
    stream = io.BytesIO()
    FORMAT.write(array, stream)
    return stream.getvalue()


def test_the_bytes_are_those_that_the_standard_asks_for() -> None:
    assert written(np.array([[1, -2]], "<i2")) == HEAD + b"\0\0\0\x03<i2\0" + struct.pack(">IQQii", 2, 1, 2, 1, -2)
    assert written(np.array([1.5, 2.0])) == HEAD + b"\0\0\0\x03<f8\0" + struct.pack(">IQdd", 1, 2, 1.5, 2.0)
    assert written(np.array([b"abcde"])) == HEAD + b"\0\0\0\x03|S5\0" + struct.pack(">IQ", 1, 1) + b"abcde\0\0\0"
    assert written(np.array(True)) == HEAD + b"\0\0\0\x03|b1\0" + struct.pack(">II", 0, 1)


@pytest.mark.parametrize("dtype", ["<f2", "<f16", "<c32", "<U0"])
def test_what_xdr_has_no_type_for_is_not_accepted(dtype: str) -> None:
    assert not FORMAT.accepts(Layout(dtype, (1,)))


@pytest.mark.parametrize(
    "data",
    [
        b"\0\0\0\x03|b1\0" + struct.pack(">II", 0, 2),
        b"\0\0\0\x03|u1\0" + struct.pack(">II", 0, 256),
        b"\0\0\0\x03|S3\0" + struct.pack(">I", 0) + b"abc\1",
        b"\0\0\0\x03|b1\1" + struct.pack(">II", 0, 1),
        b"\xff\xff\xff\xff" + bytes(100),
        b"\0\0\0\x03<f8\0" + struct.pack(">I", 2**31),
        b"\0\0\0\x03<f8\0" + struct.pack(">IQQ", 2, 2**62, 2**62),
        b"\0\0\0\x03<f2\0" + struct.pack(">II", 0, 0),
    ],
)
def test_hostile_files_are_refused(data: bytes) -> None:
    for use in (FORMAT.read, FORMAT.digest):
        with pytest.raises(InvalidData):
            use(io.BytesIO(HEAD + data))
