"""One file holds one state, whole or not at all."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from holdfast.errors import InvalidData
from holdfast.model.content import Content, encode
from holdfast.storage.generation import read_generation, write_generation

DTYPES = st.sampled_from(["<f8", ">i2", "|b1", "<c16", "<U3", "|S2", "<M8[ns]", "<f4"])
ARRAYS = DTYPES.flatmap(
    lambda dtype: arrays.arrays(numpy.dtype(dtype), arrays.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4))
)
LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(max_size=2000) | ARRAYS
STATES = st.recursive(LEAVES, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4))


def lay_out(path: Path, state: Any) -> Content:
    content = encode(state)
    with open(path, "wb") as stream:
        write_generation(content, stream)
    return content


def read(path: Path) -> Content:
    with open(path, "rb") as stream:
        return read_generation(stream)


@given(state=STATES)
def test_any_state_that_can_be_stored_comes_back_the_same(tmp_path_factory: pytest.TempPathFactory, state: Any) -> None:
    path = tmp_path_factory.getbasetemp() / "state"
    written = lay_out(path, state)
    assert read(path).text == written.text
    assert read(path).arrays.keys() == written.arrays.keys()


STATE = {
    "step": 3,
    "x": numpy.arange(5.0),
    "v": numpy.arange(5.0),
    "names": numpy.array(["a", "bc"]),
    "raw": b"0" * 3000,
}


def test_every_single_damaged_byte_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "state"
    lay_out(path, STATE)
    whole = path.read_bytes()
    for position in range(len(whole)):
        damaged = bytearray(whole)
        damaged[position] ^= 1 << (position % 8)
        path.write_bytes(damaged)
        with pytest.raises(InvalidData):
            read(path)


def test_every_length_but_the_right_one_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "state"
    lay_out(path, STATE)
    whole = path.read_bytes()
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        with pytest.raises(InvalidData):
            read(path)
    path.write_bytes(whole + b"x")
    with pytest.raises(InvalidData):
        read(path)


@pytest.mark.parametrize(
    "header",
    [
        b'{"arrays":[["<f8",[1000000000000]]],"digest":"","text":2}',
        b'{"arrays":[["|O",[1]]],"digest":"","text":2}',
        b'{"arrays":[["<U1",[9223372036854775807,0]]],"digest":"","text":2}',
        b'{"arrays":{},"digest":"","text":-1}',
        b"[" * 10_000,
        b"7",
    ],
)
def test_a_hostile_header_takes_no_memory_and_runs_nothing(tmp_path: Path, header: bytes) -> None:
    path = tmp_path / "state"
    path.write_bytes(b"holdfast checkpoint 1\n" + header + b"\n{}")
    with pytest.raises(InvalidData):
        read(path)
