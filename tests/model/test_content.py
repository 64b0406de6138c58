from __future__ import annotations

import math
from typing import Any

import numpy
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from holdfast.errors import UnsupportedValue
from holdfast.model.content import array_digests, decode, encode

scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.complex_numbers()
    | st.text()
    | st.binary(max_size=3000)
)
dtypes = st.sampled_from(["<i8", "<f8", "<f4", ">i2", "|b1", "<c16", "<U3", "|u1"])
values = st.recursive(
    scalars | arrays.arrays(dtypes, arrays.array_shapes(min_dims=1, min_side=0, max_side=4), elements=None),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5) | st.just("$array"), inner, max_size=4)
    ),
    max_leaves=10,
)


def same(left: Any, right: Any) -> bool:
    if isinstance(left, numpy.ndarray):
        return (
            isinstance(right, numpy.ndarray)
            and left.shape == right.shape
            and left.astype(right.dtype).tobytes() == right.tobytes()
        )
    if isinstance(left, (list, tuple)):
        return isinstance(right, list) and len(left) == len(right) and all(map(same, left, right))
    if isinstance(left, dict):
        return (
            isinstance(right, dict) and left.keys() == right.keys() and all(same(left[key], right[key]) for key in left)
        )
    if isinstance(left, float):
        return isinstance(right, float) and (
            (left == right and math.copysign(1, left) == math.copysign(1, right)) or (left != left and right != right)
        )
    return type(left) is type(right) and repr(left) == repr(right)


@given(values)
def test_a_value_comes_back_from_its_content(value: Any) -> None:
    content = encode(value)
    assert same(value, decode(content.text, lambda digest: content.arrays[digest]))


@given(values)
def test_equal_values_have_equal_texts_and_texts_name_their_arrays(value: Any) -> None:
    content = encode(value)
    again = decode(content.text, lambda digest: content.arrays[digest])
    assert encode(again).text == content.text
    assert set(array_digests(content.text)) == set(content.arrays)


def test_the_order_in_which_a_mapping_was_made_does_not_matter() -> None:
    assert encode({"b": 1, "a": 2}).text == encode({"a": 2, "b": 1}).text == b'{"a":2,"b":1}'


def test_numbers_of_different_kinds_are_different() -> None:
    assert len({encode(value).text for value in (1, 1.0, True, "1", 1 + 0j, [1])}) == 6


def test_numpy_scalars_are_the_numbers_that_they_hold() -> None:
    assert encode(numpy.float64(1.5)).text == b"1.5"
    assert encode(numpy.int64(3)).text == encode(numpy.array(3)).text == b"3"
    assert encode(numpy.bool_(True)).text == b"true"
    half = encode(numpy.float32(0.5))
    assert decode(half.text, lambda digest: half.arrays[digest]).dtype == numpy.float32


def test_byte_order_and_memory_layout_do_not_count() -> None:
    array = numpy.arange(6.0).reshape(2, 3)
    assert encode(array).text == encode(array.astype(">f8")).text == encode(numpy.asfortranarray(array)).text
    assert encode(array).text != encode(array.T).text


def test_a_later_change_of_an_array_changes_nothing() -> None:
    array = numpy.zeros(3)
    content = encode(array)
    array[0] = 1.0
    (kept,) = content.arrays.values()
    assert kept.tolist() == [0.0, 0.0, 0.0]
    assert not kept.flags.writeable


@pytest.mark.parametrize(
    ("value", "place"),
    [
        ({"a": [1, {2, 3}]}, "x['a'][1]"),
        ([lambda: 1], "x[0]"),
        (numpy.array([object()]), "x"),
        ({1: 2}, "a key of x"),
    ],
)
def test_what_cannot_be_stored_is_refused_by_place(value: Any, place: str) -> None:
    with pytest.raises(UnsupportedValue) as caught:
        encode(value, "x")
    assert caught.value.where == place


def test_a_list_that_holds_itself_is_refused_and_does_not_hang() -> None:
    endless: list[Any] = []
    endless.append(endless)
    with pytest.raises(UnsupportedValue, match="nested deeper"):
        encode(endless)
