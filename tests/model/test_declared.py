from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy
import pytest

import holdfast as hf
from holdfast.errors import InvalidData

Energy = hf.datatype("chemistry.Energy", float)


@hf.operation(name="demo.double")
def double(x: float) -> Energy:  # type: ignore[valid-type]
    return 2 * x  # type: ignore[no-any-return]


@hf.operation(name="demo.halve")
def halve(x: Energy) -> float:  # type: ignore[valid-type]
    return x / 2  # type: ignore[operator, no-any-return]


def test_an_own_type_makes_data_of_its_namespace_and_reads_it_back() -> None:
    node = Energy([[1.0, 2.0]])
    assert node.record == {"depends": [], "input": {"data": [[1.0, 2.0]]}, "operation": ["chemistry", "Energy"]}
    assert Energy.from_json(node.to_json()) == node != hf.Float64([[1.0, 2.0]])
    assert (node.shape, node.dtype) == ((1, 2), numpy.float64)


@pytest.mark.parametrize("value", ["a", [1.0, [2.0]], True, numpy.arange(3)])
def test_an_own_type_is_as_strict_as_its_carrier(value: Any) -> None:
    with pytest.raises(ValueError, match="data"):
        Energy(value)


def test_an_own_type_is_taken_where_it_or_its_carrier_is_declared(tmp_path: Path) -> None:
    with hf.Session(tmp_path / "work") as session:
        assert session.result(halve(double(Energy(3.0)))) == 3.0
        assert session.result(Energy([1.0, 2.0])).tolist() == [1.0, 2.0]
    with pytest.raises(hf.GraphError, match=r"'x' as chemistry.Energy, but was given Float64\(1.0\)"):
        halve(1.0)


@pytest.mark.parametrize(
    ("name", "carrier"), [("Energy", float), ("scalems.Mine", float), ("holdfast.Mine", float), ("a.b", dict)]
)
def test_a_declaration_that_cannot_be_is_refused(name: str, carrier: type) -> None:
    with pytest.raises(InvalidData):
        hf.datatype(name, carrier)
