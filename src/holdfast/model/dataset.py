"""Say what a Dataset or DataArray of xarray consists of, in lists, mappings and arrays, and make one of that again.

Variables, coordinates and their order, dimensions, attributes and names count; how a file once laid them out (`encoding`) does not.
Indexes are made again from the coordinates of dimensions. Pure; xarray is imported to make one.
"""

from __future__ import annotations

from typing import Any

from holdfast.errors import InvalidData, MissingExtra, UnsupportedValue


def take_dataset(value: Any, where: str) -> dict[str, Any]:
    """Return what a Dataset or DataArray consists of.

    Raises
    ------
    UnsupportedValue
        A name is no string, or values are not computed yet.
    """
    kind = type(value).__name__
    coords = [_take(name, variable.variable, where) for name, variable in value.coords.items()]
    if kind == "DataArray":
        if value.name is not None and type(value.name) is not str:
            raise _unnamed(where, value.name)
        own = [[value.name, *_take("", value.variable, where)[1:]]]
    else:
        own = [_take(name, variable.variable, where) for name, variable in value.data_vars.items()]
    return {"attributes": dict(value.attrs), "coordinates": coords, "kind": kind, "variables": own}


def make_dataset(parts: Any) -> Any:
    """Return the Dataset or DataArray that was taken apart; its arrays are those given.

    Raises
    ------
    InvalidData
        It is no description of one.
    MissingExtra
        xarray is not installed.
    """
    try:
        import xarray
    except ModuleNotFoundError as error:
        raise MissingExtra("a dataset of xarray", "xarray") from error
    try:
        coords = {name: (dims, values, attributes) for name, dims, values, attributes in parts["coordinates"]}
        if parts["kind"] == "DataArray":
            ((name, dims, values, attributes),) = parts["variables"]
            return xarray.DataArray(values, coords, dims, name=name, attrs=attributes)
        own = {name: (dims, values, attributes) for name, dims, values, attributes in parts["variables"]}
        return xarray.Dataset(own, coords, parts["attributes"])
    except (ValueError, TypeError, KeyError) as error:
        raise InvalidData(f"the description of a dataset contradicts itself: {error}") from error


def _take(name: Any, variable: Any, where: str) -> list[Any]:
    if type(name) is not str:
        raise _unnamed(where, name)
    if variable.chunks is not None:
        raise UnsupportedValue(f"{where}[{name!r}]", "not computed yet", "Return its values: dataset.compute().")
    return [name, [*variable.dims], variable.values, dict(variable.attrs)]


def _unnamed(where: str, name: Any) -> UnsupportedValue:
    return UnsupportedValue(
        where, f"a dataset with a variable called {name!r:.60}", "Call it by a string: dataset.rename(...)."
    )
