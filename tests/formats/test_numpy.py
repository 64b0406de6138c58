from __future__ import annotations

import io
import tracemalloc
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from holdfast.errors import InvalidData
from holdfast.formats.numpy import NumpyFormat
from holdfast.model.canonical import array_digest, canonical_array
from holdfast.storage.format import Layout, Mappable

FORMAT = NumpyFormat()

ANY_DTYPE = st.one_of(
    arrays.boolean_dtypes(),
    arrays.integer_dtypes(endianness="<"),
    arrays.unsigned_integer_dtypes(endianness="<"),
    arrays.floating_dtypes(endianness="<"),
    arrays.complex_number_dtypes(endianness="<"),
    arrays.unicode_string_dtypes(endianness="<", max_len=5),
    arrays.byte_string_dtypes(max_len=5),
    st.just(np.dtype("<M8[ns]")),
    st.just(np.dtype("<m8[25us]")),
)
ANY_ARRAY = ANY_DTYPE.flatmap(
    lambda dtype: arrays.arrays(dtype, arrays.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=4))
)


def written(array: Any) -> bytes:
    stream = io.BytesIO()
    FORMAT.write(array, stream)
    return stream.getvalue()


def layout(array: Any) -> Layout:
    return Layout(array.dtype.str, array.shape)


def same(one: Any, other: Any) -> bool:
    return one.dtype == other.dtype and one.shape == other.shape and one.tobytes() == other.tobytes()


@given(ANY_ARRAY)
def test_every_array_is_read_back(array: Any) -> None:
    read = FORMAT.read(io.BytesIO(written(array)), layout(array))
    assert same(read, array)
    assert not read.flags.writeable


@given(ANY_ARRAY)
def test_files_are_those_of_numpy(array: Any) -> None:
    assert same(np.load(io.BytesIO(written(array)), allow_pickle=False), array)
    stream = io.BytesIO()
    np.save(stream, array, allow_pickle=False)
    assert same(FORMAT.read(io.BytesIO(stream.getvalue())), array)


@given(ANY_ARRAY)
def test_the_digest_of_a_file_is_that_of_the_array(array: Any) -> None:
    assert FORMAT.digest(io.BytesIO(written(array))) == array_digest(array)


@given(ANY_ARRAY)
def test_data_are_aligned_for_mapping(array: Any) -> None:
    assert (len(written(array)) - array.nbytes) % 64 == 0


@pytest.mark.parametrize("shape", [(), (0,), (3, 0, 2), (5,), (2, 3)])
def test_mapped_arrays_are_equal_and_read_only(tmp_path: Path, shape: tuple[int, ...]) -> None:
    array = np.arange(np.prod(shape), dtype="<f8").reshape(shape)
    (tmp_path / "a.npy").write_bytes(written(array))
    assert isinstance(FORMAT, Mappable)
    with open(tmp_path / "a.npy", "rb") as stream:
        mapped = FORMAT.map(stream, layout(array))
    assert same(mapped, array)
    assert not mapped.flags.writeable
    with pytest.raises(ValueError, match="read-only"):
        mapped[...] = 1


def test_equal_arrays_give_equal_bytes_however_they_lie_in_memory() -> None:
    array = np.arange(24.0).reshape(4, 6)
    expected = written(array)
    for other in (np.asfortranarray(array), array.astype(">f8"), np.repeat(array, 2, axis=0)[::2], array[::-1][::-1]):
        assert written(other) == expected


def test_writing_takes_no_copy(tmp_path: Path) -> None:
    array = canonical_array(np.zeros(8_000_000))
    tracemalloc.start()
    with open(tmp_path / "a.npy", "wb") as stream:
        FORMAT.write(array, stream)
    with open(tmp_path / "a.npy", "rb") as stream:
        assert FORMAT.digest(stream) == array_digest(array)
        FORMAT.map(stream)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 4_000_000


@pytest.mark.parametrize(
    "dtype", ["|O", "text", ">f8", "<f7", "|V8", "<i4,<f8", "", "f8", "<M8[xyzzy]", "<U" + "9" * 20]
)
def test_other_dtypes_are_not_accepted(dtype: str) -> None:
    assert not FORMAT.accepts(Layout(dtype, (1,)))


@pytest.mark.parametrize("dtype", ["<f8", "|b1", "|u1", "<c16", "<U12", "|S3", "<M8[ns]", "<m8[25s]", "<f2"])
def test_plain_dtypes_are_accepted(dtype: str) -> None:
    assert FORMAT.accepts(Layout(dtype, (1,)))


def test_an_array_of_objects_is_refused() -> None:
    with pytest.raises(InvalidData, match="no dtype that can be stored"):
        written(np.array([object()]))


def test_version_two_of_the_header_is_read() -> None:
    array = np.arange(3.0)
    data = written(array)
    header = data[10 : 10 + int.from_bytes(data[8:10], "little")]
    second = data[:6] + b"\x02\x00" + len(header).to_bytes(4, "little") + header + array.tobytes()
    assert same(FORMAT.read(io.BytesIO(second)), array)


def with_header(text: str, data: bytes = bytes(24), version: bytes = b"\x01\x00") -> bytes:
    header = text.encode("latin-1") + b"\n"
    return b"\x93NUMPY" + version + len(header).to_bytes(2, "little") + header + data


HOSTILE = {
    "nothing": b"",
    "another file": b"PK\x03\x04" + bytes(100),
    "only a beginning": b"\x93NUMPY",
    "version 3": with_header("{'descr': '<f8', 'fortran_order': False, 'shape': (3,), }", version=b"\x03\x00"),
    "a header longer than the file": b"\x93NUMPY\x01\x00\xff\xff",
    "a header of 4 GiB": b"\x93NUMPY\x02\x00\xff\xff\xff\xff" + bytes(100),
    "objects": with_header("{'descr': '|O', 'fortran_order': False, 'shape': (3,), }"),
    "a structure": with_header("{'descr': [('a', '<f8')], 'fortran_order': False, 'shape': (3,), }"),
    "Fortran order": with_header("{'descr': '<f8', 'fortran_order': True, 'shape': (3,), }"),
    "a text": with_header("{'descr': 'text', 'fortran_order': False, 'shape': (24,), }"),
    "code": with_header("{'descr': __import__('os').system('true'), 'fortran_order': False, 'shape': (3,), }"),
    "deep brackets": with_header("(" * 9000),
    "too many elements": with_header("{'descr': '<f8', 'fortran_order': False, 'shape': (4,), }"),
    "too few elements": with_header("{'descr': '<f8', 'fortran_order': False, 'shape': (2,), }"),
    "a huge array": with_header("{'descr': '<f8', 'fortran_order': False, 'shape': (1000000000000000,), }"),
    "a shape beyond all numbers": with_header(
        "{'descr': '<f8', 'fortran_order': False, 'shape': (%s,), }" % ("9" * 9000)
    ),
    "a negative size": with_header("{'descr': '<f8', 'fortran_order': False, 'shape': (-3,), }"),
    "a size with blanks": with_header("{'descr': '<f8', 'fortran_order': False, 'shape': (1 2,), }"),
    "too many axes": with_header("{'descr': '<f8', 'fortran_order': False, 'shape': (%s), }" % ("1," * 65)),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_files_are_refused_before_memory_is_taken(tmp_path: Path, name: str) -> None:
    (tmp_path / "a.npy").write_bytes(HOSTILE[name])
    for use in (FORMAT.read, FORMAT.digest, FORMAT.map):
        with open(tmp_path / "a.npy", "rb") as stream, pytest.raises(InvalidData):
            use(stream)


@given(st.binary(max_size=200))
def test_whatever_a_file_holds_it_is_an_array_or_invalid(data: bytes) -> None:
    with suppress(InvalidData):
        FORMAT.read(io.BytesIO(b"\x93NUMPY\x01\x00" + data))


def test_another_array_than_expected_is_refused() -> None:
    stream = io.BytesIO(written(np.arange(3.0)))
    with pytest.raises(InvalidData, match=r"holds <f8 \[3\] instead of <i8 \[3\]"):
        FORMAT.read(stream, Layout("<i8", (3,)))
