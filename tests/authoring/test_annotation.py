from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any, Optional

import numpy
import numpy.typing as npt
import pytest

import holdfast as hf

if TYPE_CHECKING:
    from nowhere import Unknown

Points = Annotated[npt.NDArray[numpy.float64], ("n", 3)]


def declared(annotation: Any) -> Any:
    def take(x: Any) -> Any:
        return x

    take.__annotations__["x"] = annotation
    return hf.operation(take, name="demo.take", version="1")


CUBE = numpy.zeros((2, 3))


@pytest.mark.parametrize(
    ("annotation", "fitting", "refused"),
    [
        (int, [1, True, numpy.int32(1)], [1.0, "1", None, [1], numpy.arange(3)]),
        (float, [1.0, 1, numpy.float32(1)], [1j, "1", None, CUBE, {"a": 1.0}]),
        (complex, [1j, 1.0, 1], ["1"]),
        (bool, [True], [1, "True"]),
        (str, ["a"], [b"a", 1, ["a"]]),
        (bytes, [b"a"], ["a"]),
        (None, [None], [0]),
        (list, [[1, 2]], [1, CUBE, {"a": 1}]),
        (list[float], [[1.0]], [1.0]),
        (dict, [{"a": 1}, hf.Mapping({"a": 1})], [[1], 1]),
        (Optional[float], [None, 1.0], ["a"]),  # noqa: UP045
        (int | str, [1, "a"], [1.0]),
        (numpy.ndarray, [CUBE, numpy.array(["a"])], [1.0, [1.0], None]),
        (npt.NDArray[numpy.float64], [CUBE], [numpy.arange(3), 1.0]),
        (npt.NDArray[numpy.integer], [numpy.arange(3), numpy.zeros(2, "u1")], [CUBE]),
        (numpy.float64, [1.0, 1], [CUBE, "a"]),
        (hf.Float64, [1.0, CUBE, 1], ["a", numpy.arange(3)]),
        (hf.Null, [None], [1]),
        (Points, [CUBE, numpy.zeros((0, 3))], [numpy.zeros(3), numpy.zeros((3, 2)), 1.0]),
        ("Unknown", [1, "a", None, CUBE], []),
        ("no python", [1], []),
        (Any, [1, "a", None, CUBE, [1], {"a": 1}], []),
        (object, [1, "a"], []),
        (Callable, [1], []),
        (numpy.random.Generator, [1], []),
    ],
    ids=str,
)
def test_an_annotation_takes_what_fits_and_refuses_what_cannot(
    annotation: Any, fitting: list[Any], refused: list[Any]
) -> None:
    take = declared(annotation)
    for value in fitting:
        assert take(value) == take(value)  # the second check is a look-up
    for value in refused:
        with pytest.raises(hf.GraphError, match=r"demo.take declares its input 'x' as .*, but was given .*, which is "):
            take(value)


def test_annotations_never_change_identity() -> None:
    untyped = hf.operation(lambda x: x, name="demo.take", version="1")
    assert declared(float)(1) == untyped(1) != untyped(1.0)


def test_annotations_as_text_are_read_where_the_function_stands() -> None:
    @hf.operation(name="demo.move")
    def move(x: Points, by: float, more: Unknown = 1) -> Points:
        return x + by

    move(CUBE, 1)
    with pytest.raises(
        hf.GraphError, match=r"'x' as an array of float64 of shape \(n, 3\), but was .*Float64 of shape \(3,\)"
    ):
        move(numpy.zeros(3), 1.0)


def test_a_named_size_is_one_size_within_a_call_and_travels_to_the_output() -> None:
    @hf.operation(name="demo.pair")
    def pair(a: Points, b: Points) -> Points:
        return a + b

    both = pair(CUBE, CUBE)
    with pytest.raises(hf.GraphError, match=r"'b' as .* with n = 2 from another input, .* of shape \(5, 3\)"):
        pair(CUBE, numpy.zeros((5, 3)))
    with pytest.raises(hf.GraphError, match="with n = 5 from another input"):
        pair(numpy.zeros((5, 3)), both)
    assert pair(pair(both, both), both).name == "demo.pair"


def test_a_default_of_another_type_is_taken() -> None:
    @hf.operation(name="demo.limit")
    def limit(x: float = None) -> float:  # type: ignore[assignment]  # noqa: RUF013
        return x

    assert limit() == limit(None) != limit(1.0)
