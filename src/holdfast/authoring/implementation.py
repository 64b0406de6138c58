"""Fingerprint the code behind an operation: code is data too.

The implementation lists, by qualified name, a digest of everything of the user's own that the function reaches: its own source,
helpers, classes, decorators, globals, defaults and closures, across modules; installed packages count by name and version. What
belongs to the function's own module is listed under a name that begins with a dot, so that a module may move as a whole. Never runs,
and never imports, what it lists.

State: the texts of the functions and classes met lately.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import lru_cache, partial
from reprlib import Repr
from types import FunctionType
from typing import Any

from holdfast.authoring.constant import is_code
from holdfast.authoring.distribution import module_of
from holdfast.authoring.naming import module_name
from holdfast.authoring.reach import Binding, Reach, reach_of
from holdfast.authoring.source import Same, class_source, function_source
from holdfast.errors import UnstableCode
from holdfast.model.fingerprint import compact_json, data_text, operation_text, uid_of
from holdfast.model.operation import IMPLEMENTATION

SHOWN = Repr()
SHOWN.maxstring = SHOWN.maxother = 200
SHOWN.maxlist = SHOWN.maxtuple = SHOWN.maxset = SHOWN.maxfrozenset = SHOWN.maxdict = 20
"""How constants are kept for people."""


@dataclass(frozen=True, slots=True)
class SourceText:
    """What stands behind a digest among the parts, for people; it never identifies."""

    place: str
    """File and line; empty for a constant."""
    text: str


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
    parts: dict[str, str] = {}
    sources: dict[str, SourceText] = {}
    bindings: dict[tuple[int, str], Binding] = {}
    strange: dict[str, None] = {}
    seen: dict[int, object] = {}
    waiting: list[tuple[str, object]] = [(root, function)]
    while waiting:
        label, item = waiting.pop()
        if id(item) in seen:
            continue
        seen[id(item)] = item  # kept, so that no two things have the same id
        reach = reach_of(label, item, keep_label=label == root)
        for name, digest in reach.parts:
            _note(_name_of(name, home), digest, parts)
        bindings.update(reach.bindings)
        strange.update(dict.fromkeys(reach.strange))
        waiting.extend(reach.code)
        sources.update(_texts_behind(item, reach))
    return replace(_made(parts, tuple(bindings.values()), tuple(strange)), sources=sources)


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


def _texts_behind(item: object, reach: Reach) -> dict[str, SourceText]:
    """Return what people want to see of a reached thing, whose own digest comes first, and of the constants that it reads."""
    texts: dict[str, SourceText] = {}
    if reach.parts and isinstance(item, (FunctionType, type)) and (own := _text_of(Same(item))) is not None:
        texts[reach.parts[0][1]] = own
    constants = [binding for binding in reach.bindings.values() if not is_code(binding.value)]
    digests = {label.replace(":", ".").rpartition(".")[2]: digest for label, digest in reach.parts} if constants else {}
    for binding in constants:
        if binding.name in digests:
            texts.setdefault(digests[binding.name], SourceText("", SHOWN.repr(binding.value)))
    return texts


@lru_cache(maxsize=1 << 14)
def _text_of(same: Same) -> SourceText | None:
    """Return the source of a function or class; None if it cannot be read."""
    item: Any = same.item
    try:
        if isinstance(item, FunctionType):
            place = f"{item.__code__.co_filename}:{item.__code__.co_firstlineno}"
            return SourceText(place, function_source(item.__code__).text)
        return SourceText(getattr(sys.modules.get(item.__module__), "__file__", None) or "", class_source(item).text)
    except UnstableCode:
        return None


def _name_of(label: str, home: str) -> str:
    """Return the name under which a thing is listed."""
    module, found, name = label.partition(":")
    if not found or not module:
        return name or module
    return f".{name}" if module == home else f"{module}.{name}"


def _note(name: str, digest: str, parts: dict[str, str]) -> None:
    """List a digest under a name, or under the next free one if the name stands for something else."""
    while parts.setdefault(name, digest) != digest:
        name += "'"
