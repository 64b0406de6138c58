"""Elements are checked before an array is made of them."""

from __future__ import annotations

import pytest

import holdfast as hf
from holdfast.errors import InvalidData
from holdfast.model.datatype import DataType
from holdfast.model.element import room_of


def test_the_room_of_strings_is_that_of_the_longest_for_each() -> None:
    assert room_of([["a", "bcd"], ["", "x"]]) == 4 * 4 * 3
    assert room_of([]) == 0
    assert room_of("ab") == 8


@pytest.mark.parametrize("datatype", [hf.Float64, hf.Complex128])
def test_an_integer_beyond_every_float_is_refused(datatype: DataType) -> None:
    with pytest.raises(InvalidData, match="no floating-point number equals"):
        datatype([10**400])


def test_one_long_string_among_many_is_refused_before_memory_is_taken() -> None:
    strings = ["x" * 1_000_000, *["y"] * 1_000]
    with pytest.raises(InvalidData, match="takes the room of the longest"):
        hf.String(strings)


def test_a_map_over_one_long_string_among_many_makes_a_node_for_each() -> None:
    @hf.operation(name="element.length", version="1")
    def length(text: str) -> int:
        return len(text)

    strings = ["x" * 1_000_000, *["y"] * 1_000]
    assert len(hf.map(length, strings).record["input"]["over"]["text"]) == 1_001
    assert isinstance(hf.map(length, strings[1:]).record["input"]["over"]["text"], str)
