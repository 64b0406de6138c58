"""Find an engine or a format by name, and load it late.

A name stands either in the tables here or in an entry point of an installed package (groups `holdfast.engines` and
`holdfast.formats`). Built-in names win, so no package can replace them. Nothing is imported before it is asked for,
and entry points are only read for a name that is not built in.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any

from holdfast.errors import MissingExtra, NotFound

ENGINES: Mapping[str, str] = {
    "in_process": "holdfast.engines.in_process:InProcessEngine",
    "threads": "holdfast.engines.threads:ThreadsEngine",
    "processes": "holdfast.engines.processes:ProcessesEngine",
    "executor": "holdfast.engines.executor:ExecutorEngine",
}
"""Built-in engines: name to `module:class`."""

FORMATS: Mapping[str, str] = {
    "arrow": "holdfast.formats.arrow:ArrowFormat",
    "hdf5": "holdfast.formats.hdf5:Hdf5Format",
    "json": "holdfast.formats.json:JsonFormat",
    "numpy": "holdfast.formats.numpy:NumpyFormat",
    "pickle": "holdfast.formats.verbatim:PickleFormat",
    "table": "holdfast.formats.verbatim:TableFormat",
    "xdr": "holdfast.formats.xdr:XdrFormat",
}
"""Built-in formats: name to `module:class`."""

EXTRAS: Mapping[str, str] = {}
"""Engines and formats that need an extra of `pyproject.toml`: name to extra."""


def load_engine(name: str) -> type[Any]:
    """Return the class of an engine.

    Parameters
    ----------
    name : str
        As the user writes it: ``"threads"``.

    Raises
    ------
    NotFound
        No such engine; the message lists those that are known.
    MissingExtra
        The engine needs a package that is not installed; the message says how to install it.
    """
    return _load("engine", name, ENGINES)


def load_format(name: str) -> Any:
    """Return an instance of a format, a `holdfast.storage.format.Format`.

    Parameters
    ----------
    name : str
        As metadata say it: ``"numpy"``.

    Raises
    ------
    NotFound, MissingExtra
        As for `load_engine`.
    """
    return _load("format", name, FORMATS)()


def _load(kind: str, name: str, table: Mapping[str, str]) -> type[Any]:
    if name not in table:
        return _load_entry_point(kind, name, table)
    module, _, attribute = table[name].partition(":")
    try:
        return getattr(import_module(module), attribute)  # type: ignore[no-any-return]
    except ModuleNotFoundError as error:
        if (error.name or "holdfast").partition(".")[0] == "holdfast":
            raise
        raise MissingExtra(f"{kind} {name!r}", EXTRAS.get(name, name)) from error


def _load_entry_point(kind: str, name: str, table: Mapping[str, str]) -> type[Any]:
    # Reading the metadata of every installed package takes tens of milliseconds: only for names that are not built in.
    from importlib.metadata import entry_points

    offered = entry_points(group=f"holdfast.{kind}s")
    if name not in offered.names:
        known = ", ".join(sorted({*table, *offered.names}))
        raise NotFound(
            f"There is no {kind} {name!r}. Known are: {known}. "
            "Check the spelling, or install the package that brings it."
        )
    try:
        return offered[name].load()  # type: ignore[no-any-return]
    except (ImportError, AttributeError) as error:
        raise NotFound(
            f"The {kind} {name!r} is announced as {offered[name].value} but cannot be loaded: {error}. "
            "Reinstall the package that brings it."
        ) from error
