"""A parameter annotated with `Checkpoint` is no input, and changes no identity of its own."""

from __future__ import annotations

from typing import Optional

import pytest

import holdfast as hf
from holdfast import Checkpoint

Alias = hf.Checkpoint


def by_attribute(x: int, checkpoint: hf.Checkpoint) -> int:
    return x


def by_name(x: int, *, checkpoint: Checkpoint) -> int:
    return x


def by_alias(x: int, *, checkpoint: Alias) -> int:
    return x


def or_none(x: int, *, checkpoint: hf.Checkpoint | None = None) -> int:
    return x


def first_and_positional(checkpoint: hf.Checkpoint, /, x: int) -> int:
    return x


def annotated_late(x: int, *, checkpoint) -> int:  # type: ignore[no-untyped-def]
    return x


annotated_late.__annotations__["checkpoint"] = Optional[hf.Checkpoint]  # noqa: UP045  (the old spelling is met, too)

WAYS = [by_attribute, by_name, by_alias, or_none, first_and_positional, annotated_late]


@pytest.mark.parametrize("function", WAYS)
def test_a_checkpoint_is_found_by_its_annotation_and_is_no_input(function) -> None:  # type: ignore[no-untyped-def]
    operation = hf.operation(function)
    assert operation.parameters == ("x",)
    assert operation.checkpoint == "checkpoint"
    assert set(operation(1).inputs) == {"x"}
    assert operation(1) == operation(x=1)


@pytest.mark.parametrize("function", WAYS)
def test_a_run_gives_it_in_every_way_of_passing(function, session: hf.Session) -> None:  # type: ignore[no-untyped-def]
    assert session.result(hf.operation(function)(7)) == 7


def test_one_that_is_imported_within_a_function_is_found_too() -> None:
    import holdfast as holdfast  # not a global of the operation

    @holdfast.operation(name="demo.inner")
    def inner(x: int, checkpoint: holdfast.Checkpoint) -> int:
        return x

    assert inner.checkpoint == "checkpoint"


def test_other_annotations_are_inputs() -> None:
    class Checkpoint:
        pass

    @hf.operation(name="demo.others")
    def others(a: NotThere, b: list[hf.File], c: hf.File | None, checkpoint: int) -> int:  # type: ignore[name-defined]  # noqa: F821
        return 1

    assert others.parameters == ("a", "b", "c", "checkpoint")
    assert others.checkpoint == ""


def test_giving_it_is_refused_and_says_why() -> None:
    @hf.operation(name="demo.any")
    def takes_any(checkpoint: hf.Checkpoint, **rest: int) -> int:
        return 1

    for operation in (hf.operation(by_name), takes_any):
        with pytest.raises(hf.GraphError, match="by the run"):
            operation(x=1, checkpoint=2)


def test_two_are_refused() -> None:
    with pytest.raises(hf.GraphError, match="two checkpoints"):

        @hf.operation(name="demo.two")
        def two(a: hf.Checkpoint, b: hf.Checkpoint) -> int:
            return 1
