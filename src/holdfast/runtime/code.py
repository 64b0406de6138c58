"""Say how a worker finds the function of an operation: by module and name if it can import it, else by value.

By value travel the functions of scripts, notebooks and the CLI's scripts, lambdas, closures, and those of modules
that a worker could not import. Never decides identity: that is the implementation's fingerprint, whatever the way of
travel.

State: the functions loaded lately in this process, by `Code`.
"""

from __future__ import annotations

import inspect
import linecache
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from importlib import import_module
from importlib.machinery import ModuleSpec
from io import BytesIO
from pickle import loads
from threading import Lock
from types import CodeType, FunctionType, ModuleType
from typing import Any

from holdfast.errors import UnstableCode
from holdfast.runtime.job import Code

SCRIPT_MARK = "__holdfast_script__"
"""Attribute of a module that a worker cannot import, because it was loaded from a script's file."""

_ADVICE = "Open or build it inside the function, or pass what it is made from as an input."

_registering = Lock()  # cloudpickle's list of modules that travel by value belongs to the whole process

Function = Callable[..., Any]


def describe(
    function: Function,
    name: str,
    *,
    positional: tuple[str, ...] | None = None,
    checkpoint: str = "",
    by_value: bool | None = None,
    in_memory: bool = False,
) -> Code:
    """Return how a worker finds `function`.

    Parameters
    ----------
    function : callable
        The user's own function.
    name : str
        Dotted name of its operation, for messages.
    positional : tuple of str, optional
        Labels that it takes by position only; read from its signature if not given.
    checkpoint : str
        Label under which it takes its checkpoint; empty if it takes none.
    by_value : bool, optional
        Whether it travels by value; None decides by whether a worker can import it.
    in_memory : bool
        For engines that share the coordinator's memory: hand over the function itself, and pickle nothing.

    Raises
    ------
    UnstableCode
        It cannot be pickled, or `by_value` is false and it cannot be imported. Names the operation and the part.

    Examples
    --------
    >>> describe(os.path.basename, "paths.basename").qualname
    'basename'
    """
    labels = _positional_labels(function) if positional is None else positional
    if in_memory:
        return Code(name, "", "", b"", labels, function, checkpoint=checkpoint)
    reference = None if by_value else _find_reference(function)
    if reference is not None:
        return Code(name, *reference, b"", labels, checkpoint=checkpoint)
    if by_value is False:
        raise UnstableCode(
            f"The function of operation {name} cannot be imported by a worker. Move it to the top level of a module."
        )
    with_module = bool(by_value) or not _is_importable(getattr(function, "__module__", None) or "")
    return Code(name, "", "", _pickle(function, name, with_module=with_module), labels, checkpoint=checkpoint)


def load(code: Code) -> Function:
    """Return the function that `code` names, importing or unpickling it once per process.

    Raises
    ------
    Exception
        Whatever the user's module raises when it is imported.
    """
    return code.function if code.function is not None else _load(code)


@lru_cache(maxsize=256)
def _load(code: Code) -> Function:
    if not code.pickled:
        return _unwrap(_resolve(import_module(code.module), code.qualname))
    function, sources = loads(code.pickled)
    for file, lines in sources.items():
        linecache.cache[file] = (sum(map(len, lines)), None, lines, file)
    return function  # type: ignore[no-any-return]


def _resolve(module: ModuleType, qualname: str) -> Any:
    found: Any = module
    for word in qualname.split("."):
        found = getattr(found, word)
    return found


def _unwrap(found: Any) -> Function:
    """Return the function behind an operation, or what was found itself if it is no operation."""
    inner = None if isinstance(found, FunctionType) else getattr(found, "function", None)
    return inner if callable(inner) else found  # type: ignore[no-any-return]


def _positional_labels(function: Function) -> tuple[str, ...]:
    try:
        parameters = inspect.signature(function).parameters
    except (TypeError, ValueError):  # compiled functions need not tell their signature
        return ()
    return tuple(label for label, parameter in parameters.items() if parameter.kind is parameter.POSITIONAL_ONLY)


def _find_reference(function: Function) -> tuple[str, str] | None:
    """Return module and qualified name under which a worker finds the very function; None if there is no such place."""
    module_name, qualname = getattr(function, "__module__", None), getattr(function, "__qualname__", None)
    if not isinstance(module_name, str) or not isinstance(qualname, str) or not _is_importable(module_name):
        return None
    try:
        found = _resolve(sys.modules[module_name], qualname)
    except AttributeError:
        return None
    return (module_name, qualname) if _unwrap(found) is function else None


def _is_importable(name: str) -> bool:
    """Return whether a new process with this one's `sys.path` would import the module from the same file."""
    module = sys.modules.get(name)
    if module is None or name == "__main__" or SCRIPT_MARK in vars(module):
        return False
    wanted, found = getattr(module, "__spec__", None), _find_spec(name)
    return wanted is not None and found is not None and wanted.origin == found.origin


def _find_spec(name: str) -> ModuleSpec | None:
    """Ask the finders where the module is, which `importlib.util.find_spec` does not do for one that is loaded."""
    path, spec = None, None
    parts = name.split(".")
    for count in range(1, len(parts) + 1):
        finders = (getattr(finder, "find_spec", None) for finder in sys.meta_path)
        try:
            answers = (find(".".join(parts[:count]), path) for find in finders if find is not None)
            spec = next((answer for answer in answers if answer is not None), None)
            path = (
                None
                if spec is None or spec.submodule_search_locations is None
                else list(spec.submodule_search_locations)
            )
        except (ImportError, AttributeError, KeyError):  # a namespace package whose parent is no true package
            return None
        if spec is None:
            return None
    return spec


def _pickle(function: Function, name: str, *, with_module: bool) -> bytes:

    with _travelling_by_value(getattr(function, "__module__", None), with_module=with_module):
        try:
            return _dump((function, _unfiled_sources(function)))
        except Exception as error:
            culprit = _find_culprit(function) or "its function"
            message = f"Operation {name} cannot be sent to a worker: {culprit} cannot be pickled ({error}). {_ADVICE}"
            raise UnstableCode(message) from error


def _dump(value: object) -> bytes:
    """Pickle with the file names of code, which cloudpickle leaves out from version 3.1.3 on: tracebacks show lines by them."""
    import cloudpickle

    def reduce(code: CodeType) -> tuple[Callable[..., CodeType], tuple[Any, ...]]:
        return _restore_code, (*cloudpickle.Pickler.dispatch_table[CodeType](code), code.co_filename)

    class Pickler(cloudpickle.Pickler):  # type: ignore[misc]
        dispatch_table = cloudpickle.Pickler.dispatch_table.new_child({CodeType: reduce})

    stream = BytesIO()
    Pickler(stream).dump(value)
    return stream.getvalue()


def _restore_code(make: Callable[..., CodeType], parts: tuple[Any, ...], file: str) -> CodeType:
    return make(*parts).replace(co_filename=file)


@contextmanager
def _travelling_by_value(own: str | None, *, with_module: bool) -> Iterator[None]:
    """Let everything of all scripts, and of the function's module if asked for, travel by value."""
    import cloudpickle

    with _registering:
        modules = {name for name, module in list(sys.modules.items()) if SCRIPT_MARK in getattr(module, "__dict__", ())}
        if own is not None and own in sys.modules and with_module:
            modules.add(own)
        added = [sys.modules[name] for name in modules - cloudpickle.list_registry_pickle_by_value() - {"__main__"}]
        for module in added:
            cloudpickle.register_pickle_by_value(module)
        try:
            yield
        finally:
            for module in added:
                cloudpickle.unregister_pickle_by_value(module)


def _unfiled_sources(function: Function) -> dict[str, list[str]]:
    """Return source lines that no file holds, such as those of a notebook, so that tracebacks show them."""
    files = {reached.__code__.co_filename for reached, _ in _walk(function)}
    lines = {file: linecache.getlines(file) for file in files if not os.path.exists(file)}
    return {file: found for file, found in lines.items() if found}


def _find_culprit(function: Function) -> str | None:
    """Return the thing, reached from `function`, that cannot be pickled, in words; None if it cannot be told."""
    import cloudpickle

    for reached, parts in _walk(function):
        for place, value in parts:
            if isinstance(_unwrap(value), FunctionType):
                continue
            try:
                cloudpickle.dumps(value)
            except Exception:
                kind = type(value)
                return f"{place} of {reached.__qualname__}, a {kind.__module__}.{kind.__qualname__},"
    return None


def _walk(function: Function) -> Iterator[tuple[FunctionType, list[tuple[str, object]]]]:
    """Go over all functions that travel by value with this one, each with what it reaches."""
    waiting = [inspect.unwrap(function)]
    seen: set[int] = set()
    while waiting:
        function = waiting.pop()
        if not isinstance(function, FunctionType) or id(function) in seen:
            continue
        seen.add(id(function))
        parts = list(_reached(function))
        yield function, parts
        inner = (_unwrap(value) for _, value in parts)
        waiting.extend(item for item in inner if isinstance(item, FunctionType) and _find_reference(item) is None)


def _reached(function: FunctionType) -> Iterator[tuple[str, object]]:
    for label, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
        try:
            yield f"the enclosed variable {label!r}", cell.cell_contents
        except ValueError:  # not assigned yet
            continue
    for label in dict.fromkeys(_names(function.__code__)):
        if label in function.__globals__:
            yield f"the global {label!r}", function.__globals__[label]
    for value in (*(function.__defaults__ or ()), *(function.__kwdefaults__ or {}).values()):
        yield "a default", value


def _names(code: CodeType) -> Iterator[str]:
    codes = [code]
    while codes:
        code = codes.pop()
        yield from code.co_names
        codes.extend(item for item in code.co_consts if isinstance(item, CodeType))
