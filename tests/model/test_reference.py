from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

import holdfast as hf
from holdfast.errors import GraphError, NotAValue
from holdfast.model.reference import parse_reference, write_path

paths = st.lists(st.integers(0, 1000) | st.text(min_size=1), max_size=4).map(tuple)


@hf.operation(name="demo.double")
def double(x: int) -> int:
    return 2 * x


@given(paths)
def test_a_written_reference_is_read_as_it_was(path: tuple[str | int, ...]) -> None:
    assert parse_reference("0f" * 32 + write_path(path)) == ("0f" * 32, path)


@pytest.mark.parametrize(
    "text", ["", "xyz", "0F" * 32, "0f" * 31, "0f" * 32 + ".", "0f" * 32 + "[-1]", "0f" * 32 + "x"]
)
def test_a_malformed_reference_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="no reference"):
        parse_reference(text)


def test_parts_are_written_with_labels_and_indices() -> None:
    node = double(1)
    assert node["model"][3].text == f"{node.uid}.model[3]"
    assert node["300 K"].text == f'{node.uid}["300 K"]'


@pytest.mark.parametrize("use", [bool, len, iter, list, float, int, range])
def test_a_node_never_pretends_to_be_its_value(use: object) -> None:
    with pytest.raises(NotAValue, match=r"session\.result"):
        use(double(1))  # type: ignore[operator]


@pytest.mark.parametrize("subscript", [-1, slice(1, 2), 1.5, "", (1, 2), True])
def test_what_is_no_subscript_is_refused(subscript: object) -> None:
    with pytest.raises(GraphError):
        double(1)[subscript]  # type: ignore[index]
