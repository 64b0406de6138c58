"""Describe the constants that code reads: globals, defaults, closures, class attributes.

A description is the digest of a value, the code that it holds, and what in it cannot be told from one process to the next, such as an
open socket. Never calls a method of the user's, and never changes what it describes.
"""

from __future__ import annotations

import copyreg
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from functools import cached_property, partial
from hashlib import sha256
from types import BuiltinFunctionType, FunctionType, MappingProxyType, MethodType, ModuleType
from typing import Any

from holdfast.authoring.distribution import is_installed, module_of
from holdfast.errors import UnsupportedValue
from holdfast.model.content import encode

_PLAIN = (type(None), bool, int, float, complex, str, bytes, type(Ellipsis), type(NotImplemented), range, slice)
_CODE = (
    FunctionType,
    BuiltinFunctionType,
    MethodType,
    ModuleType,
    type,
    partial,
    property,
    staticmethod,
    classmethod,
    cached_property,
)
_NO_MATTER = ("_thread.lock", "_thread.RLock", "_abc._abc_data")
"""Types of which a value holds nothing that a result could depend on."""

_AS_PLAIN: dict[type, Callable[[Any], object]] = {
    list: list.copy,
    dict: dict.copy,
    set: set.copy,
    tuple: lambda value: tuple.__getitem__(value, slice(None)),
    bytes: lambda value: bytes.__getitem__(value, slice(None)),
    str: str.__str__,
    int: int.__index__,
    float: float.__float__,
    complex: complex.__complex__,
}
"""What an object of a class derived from a built-in type holds, told by that type and not by the class."""


@dataclass(slots=True)
class Description:
    """What is known of a value."""

    digest: str
    reached: list[tuple[str, object]]
    """Code that the value holds, by the place where it stands."""
    strange: list[str]
    """What cannot be followed: place and type."""


@dataclass(slots=True)
class _Walk:
    reached: list[tuple[str, object]] = field(default_factory=list)
    strange: list[str] = field(default_factory=list)
    around: list[object] = field(default_factory=list)
    """The values that hold the present one; kept, so that no two have the same id."""


def describe_constant(value: object, name: str) -> Description:
    """Return the description of a value that code knows as `name`."""
    walk = _Walk()
    digest = sha256(_text(value, name, walk).encode("utf-8", "surrogatepass")).hexdigest()
    return Description(digest, walk.reached, walk.strange)


def is_code(item: object) -> bool:
    """Return whether a thing counts by its code and not by its value."""
    if isinstance(item, _CODE) or is_operation(item) or type(item).__name__ == "cython_function_or_method":
        return True
    return not isinstance(item, _PLAIN) and isinstance(getattr(item, "__wrapped__", None), _CODE)


def is_operation(item: object) -> bool:
    """Return whether a thing is an operation or a graph function of ours."""
    return type(item).__module__ == "holdfast.authoring.decorate"


def is_changeable(value: object) -> bool:
    """Return whether a value may change without its name being bound anew."""
    if isinstance(value, _PLAIN) or is_code(value):
        return False
    return (
        isinstance(value, (list, dict, set, bytearray, MappingProxyType))
        or hasattr(value, "dtype")
        or not is_installed(module_of(value))
    )


def _text(value: object, name: str, walk: _Walk) -> str:
    if type(value) in _PLAIN:
        return f"{type(value).__name__} {value!r}"
    if is_code(value):
        walk.reached.append((name, value))
        return f"code {_name_of(value)}"
    if any(value is outer for outer in walk.around):
        return "itself"
    walk.around.append(value)
    try:
        return f"{_name_of(type(value))} {_inner_text(value, name, walk)}"
    finally:
        walk.around.pop()


def _inner_text(value: Any, name: str, walk: _Walk) -> str:
    kind = type(value)
    if kind in (list, tuple):
        return _listed(value, name, walk)
    if kind in (set, frozenset):
        return "".join(sorted(_framed(_text(item, f"{name}[...]", walk)) for item in value))
    if kind in (dict, MappingProxyType):
        return _mapped(value, name, walk)
    if isinstance(value, Enum):
        walk.reached.append((name, kind))
        return str(value._name_)  # `name` may be a property of the user's
    if hasattr(value, "dtype"):
        try:
            return encode(value).digest.hex()
        except UnsupportedValue:  # an array of objects
            pass
    if not is_installed(kind.__module__):
        walk.reached.append((f"{name}.__class__", kind))
        return _mapped(_members(value), name, walk)
    return _reduced(value, name, walk)


def _listed(items: Any, name: str, walk: _Walk) -> str:
    return "".join(_framed(_text(item, f"{name}[{index}]", walk)) for index, item in enumerate(items))


def _mapped(items: Mapping[Any, object], name: str, walk: _Walk) -> str:
    found = []
    for key, item in items.items():
        place = f"{name}[{key!r}]" if type(key) in _PLAIN else f"{name}[{getattr(key, '__name__', '...')}]"
        found.append(_framed(_text(key, place, walk)) + _framed(_text(item, place, walk)))
    return "".join(found)


def _framed(text: str) -> str:
    """Return a text with its length, so that no two lists of texts look alike when joined."""
    return f"{len(text)}:{text}"


def _members(value: object) -> dict[str, object]:
    """Return what an object of the user's own holds, without asking its code."""
    found: dict[str, object] = {}
    for kind in reversed(type(value).__mro__):
        slots = vars(kind).get("__slots__", ())
        for slot in (slots,) if isinstance(slots, str) else slots:
            member: Any = vars(kind).get(slot)
            if hasattr(member, "__get__") and slot not in ("__dict__", "__weakref__"):
                try:
                    found[slot] = member.__get__(value, kind)
                except AttributeError:  # not assigned yet
                    continue
    for builtin, plain in _AS_PLAIN.items():
        if isinstance(value, builtin):
            found["<value>"] = plain(value)
    found.update(getattr(value, "__dict__", {}))
    return found


def _reduced(value: object, name: str, walk: _Walk) -> str:
    """Describe an object of an installed type by what pickle would keep of it."""
    kind = f"{type(value).__module__}.{type(value).__qualname__}"
    if kind in _NO_MATTER:
        return ""
    reduce: Callable[[Any], Any] | None = copyreg.dispatch_table.get(type(value))
    try:
        found = reduce(value) if reduce is not None else value.__reduce_ex__(4)
    except Exception:  # whatever a type raises that cannot be pickled
        walk.strange.append(f"{name}, a {kind}")
        return ""
    if isinstance(found, str):
        if not found.replace(".", "").isidentifier():  # a name under which nobody finds it, as of numpy.frompyfunc
            walk.strange.append(f"{name}, a {kind}")
        return found
    parts = [list(part) if hasattr(type(part), "__next__") else part for part in found]
    return _listed(parts, name, walk)


def _name_of(item: object) -> str:
    """Return the name of a thing of code; empty where it is made anew each time, as a lambda."""
    inner = getattr(item, "function", item) if is_operation(item) else item
    name = str(getattr(inner, "__qualname__", None) or getattr(inner, "__name__", ""))
    return "" if "<" in name else name
