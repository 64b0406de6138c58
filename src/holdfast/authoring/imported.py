"""Fingerprint what a function imports in its body, from the source alone.

A module that is imported late may be costly, or be missing where the graph is made, so it is never imported for the sake of a
fingerprint. Of a module of the user's count the statements that bind the names that are read, and what these read in turn; a module of
which nobody can tell what is read counts as a whole. Installed packages count by version. Only files of source are opened.
"""

from __future__ import annotations

import ast
import linecache
import sys
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib.machinery import ModuleSpec, PathFinder

from holdfast.authoring.distribution import file_digest, installed_part, is_installed_path
from holdfast.authoring.naming import module_name
from holdfast.authoring.reading import Chain, chains_of
from holdfast.authoring.source import Same, cut, source_digest

_DEFINITION = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)

Place = tuple[str, Chain]
"""A module, and what is read of it."""


@dataclass(frozen=True, slots=True)
class _Statement:
    """A statement at the top of a module, and what it reads."""

    text: str
    chains: frozenset[Chain]
    imports: tuple[tuple[str, Place], ...]
    """What the statement imports, by the name that it gives it."""


@dataclass(frozen=True, slots=True)
class _Module:
    """What a file of source binds at its top."""

    bound: dict[str, list[_Statement]]
    imports: dict[str, Place]
    is_open: bool
    """Whether it takes all names of another module, so that nobody knows what it binds."""


def parts_of_import(module: str, words: Chain) -> dict[str, str]:
    """Return what counts of a module, by label, when code reads `words` of it; of the whole module, if there are none.

    Parameters
    ----------
    module : str
        Absolute dotted name.
    words : tuple of str
        The name read of the module, and what is read of that.
    """
    parts: dict[str, str] = {}
    seen: set[Place] = set()
    waiting: list[Place] = [(module, words)]
    while waiting:
        place = _settled(*waiting.pop())
        if place not in seen:
            seen.add(place)
            waiting.extend(_list_place(*place, parts))
    return parts


def _settled(module: str, words: Chain) -> Place:
    """Return the place with as much of it in the module's name as there are modules, and one word of what is read of that."""
    while words and not _binds(module, words[0]) and _file_of(f"{module}.{words[0]}") is not None:
        module, words = f"{module}.{words[0]}", words[1:]
    return module, words[:1]


def _binds(module: str, word: str) -> bool:
    file = _file_of(module)
    return bool(file) and _is_source(file or "") and word in _read(file or "", module).bound


def _list_place(module: str, words: Chain, parts: dict[str, str]) -> list[Place]:
    """Note what one place comes down to, and return the places that it reads in turn."""
    file = _file_of(module)
    if file is None or (file and is_installed_path(file)):
        found = (
            installed_part(module) if file is not None or not _is_missing(module) else (f"module {module}", "missing")
        )
        parts.update([found] if found else [])
        return []
    if not _is_source(file):
        parts[f"file of {module}"] = file_digest(file) if file else "namespace"
        return []
    known = _read(file, module)
    if not words or words[0] not in known.bound or known.is_open:
        parts[f"module {module_name(module)}"] = source_digest("".join(linecache.getlines(file)))
        return [(module, (name,)) for name in known.bound if words or name in known.imports]
    statements = known.bound[words[0]]
    parts[f"{module_name(module)}:{words[0]}"] = source_digest("".join(each.text for each in statements))
    return [place for each in statements for place in _reads(each, known, module)]


def _reads(statement: _Statement, known: _Module, module: str) -> Iterator[Place]:
    imports = {**known.imports, **dict(statement.imports)}
    for head, *rest in statement.chains:
        if head in imports:
            target, words = imports[head]
            yield target, (*words, *rest)
        elif head in known.bound:
            yield module, (head,)
    for _, place in statement.imports:
        yield place


def _is_source(file: str) -> bool:
    return file.endswith(".py")


def _is_missing(module: str) -> bool:
    top = module.partition(".")[0]
    return top not in sys.modules and top not in sys.stdlib_module_names and _file_of(top) is None


def _file_of(module: str) -> str | None:
    """Return the file of a module without importing anything; empty for a namespace, None if there is no such module."""
    loaded = sys.modules.get(module)
    if loaded is not None and getattr(loaded, "__file__", None):
        return str(loaded.__file__)
    path: list[str] | None = None
    spec: ModuleSpec | None = None
    names = module.split(".")
    for count in range(1, len(names) + 1):
        try:
            spec = PathFinder.find_spec(".".join(names[:count]), path)
        except (ImportError, KeyError):  # a namespace package whose parent is not loaded
            return None
        if spec is None:
            return None
        path = None if spec.submodule_search_locations is None else list(spec.submodule_search_locations)
        if path is None and count < len(names):
            return None
    return (spec.origin or "") if spec is not None else None


def _read(file: str, module: str) -> _Module:
    if module not in sys.modules:
        linecache.checkcache(file)
    return _bindings_of(Same(linecache.getlines(file)), module, file.endswith("__init__.py"))


@lru_cache(maxsize=1024)
def _bindings_of(lines: Same, module: str, is_package: bool) -> _Module:
    text: list[str] = lines.item  # type: ignore[assignment]
    package = module if is_package else module.rpartition(".")[0]
    try:
        tree = ast.parse("".join(text))
    except SyntaxError:
        return _Module({}, {}, is_open=True)
    bound: dict[str, list[_Statement]] = defaultdict(list)
    imports: dict[str, Place] = {}
    is_open = False
    for node in tree.body:
        statement = _statement(node, text, package)
        inner = dict(statement.imports)
        is_definition = isinstance(node, _DEFINITION)
        is_open = is_open or (not is_definition and "*" in inner)
        imports.update({} if is_definition else inner)
        for name in _names_bound(node):
            bound[name].append(statement)
    for name, statements in _written_by_calls(tree, text, package, bound):
        bound[name] += [each for each in statements if each not in bound[name]]
    return _Module(dict(bound), imports, is_open)


def _written_by_calls(
    tree: ast.Module, text: list[str], package: str, bound: Mapping[str, list[_Statement]]
) -> list[tuple[str, list[_Statement]]]:
    """Return what a call at the top, or a decorator, may write to: a table that a function of the module names.

    So a registry counts with everything that is registered in it.
    """
    tables = {name for node in tree.body if not isinstance(node, _DEFINITION) for name in _names_bound(node)}
    writers = {
        node.name: {chain[0] for chain in chains_of(node)} & tables
        for node in tree.body
        if isinstance(node, _DEFINITION)
    }
    found: list[tuple[str, list[_Statement]]] = []
    for node in tree.body:
        callers = node.decorator_list if isinstance(node, _DEFINITION) else [node]
        heads = {chain[0] for caller in callers for chain in chains_of(caller)}
        for name in sorted(set().union(*(writers.get(head, set()) for head in heads))):
            found.append((name, [_statement(node, text, package)]))
    return found


def _statement(node: ast.stmt, text: list[str], package: str) -> _Statement:
    return _Statement(_whole(text, node), frozenset(chains_of(node)), tuple(dict(_imports_in(node, package)).items()))


def _whole(lines: list[str], node: ast.stmt) -> str:
    decorators = "".join(f"{cut(lines, each)}\n" for each in getattr(node, "decorator_list", ()))
    return decorators + cut(lines, node)


def _names_bound(node: ast.stmt) -> set[str]:
    if isinstance(node, _DEFINITION):
        return {node.name}
    names = {item.id for item in ast.walk(node) if isinstance(item, ast.Name) and isinstance(item.ctx, ast.Store)}
    names |= {item.name for item in ast.walk(node) if isinstance(item, (ast.FunctionDef, ast.ClassDef))}
    names |= {name for name, _ in _imports_in(node, "")}
    for item in ast.walk(node):  # TABLE["a"] = 1, TABLE.update(...), also within a loop or a branch
        targets = (
            [item.value] if isinstance(item, ast.Expr) else getattr(item, "targets", [getattr(item, "target", None)])
        )
        names |= {chain[0] for target in targets if target is not None for chain in chains_of(target)}
    return names


def _imports_in(node: ast.AST, package: str) -> Iterator[tuple[str, Place]]:
    for item in ast.walk(node):
        if isinstance(item, ast.Import):
            for alias in item.names:
                whole = alias.name if alias.asname else alias.name.partition(".")[0]
                yield alias.asname or whole, (whole, ())
        elif isinstance(item, ast.ImportFrom):
            above = package.rsplit(".", item.level - 1)[0] if item.level > 1 else package
            module = f"{above}.{item.module or ''}".strip(".") if item.level else item.module or ""
            for alias in item.names:
                yield alias.asname or alias.name, (module, () if alias.name == "*" else (alias.name,))
