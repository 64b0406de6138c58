"""List what one piece of code comes down to, and what it reaches in turn: names, closures, defaults, members, decorators.

A thing is known by a label, `module:qualified.name`, or by where it was found if it has no name of its own. Never runs, and never
imports, what it lists.

State: what was found of each named function and class, until a name that it reads stands for something else; and of each text.
"""

from __future__ import annotations

import ast
import builtins
import linecache
import sys
import types
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property, lru_cache, partial
from hashlib import sha256
from inspect import cleandoc, unwrap
from types import BuiltinFunctionType, FunctionType, MethodType, ModuleType
from typing import Any

from holdfast.authoring.constant import describe_constant, is_changeable, is_code, is_operation
from holdfast.authoring.distribution import compiled_part, installed_name, installed_part, is_installed, module_of
from holdfast.authoring.imported import parts_of_import
from holdfast.authoring.member import is_of_python
from holdfast.authoring.naming import module_name
from holdfast.authoring.reading import Chain, Reading, chains_of, reading_of
from holdfast.authoring.source import Same, Source, class_source, code_digest, function_source, source_digest
from holdfast.errors import UnstableCode

_DYNAMIC = {("eval",), ("exec",), ("__import__",), ("globals",), ("importlib", "import_module"), ("import_module",)}
"""What reaches code by a name that is only known when it runs."""

_NO_TEXT = "no source"

Reached = list[tuple[str, object]]


@dataclass(frozen=True, slots=True)
class Binding:
    """A name that the code read, and what it stood for; a change makes the implementation stale."""

    namespace: Mapping[str, Any]
    name: str
    value: object
    digest: str
    """Of a list, dictionary, set, array or object, which may change in place; else empty."""

    def holds(self) -> bool:
        """Return whether the name still stands for the same."""
        return self.namespace.get(self.name) is self.value and (
            not self.digest or describe_constant(self.value, self.name).digest == self.digest
        )


@dataclass(frozen=True, slots=True)
class _Text:
    """What the text of one function or class tells, wherever it is reached from."""

    digest: str
    text: str | None = None
    """None if it cannot be read."""
    decorators: tuple[tuple[Chain, str, tuple[Chain, ...]], ...] = ()
    """Of each decorator: its name, the digest of its expression, and what that reads."""


@dataclass(slots=True)
class Reach:
    """What one thing comes down to."""

    parts: list[tuple[str, str]] = field(default_factory=list)
    """Digest or version of the thing and of the constants that it reads, by label."""
    code: Reached = field(default_factory=list)
    """Functions, classes and the like that it reaches, by label."""
    bindings: dict[tuple[int, str], Binding] = field(default_factory=dict)
    """What must hold for this to be true still, by namespace and name."""
    strange: list[str] = field(default_factory=list)
    """What cannot be followed, in words."""
    is_lasting: bool = False
    """Whether it is the same wherever the thing was found, as long as the bindings hold."""
    texts: Mapping[str, Any] | None = None
    """What people want to see of it, by digest; None before that was asked for."""

    def holds(self) -> bool:
        """Return whether every name that was read still stands for what it stood for."""
        return all(binding.holds() for binding in self.bindings.values())

    def add(self, reached: Reached) -> None:
        """List what is reached: code to be followed, constants by their digests."""
        for label, item in reached:
            if is_code(item):
                self.code.append((label, item))
                self.parts += [(label, name)] if (name := installed_name(item)) else []
                continue
            found = describe_constant(item, label.replace(":", ".", 1))
            self.parts.append((label, found.digest))
            self.code += [
                (f"{label}{place.removeprefix(label.replace(':', '.', 1))}", code) for place, code in found.reached
            ]
            self.strange += found.strange

    def bind(self, namespace: Mapping[str, Any], name: str) -> Any:
        """Return what a name stands for, and note that it counts."""
        value = namespace[name]
        key = (id(namespace), name)
        if key not in self.bindings:
            digest = describe_constant(value, name).digest if is_changeable(value) else ""
            self.bindings[key] = Binding(namespace, name, value, digest)
        return value


@dataclass(slots=True)
class _Known:
    """What was last found under a label."""

    item: object = None
    reach: Reach = field(default_factory=Reach)


def reach_of(label: str, item: object, *, keep_label: bool = False) -> Reach:
    """Return what a piece of code comes down to.

    Parameters
    ----------
    label : str
        Where it was found.
    item : object
        A function, class, module, method, partial, operation, or a wrapper around one.
    keep_label : bool
        Whether to list it under `label` although it has a name of its own.
    """
    if isinstance(item, (FunctionType, type)):
        qualname = item.__qualname__ if isinstance(item, type) else item.__code__.co_qualname
        if keep_label or "<" in qualname or _is_homeless(item):
            return _listed(label, item)
        return _listed_once(f"{module_name(module_of(item))}:{qualname}", item)
    reach = Reach()
    if is_operation(item):
        version = getattr(item, "version", None)
        reach.is_lasting = version is None
        reach.parts += [(label, f"version {version}")] if version is not None else []
        reach.code += [(label, item.function)] if version is None else []  # type: ignore[attr-defined]
    elif (inner := _inner_code(label, item)) is not None:
        reach.add(inner)
    elif isinstance(item, ModuleType):
        reach.is_lasting = not _is_users(item, reach)
        if not reach.is_lasting:  # as a whole: nobody knows what of it is read
            reach.parts += parts_of_import(item.__name__, ()).items()
    else:
        _is_users(item, reach)
        kept = [(name, each) for name, each in getattr(item, "__dict__", {}).items() if is_code(each)]
        reach.code += [(f"{label}.{name}", each) for name, each in kept if not _is_foreign(each)]
        _list_wrapped(label, item, reach)
        reach.is_lasting = is_installed(module_of(item)) and all(_is_foreign(each) for _, each in reach.code)
    return reach


def text_of(item: FunctionType | type) -> str | None:
    """Return the source of a function or class; None if it cannot be read."""
    text = _text_of_class(Same(item)) if isinstance(item, type) else _text_of_function(Same(item.__code__))
    return text.text


def _is_homeless(item: FunctionType | type) -> bool:
    """Return whether a thing was made by `exec` without a module's name, or by a module of Python's for the user."""
    if isinstance(item, FunctionType):
        return item.__globals__.get("__name__") is None
    return item.__module__ == "types" and not hasattr(types, item.__name__)


def _list_wrapped(label: str, item: object, reach: Reach) -> None:
    """List what a decorator keeps of the function that it was given."""
    if (wrapped := getattr(item, "__wrapped__", None)) is not None:
        reach.code.append((f"{label}.__wrapped__", wrapped))


@lru_cache(maxsize=1 << 14)
def _known(label: str) -> _Known:
    """Return the one place where to keep what is found under a label."""
    return _Known()


def _listed_once(label: str, item: FunctionType | type) -> Reach:
    known = _known(label)
    if known.item is not item or not known.reach.holds():
        known.item, known.reach = item, _listed(label, item)
        known.reach.is_lasting = True
    return known.reach


def _listed(label: str, item: FunctionType | type) -> Reach:
    reach = Reach()
    is_users = _is_homeless(item) or _is_users(item, reach)
    if isinstance(item, type):
        if is_users:
            _list_class(label, item, reach)
        return reach
    if is_users:
        _list_function(label, item, reach)
    elif _is_made_for_user(item):
        kept = [(f"{label}.{name}", reach.bind(vars(item), name)) for name in vars(item) if name != "__wrapped__"]
        reach.add([part for part in [*_enclosed(label, item), *kept] if not _is_foreign(part[1])])
    _list_wrapped(label, item, reach)
    return reach


def _inner_code(name: str, item: object) -> Reached | None:
    """Return what a thing is made of that has no code of its own."""
    if isinstance(item, MethodType):
        return [(f"{name}.__func__", item.__func__), (f"{name}.__self__", item.__self__)]
    if isinstance(item, partial):
        return [(f"{name}.func", item.func), (f"{name}.args", item.args), (f"{name}.keywords", item.keywords)]
    if isinstance(item, property):
        accessors = [(name, item.fget), (f"{name}.setter", item.fset), (f"{name}.deleter", item.fdel)]
        return [(label, accessor) for label, accessor in accessors if accessor is not None]
    if isinstance(item, (staticmethod, classmethod)):
        return [(name, item.__func__)]
    if isinstance(item, cached_property):
        return [(name, item.func)]
    if isinstance(item, BuiltinFunctionType) and not _is_of_module(item):
        return [(f"{name}.__self__", item.__self__)]
    return None


def _is_of_module(item: BuiltinFunctionType) -> bool:
    """Return whether a compiled function is one of a module, and not a method of some object."""
    if item.__self__ is None or isinstance(item.__self__, (ModuleType, type)):
        return True
    home = sys.modules.get(type(item.__self__).__module__)  # random.random is a method of a hidden generator
    return getattr(home, item.__name__, None) == item


def _is_users(item: object, reach: Reach) -> bool:
    """Return whether a thing is the user's own and has readable code; if not, note its distribution or file."""
    module = module_of(item)
    part = installed_part(module) if is_installed(module) else compiled_part(module)
    if part is not None:
        reach.parts.append(part)
    return not is_installed(module)


def _is_made_for_user(item: FunctionType) -> bool:
    """Return whether an installed decorator made a function of one of the user's: what it was given counts too."""
    inner = [getattr(item, "__wrapped__", None), *(value for _, value in _enclosed("", item))]
    return any(is_code(each) and not is_installed(module_of(unwrap(each))) for each in inner)  # type: ignore[arg-type]


def _is_foreign(item: object) -> bool:
    if isinstance(item, FunctionType) and _is_made_for_user(item):
        return False
    return is_installed(module_of(item)) and module_of(item) != "builtins"


def _list_function(label: str, function: FunctionType, reach: Reach) -> None:
    linecache.lazycache(function.__code__.co_filename, function.__globals__)
    text, reading = _text_of_function(Same(function.__code__)), _reading_of(Same(function.__code__))
    _list_text(label, text, function.__globals__, reach)
    for chain in reading.chains:
        _follow(chain, label, function.__globals__, reach)
    reach.parts += _imported_parts(function, reading)
    defaults: dict[object, object] = dict(enumerate(function.__defaults__ or ()))
    defaults.update(function.__kwdefaults__ or {})
    reach.add([(f"{label}.<default {name}>", value) for name, value in defaults.items()])
    reach.add(_enclosed(label, function))


def _list_text(label: str, text: _Text, namespace: Mapping[str, Any], reach: Reach) -> None:
    """List the digest of a text and of its decorators but ours, and what these reach."""
    digests = [text.digest]
    for head, digest, chains in text.decorators:
        found = namespace.get(head[0]) if head else None
        if found is None or module_of(found).partition(".")[0] != "holdfast":
            digests.append(digest)
            for chain in chains:
                _follow(chain, label, namespace, reach)
    reach.parts.append((label, sha256("".join(digests).encode()).hexdigest() if digests[1:] else text.digest))


def _follow(chain: Chain, reader: str, namespace: Mapping[str, Any], reach: Reach) -> None:
    """List what a name stands for in a namespace, or, if it is a module of the user's, what is read of that."""
    where = reader.replace(":", ".", 1).removeprefix(".")
    if chain[0] not in namespace:
        if chain in _DYNAMIC and hasattr(builtins, chain[0]):
            reach.strange.append(f"what {where} calls by {chain[0]}()")
        return
    if chain[:2] in _DYNAMIC:
        reach.strange.append(f"what {where} imports by {'.'.join(chain[:2])}()")
    place = str(namespace.get("__name__", "__main__"))
    rest = list(chain)
    while rest:
        word = rest.pop(0)
        if word not in namespace:  # set later, or by a module's own __getattr__: the module counts as a whole
            break
        value = reach.bind(namespace, word)
        label = f"{module_name(place)}:{word}"
        if not isinstance(value, ModuleType) or is_installed(value.__name__):
            break
        namespace, place = vars(value), value.__name__
    reach.add([(label, value)])
    if isinstance(value, (FunctionType, type)) and rest:
        _follow_attribute(label, value, rest[0], reach)


def _follow_attribute(label: str, item: FunctionType | type, name: str, reach: Reach) -> None:
    """List what the user keeps as an attribute of a function, or reads of its docstring."""
    if name == "__doc__":
        reach.add([(f"{label}.__doc__", cleandoc(item.__doc__ or ""))])
    elif isinstance(item, FunctionType) and name in vars(item):
        reach.add([(f"{label}.{name}", reach.bind(vars(item), name))])


def _list_class(label: str, kind: type, reach: Reach) -> None:
    text, members = _text_of_class(Same(kind)), vars(kind)
    functions = [value for value in members.values() if isinstance(value, FunctionType)]
    homes = [value.__globals__ for value in functions if value.__globals__.get("__name__") == kind.__module__]
    namespace = homes[0] if homes else getattr(sys.modules.get(kind.__module__), "__dict__", {})
    _list_text(label, text, namespace, reach)
    for name, value in members.items():
        if not is_of_python(kind, name, value, has_text=text.digest != _NO_TEXT):
            reach.bind(members, name)
            reach.add([(f"{label}.{name}", value)])
    for each in members.get("__dataclass_fields__", {}).values():
        reach.code += (
            [(f"{label}.{each.name}.<factory>", each.default_factory)] if is_code(each.default_factory) else []
        )
    for member in members.get("_member_map_", {}).values():
        reach.add([(f"{label}.{member._name_}", member._value_)])  # `name` and `value` may be properties of the user's
    above = [base for base in (*kind.__bases__, type(kind)) if base not in (object, type)]
    reach.add([(f"{label}.<base {index}>", base) for index, base in enumerate(above)])


def _imported_parts(function: FunctionType, reading: Reading) -> Iterator[tuple[str, str]]:
    package = str(function.__globals__.get("__package__") or "")
    for level, module, words in reading.imports:
        above = package.rsplit(".", level - 1)[0] if level > 1 else package
        name = f"{above}.{module}".strip(".") if level else module
        yield from parts_of_import(name, words).items()


def _enclosed(label: str, function: FunctionType) -> Reached:
    found: Reached = []
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
        try:
            found.append((f"{label}.<{name}>", cell.cell_contents))
        except ValueError:  # not filled yet
            continue
    return found


@lru_cache(maxsize=1 << 16)
def _reading_of(code: Same) -> Reading:
    return reading_of(code.item)  # type: ignore[arg-type]


@lru_cache(maxsize=1 << 16)
def _text_of_function(code: Same) -> _Text:
    item: Any = code.item
    try:
        source = function_source(item)
    except UnstableCode:
        return _Text(code_digest(item))
    text = _text(source)
    return text if source.runs else replace(text, digest=f"{text.digest} as {code_digest(item)}")


@lru_cache(maxsize=1 << 14)
def _text_of_class(kind: Same) -> _Text:
    try:
        return _text(class_source(kind.item))  # type: ignore[arg-type]
    except UnstableCode:
        return _Text(_NO_TEXT)


def _text(source: Source) -> _Text:
    decorators = (
        (max(chains_of(head), default=()), source_digest(text), tuple(sorted(chains_of(expression))))
        for text, expression in source.decorators
        for head in [expression.func if isinstance(expression, ast.Call) else expression]
    )
    return _Text(source_digest(source.text), source.text, tuple(decorators))
