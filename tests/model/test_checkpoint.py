"""The checkpoint for calling a function without a run."""

from __future__ import annotations

import numpy
import pytest

import holdfast as hf


def test_there_is_no_state_before_the_first_write() -> None:
    assert hf.Checkpoint().load() is None


def test_the_last_state_written_is_loaded_as_it_was_then() -> None:
    checkpoint = hf.Checkpoint()
    array = numpy.zeros(3)
    state = {"step": 1, "array": array, "rest": [1.5, b"raw", None]}
    checkpoint.write(state)
    array += 1
    state["step"] = 2
    checkpoint.flush()
    loaded = checkpoint.load()
    assert loaded["step"] == 1
    assert loaded["array"].tolist() == [0, 0, 0]
    assert loaded["rest"] == [1.5, b"raw", None]


def test_loaded_arrays_can_be_changed_in_place_and_are_apart_from_each_other() -> None:
    checkpoint = hf.Checkpoint()
    checkpoint.write({"position": numpy.zeros(3), "velocity": numpy.zeros(3)})
    loaded = checkpoint.load()
    loaded["position"] += 1
    assert loaded["velocity"].tolist() == [0, 0, 0]
    assert checkpoint.load()["position"].tolist() == [0, 0, 0]


def test_a_state_that_cannot_be_stored_is_refused() -> None:
    with pytest.raises(hf.UnsupportedValue, match="state"):
        hf.Checkpoint().write({"file": object()})
