"""Name the user's modules, so that one file has one name however it is run.

A script is named after its file, never `__main__`: `python adaptive.py`, `holdfast run adaptive.py:final` and an import agree.
A notebook's functions carry the notebook's name where it can be known, else `notebook`.
"""

from __future__ import annotations

import os
import sys

from holdfast.errors import UnstableCode
from holdfast.model.operation import OperationName


def module_name(module: str) -> str:
    """Return the lasting name of a module, given the one it is loaded under."""
    if module != "__main__":
        return module
    main = sys.modules["__main__"]
    spec = getattr(main, "__spec__", None)
    if spec is not None and spec.name:
        return str(spec.name.removesuffix(".__main__"))
    path = (
        getattr(main, "__file__", None)
        or getattr(main, "__vsc_ipynb_file__", None)
        or os.environ.get("JPY_SESSION_NAME")
    )
    return _stem(path) if path else "notebook"


def operation_name(function: object, name: str | None) -> OperationName:
    """Return the name of an operation: `name` if the user gave one, else module and qualified name of the function.

    Raises
    ------
    UnstableCode
        The function has neither module nor name.
    """
    if name is not None:
        parts = name.split(".")
        return OperationName(tuple(parts if len(parts) > 1 else [*module_name(_module_of(function)).split("."), name]))
    qualname = getattr(function, "__qualname__", None)
    if not isinstance(qualname, str):
        raise UnstableCode(f"{function!r} has no name. Give it one: hf.operation(name='analysis.fit').")
    words = [word.strip("<>") for word in qualname.split(".") if word != "<locals>"]
    return OperationName((*module_name(_module_of(function)).split("."), *words))


def _module_of(function: object) -> str:
    return getattr(function, "__module__", None) or "notebook"


def _stem(path: str) -> str:
    return os.path.splitext(os.path.basename(path))[0].replace(".", "_").replace(" ", "_") or "notebook"
