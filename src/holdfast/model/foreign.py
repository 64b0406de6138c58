"""Recognise the tables and datasets of other libraries by package and name of their class; so none is imported to find out. Pure."""

from __future__ import annotations

from typing import Any

TABLES = {("pandas", "DataFrame"): "pandas", ("polars", "DataFrame"): "polars", ("pyarrow", "Table"): "pyarrow"}
"""Package and name of the classes of tables, and how their library is called."""

DATASETS = {("xarray", "DataArray"), ("xarray", "Dataset")}


def library_of(kind: Any) -> str:
    """Return the library whose table a class is; empty if it is none.

    Examples
    --------
    >>> library_of(dict)
    ''
    """
    return TABLES.get(_names(kind), "")


def is_dataset(kind: Any) -> bool:
    """Return whether a class is one of xarray's two."""
    return _names(kind) in DATASETS


def _names(kind: Any) -> tuple[str, str]:
    module, name = getattr(kind, "__module__", ""), getattr(kind, "__name__", "")
    return (module.partition(".")[0], name) if isinstance(module, str) and isinstance(name, str) else ("", "")
