"""Choose the format of a file: by what the user named, if that accepts the value, else by the kind of the value.

The choice is about layout only. It never changes a uid, a call key or a digest, and a reader follows the metadata of each
store, so that a directory may hold stores of many formats. Nothing but the code of an operation names pickle.
"""

from __future__ import annotations

from typing import Any

from holdfast.errors import InvalidData
from holdfast.plugins import load_format
from holdfast.storage.format import TEXT, Format, Layout
from holdfast.storage.workdir import WorkDirectory

SETTING = "format"
"""Member of the settings in `holdfast.json` that names the format for arrays."""

DEFAULT = "numpy"

PICKLE = "pickle"
"""Named by an operation that may return and take any object."""


def get_store_type(workdir: WorkDirectory, named: str = "") -> str:
    """Return the name of the format that arrays in new stores get.

    Parameters
    ----------
    workdir : WorkDirectory
        Its settings may name one.
    named : str
        What the operation names: ``@operation(format="hdf5")``; goes before the settings.

    Raises
    ------
    NotFound, MissingExtra
        There is no such format here; says which there are, or what to install.
    InvalidData
        It cannot be named here: ``"table"`` by nobody, ``"pickle"`` not by settings.

    Examples
    --------
    >>> from pathlib import Path
    >>> get_store_type(WorkDirectory(Path("work"), settings={"format": "xdr"}))
    'xdr'
    """
    chosen = named or workdir.settings.get(SETTING, DEFAULT)
    if chosen == "table":
        raise InvalidData(
            "Tables are kept as Arrow files whatever the format is. Name one for arrays, such as 'arrow'."
        )
    if chosen == PICKLE and not named:
        raise InvalidData(
            f"The settings of {workdir.marker} name the format 'pickle', which only an operation can: @hf.operation(format='pickle')."
        )
    load_format(chosen)
    return chosen


def choose_format(layout: Layout, store_type: str = "") -> Format[Any]:
    """Return the format for one value: that of `store_type` if it accepts the layout, else JSON for a text and numpy for an array."""
    usual = "json" if layout.dtype == TEXT else DEFAULT
    if store_type not in ("", DEFAULT):
        form: Format[Any] = load_format(store_type)
        if form.accepts(layout):
            return form
    return load_format(usual)  # type: ignore[no-any-return]
