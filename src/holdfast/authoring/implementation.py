"""Fingerprint the code behind an operation: code is data too.

The implementation lists, by qualified name, a digest of everything of the user's own that the function reaches: its own source,
helpers, classes, decorators, globals, defaults and closures, across modules; installed packages count by name and version. What
belongs to the function's own module is listed under a name that begins with a dot, so that a module may move as a whole. Never runs,
and never imports, what it lists.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from holdfast.authoring.constant import is_code
from holdfast.authoring.distribution import module_of
from holdfast.authoring.extent import SourceText, extent_of
from holdfast.authoring.naming import module_name
from holdfast.authoring.reach import Binding
from holdfast.model.fingerprint import compact_json, data_text, operation_text, uid_of
from holdfast.model.operation import IMPLEMENTATION


@dataclass(frozen=True, slots=True)
class Implementation:
    """The code behind an operation, as data."""

    depends: tuple[str]
    """What a node with this code depends on, the uid alone; one object for all of them."""
    parts: dict[str, str]
    """Digest or version of each thing that the function reaches, by qualified name."""
    bindings: tuple[Binding, ...]
    """What must hold for this to be true still."""
    strange: tuple[str, ...] = ()
    """What the function reaches and nobody can follow, in words."""
    sources: dict[str, SourceText] = field(default_factory=dict)
    """Text of functions, classes and constants, by digest."""

    @property
    def uid(self) -> str:
        """SHA-256 of the implementation's record, 64 hex digits."""
        return self.depends[0]

    def holds(self) -> bool:
        """Return whether every name that the code reads still stands for what it stood for."""
        return all(map(Binding.holds, self.bindings))  # asked for every node that is made


def stated(version: str) -> Implementation:
    """Return the implementation that is known by a word of the user's alone."""
    return _made({"version": version}, (), ())


def implementation_of(function: Callable[..., Any], own_name: str) -> Implementation:
    """Return the implementation of a function.

    Parameters
    ----------
    function : callable
        A function, method, `functools.partial`, or a wrapper around one of these.
    own_name : str
        Name to list the function itself under, so that a script and an import of it agree.
    """
    home, root = _home_of(function), f":{own_name}"
    extent = extent_of(home, root, function)
    made = _made(extent.parts, tuple(extent.bindings.values()), tuple(extent.strange))
    return replace(made, sources=extent.sources)


def _made(parts: dict[str, str], bindings: tuple[Binding, ...], strange: tuple[str, ...]) -> Implementation:
    uid = uid_of(data_text(operation_text(IMPLEMENTATION), compact_json(parts)))
    return Implementation((uid,), dict(sorted(parts.items())), bindings, strange)


def _home_of(function: Any) -> str:
    """Return the module of the function that the user wrote."""
    while True:
        inner = function.func if isinstance(function, partial) else getattr(function, "__wrapped__", None)
        if inner is None or not is_code(inner):
            return module_name(module_of(function))
        function = inner
