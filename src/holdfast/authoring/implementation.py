"""Fingerprint the code behind an operation: code is data too.

The implementation lists, by qualified name, a digest of everything of the user's own that the function reaches: its own source,
helpers, classes, globals, defaults and closures, across modules; installed packages count by name and version. Never runs, and
never imports, what it lists.
"""

from __future__ import annotations

import importlib.util
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, partial
from hashlib import sha256
from types import BuiltinFunctionType, CodeType, FunctionType, MethodType, ModuleType
from typing import Any

from holdfast.authoring.naming import module_name
from holdfast.authoring.source import class_source, code_digest, function_source, source_digest
from holdfast.errors import UnstableCode, UnsupportedValue
from holdfast.model.content import encode
from holdfast.model.fingerprint import compact_json, data_text, operation_text, uid_of
from holdfast.model.operation import IMPLEMENTATION

_IMPORT = re.compile(r"^\s*(?:from\s+([\w.]+)\s+import|import\s+([\w., ]+))", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Binding:
    """A name that the code read, and what it stood for; a change makes the implementation stale."""

    namespace: dict[str, Any]
    name: str
    value: object
    digest: str
    """Of a list, dictionary, set or array, which may change in place; else empty."""

    def holds(self) -> bool:
        """Return whether the name still stands for the same."""
        return self.namespace.get(self.name) is self.value and (
            not self.digest or _value_digest(self.value) == self.digest
        )


@dataclass(frozen=True, slots=True)
class Implementation:
    """The code behind an operation, as data."""

    uid: str
    """SHA-256 of the implementation's record, 64 hex digits."""
    parts: dict[str, str]
    """Digest or version of each thing that the function reaches, by qualified name."""
    bindings: tuple[Binding, ...]
    """What must hold for this to be true still."""

    def holds(self) -> bool:
        """Return whether every name that the code reads still stands for what it stood for."""
        return all(binding.holds() for binding in self.bindings)


def stated(version: str) -> Implementation:
    """Return the implementation that is known by a word of the user's alone."""
    return _made({"version": version}, ())


def implementation_of(function: FunctionType, own_name: str) -> Implementation:
    """Return the implementation of a function.

    Parameters
    ----------
    function : function
    own_name : str
        Name to list the function itself under, so that a script and an import of it agree.
    """
    parts: dict[str, str] = {}
    bindings: list[Binding] = []
    seen: set[int] = set()
    waiting: list[tuple[str, object]] = [(own_name, function)]
    while waiting:
        name, item = waiting.pop()
        if id(item) in seen and not _is_plain(item):
            continue
        seen.add(id(item))
        waiting.extend(_list_part(name, item, parts, bindings))
    return _made(parts, tuple(bindings))


def _made(parts: dict[str, str], bindings: tuple[Binding, ...]) -> Implementation:
    uid = uid_of(data_text(operation_text(IMPLEMENTATION), compact_json(parts)))
    return Implementation(uid, dict(sorted(parts.items())), bindings)


def _list_part(name: str, item: object, parts: dict[str, str], bindings: list[Binding]) -> list[tuple[str, object]]:
    """Note one reached thing in `parts`, and return what it reaches in turn."""
    if isinstance(item, MethodType):
        return [(f"{name}.__func__", item.__func__), (f"{name}.__self__", item.__self__)]
    if isinstance(item, partial):
        return [(f"{name}.func", item.func), (f"{name}.args", item.args), (f"{name}.keywords", item.keywords)]
    inner = getattr(item, "function", None)
    if type(item).__module__.startswith("holdfast.") and isinstance(inner, FunctionType):
        return [(name, inner)]
    if isinstance(item, ModuleType) or not _is_users(item):
        version = _installed_version(item)
        if version:
            parts[version[0]] = version[1]
        return []
    if isinstance(item, FunctionType):
        return _list_function(name, item, parts, bindings)
    if isinstance(item, type):
        return _list_class(name, item, parts)
    parts[name] = _value_digest(item)
    return _code_within(name, item) if _is_plain(item) else [(f"{name}.__class__", type(item))]


def _code_within(name: str, item: object) -> list[tuple[str, object]]:
    """Return functions and classes that a list or mapping holds."""
    members = item.items() if isinstance(item, dict) else enumerate(item) if isinstance(item, (list, tuple)) else ()
    return [
        (_qualified(f"{name}[{key!r}]", value), value)
        for key, value in members
        if isinstance(value, (FunctionType, type))
    ]


def _list_function(
    name: str, function: FunctionType, parts: dict[str, str], bindings: list[Binding]
) -> list[tuple[str, object]]:
    try:
        source = function_source(function)
        parts[name] = source_digest(source)
        for module in _imported_within(source):
            parts.setdefault(*_module_part(module))
    except UnstableCode:
        parts[name] = code_digest(function.__code__)
    reached: list[tuple[str, object]] = []
    home = module_name(function.__module__)
    for global_name in sorted(_names(function.__code__) & function.__globals__.keys()):
        value = function.__globals__[global_name]
        bindings.append(_binding(function.__globals__, global_name, value))
        reached += _through_modules(f"{home}.{global_name}", value, function.__code__, bindings)
    reached += [(f"{name}.<{cell_name}>", value) for cell_name, value in _closure(function)]
    defaults: dict[object, object] = dict(enumerate(function.__defaults__ or ()))
    defaults.update(function.__kwdefaults__ or {})
    reached += [(f"{name}.<default {label}>", value) for label, value in defaults.items()]
    if (wrapped := getattr(function, "__wrapped__", None)) is not None:
        reached.append((f"{name}.__wrapped__", wrapped))
    return [(_qualified(label, value), value) for label, value in reached]


def _through_modules(name: str, value: object, code: CodeType, bindings: list[Binding]) -> list[tuple[str, object]]:
    """Return `value`, or, if it is a module of the user's, what of it the code names."""
    if not isinstance(value, ModuleType) or _is_installed(value):
        return [(name, value)]
    reached: list[tuple[str, object]] = []
    for attribute in sorted(_names(code)):
        if attribute in vars(value):
            bindings.append(_binding(vars(value), attribute, vars(value)[attribute]))
            reached += _through_modules(
                f"{module_name(value.__name__)}.{attribute}", vars(value)[attribute], code, bindings
            )
    return reached


def _list_class(name: str, kind: type, parts: dict[str, str]) -> list[tuple[str, object]]:
    try:
        parts[name] = source_digest(class_source(kind))
    except UnstableCode:
        parts[name] = "no source"
    methods = [(f"{name}.{label}", _unwrapped(value)) for label, value in vars(kind).items()]
    reached = [(label, value) for label, value in methods if isinstance(value, FunctionType)]
    return reached + [(_qualified(base.__name__, base), base) for base in kind.__bases__]


def _unwrapped(value: object) -> object:
    if isinstance(value, property):
        return value.fget
    return getattr(value, "__func__", value)


def _names(code: CodeType) -> set[str]:
    found: set[str] = set()
    waiting = [code]
    while waiting:
        current = waiting.pop()
        found.update(current.co_names)
        waiting.extend(item for item in current.co_consts if isinstance(item, CodeType))
    return found


def _closure(function: FunctionType) -> Iterator[tuple[str, object]]:
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
        try:
            yield name, cell.cell_contents
        except ValueError:  # not filled yet
            continue


def _binding(namespace: dict[str, Any], name: str, value: object) -> Binding:
    changeable = isinstance(value, (list, dict, set)) or type(value).__module__ == "numpy"
    return Binding(namespace, name, value, _value_digest(value) if changeable else "")


def _qualified(name: str, value: object) -> str:
    if isinstance(value, (FunctionType, type)) and "<" not in value.__qualname__:
        return f"{module_name(value.__module__)}.{value.__qualname__}"
    return name


def _is_plain(item: object) -> bool:
    return item is None or isinstance(item, (int, float, complex, str, bytes, bool, tuple, list, dict, set, frozenset))


def _value_digest(value: object) -> str:
    try:
        return encode(value).digest.hex()
    except UnsupportedValue:
        pass
    if isinstance(value, (set, frozenset)):
        return sha256(repr(sorted(map(repr, value))).encode()).hexdigest()
    if isinstance(value, (list, tuple)):
        return sha256("|".join(map(_value_digest, value)).encode()).hexdigest()
    if isinstance(value, dict):
        return sha256("|".join(f"{key!r}:{_value_digest(item)}" for key, item in value.items()).encode()).hexdigest()
    if isinstance(value, (FunctionType, type)):
        return f"{value.__module__}.{value.__qualname__}"
    members = getattr(value, "__dict__", None)
    if isinstance(members, dict) and members and _is_users(type(value)):
        return _value_digest({key: item for key, item in members.items() if _is_plain(item)})
    return f"{type(value).__module__}.{type(value).__qualname__}"


def _is_users(item: object) -> bool:
    """Return whether a thing is the user's own: of no installed package, or a plain value."""
    if _is_plain(item):
        return True
    if isinstance(item, BuiltinFunctionType):
        return False
    owner = item if isinstance(item, (FunctionType, type)) else type(item)
    if owner.__module__ == "numpy" and not isinstance(item, (FunctionType, type)):
        return hasattr(item, "dtype")
    module = sys.modules.get(owner.__module__)
    return owner.__module__ not in ("builtins", "typing") and (module is None or not _is_installed(module))


def _is_installed(module: ModuleType) -> bool:
    if module.__name__ == "__main__":
        return False
    path = getattr(module, "__file__", None)
    return _is_installed_path(path) if path else module.__name__.partition(".")[0] in sys.stdlib_module_names


def _is_installed_path(path: str) -> bool:
    return path.startswith((*_installation_folders(), "<frozen"))


@cache
def _installation_folders() -> tuple[str, ...]:
    """Return where installed packages live, holdfast itself among them."""
    import sysconfig

    here = __file__.rpartition("authoring")[0]
    return (here, *sorted({sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")}))


def _installed_version(item: object) -> tuple[str, str] | None:
    module = (
        item.__name__ if isinstance(item, ModuleType) else getattr(item, "__module__", None) or type(item).__module__
    )
    return _package_version(module.partition(".")[0])


def _package_version(package: str) -> tuple[str, str] | None:
    if package in sys.stdlib_module_names or package in ("holdfast", ""):
        return None
    version = getattr(sys.modules.get(package), "__version__", None)
    if not isinstance(version, str):
        from importlib import metadata

        try:
            version = metadata.version(package)
        except (metadata.PackageNotFoundError, ValueError):
            return None
    return f"package {package}", version


def _imported_within(source: str) -> list[str]:
    """Return the modules that a function imports in its body."""
    found = [first or rest for first, rest in _IMPORT.findall(source)]
    return sorted({name.strip().split(" ")[0] for entry in found for name in entry.split(",") if name.strip()})


def _module_part(module: str) -> tuple[str, str]:
    """Return name and digest of a module imported in a function's body: of its whole file, or its package's version."""
    loaded = sys.modules.get(module)
    path = getattr(loaded, "__file__", None)
    if loaded is None:
        top = sys.modules.get(module.partition(".")[0])
        spec = None if top is not None and "." in module else importlib.util.find_spec(module.partition(".")[0])
        path = spec.origin if spec else None
    if isinstance(path, str) and path.endswith(".py") and not _is_installed_path(path):
        with open(path, encoding="utf-8") as stream:
            return f"module {module}", source_digest(stream.read())
    return _package_version(module.partition(".")[0]) or (f"module {module.partition('.')[0]}", "standard library")
