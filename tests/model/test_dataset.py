"""Datasets of xarray come back as they were, and their contents identify them."""

from __future__ import annotations

import json
import sys
from typing import Any

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from holdfast.errors import InvalidData, MissingExtra, UnsupportedValue
from holdfast.model.content import decode, encode
from holdfast.model.dataset import make_dataset, take_dataset


def weather() -> xr.Dataset:
    values = np.arange(12.0).reshape(3, 4)
    found = xr.Dataset(
        {"temperature": (("day", "place"), values, {"unit": "K"}), "count": ((), 7)},
        {
            "day": pd.date_range("2020-01-01", periods=3),
            "place": ("place", np.array(["a", "b", "c", "d"]), {"long": "where"}),
            "height": ("place", np.array([1, 2, 3, 4], "i2")),
            "run": 3,
        },
        {"title": "weather", "levels": [1, 2], "$odd": np.arange(2)},
    )
    found["temperature"].encoding["zlib"] = True
    return found


def back(value: Any) -> Any:
    content = encode(value)
    return decode(content.text, content.arrays.__getitem__)


@pytest.mark.parametrize(
    "value",
    [
        weather(),
        weather()["temperature"],
        weather()["temperature"].rename(None),
        weather()["day"],
        xr.Dataset(),
        xr.DataArray(2.5),
        xr.DataArray(np.zeros((0, 2)), dims=("x", "y"), name="empty"),
    ],
)
def test_every_one_comes_back_identical(value: Any) -> None:
    assert type(back(value)) is type(value)
    assert back(value).identical(value)
    assert encode(back(value)).digest == encode(value).digest
    assert [*back(value).coords] == [*value.coords]


def test_dtypes_are_kept() -> None:
    found, given = back(weather()), weather()
    assert {name: variable.dtype for name, variable in found.variables.items()} == {
        name: variable.dtype for name, variable in given.variables.items()
    }


def test_names_dimensions_attributes_and_order_count_but_not_how_a_file_laid_it_out() -> None:
    plain = xr.Dataset({"a": ("x", [1, 2]), "b": ("x", [3, 4])}, attrs={"k": 1})
    others = [
        plain.rename(a="c"),
        plain.rename(x="y"),
        plain.assign_attrs(k=2),
        plain[["b", "a"]],
        plain.assign_coords(x=[0, 1]),
        plain.astype("int32"),
    ]
    assert len({encode(other).digest for other in (plain, *others)}) == len(others) + 1
    told = plain.copy()
    told["a"].encoding["dtype"] = "int16"
    assert encode(told).digest == encode(plain).digest


@pytest.mark.parametrize(
    ("value", "told"),
    [
        (xr.Dataset({3: ("x", [1])}), "a variable called 3"),
        (xr.DataArray([1], name=3), "a variable called 3"),
        (weather().chunk(), r"not computed yet.*compute\(\)"),
        (xr.Dataset({"a": ("x", np.array([object()]))}), "dtype object"),
        (xr.Dataset(attrs={"a": object()}), "attributes"),
    ],
)
def test_what_cannot_come_back_is_refused_with_its_place(value: Any, told: str) -> None:
    with pytest.raises(UnsupportedValue, match=told):
        encode(value)


@pytest.mark.parametrize(
    "parts",
    [
        None,
        {},
        {"attributes": {}, "coordinates": [], "kind": "Dataset", "variables": [["a"]]},
        {
            "attributes": {},
            "coordinates": [["x", ["x"], [1, 2], {}]],
            "kind": "Dataset",
            "variables": [["a", ["x"], [1], {}]],
        },
        {"attributes": {}, "coordinates": [], "kind": "DataArray", "variables": []},
    ],
)
def test_a_description_that_contradicts_itself_is_refused(parts: Any) -> None:
    with pytest.raises(InvalidData):
        make_dataset(parts)


def test_a_description_is_made_of_plain_parts() -> None:
    found = take_dataset(xr.Dataset({"a": ((), 1.5)}), "the value")
    assert json.dumps({**found, "variables": [[*found["variables"][0][:2], float(found["variables"][0][2])]]})


def test_a_missing_xarray_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    content = encode(weather())
    monkeypatch.setitem(sys.modules, "xarray", None)
    with pytest.raises(MissingExtra, match=r"pip install holdfast\[xarray\]"):
        decode(content.text, content.arrays.__getitem__)
