"""Find the names that a function's code reads: globals, what it names of them, and what it imports in its body.

Reads the bytecode of what is loaded, since that knows a global from a local variable, and the tree of what is not; keeps only names, which
are the same in every Python version. Never looks at what a name stands for.
"""

from __future__ import annotations

import ast
import dis
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from types import CodeType

Chain = tuple[str, ...]
"""A name and the attributes read of it: `pkg.mod.CONST` is `("pkg", "mod", "CONST")`."""

Import = tuple[int, str, Chain]
"""Level of a relative import (0: absolute), module, and what is read of it."""

_PASSED = {"CACHE", "PUSH_NULL", "RESUME", "PRECALL", "NOP"}


@dataclass(frozen=True, slots=True)
class Reading:
    """What a piece of code reads from outside of itself, in alphabetical order."""

    chains: tuple[Chain, ...]
    imports: tuple[Import, ...]


@dataclass(slots=True)
class _Reader:
    """What was found up to some instruction."""

    chains: set[Chain] = field(default_factory=set)
    locals: set[Chain] = field(default_factory=set)
    aliases: dict[str, Import] = field(default_factory=dict)
    chain: Chain = ()
    is_global: bool = False

    def end_chain(self) -> None:
        if self.chain:
            (self.chains if self.is_global else self.locals).add(self.chain)
        self.chain = ()


def reading_of(code: CodeType) -> Reading:
    """Return what a function's code, and all functions and classes defined in it, read."""
    reader = _Reader()
    waiting = [code]
    while waiting:
        current = waiting.pop()
        _read(current, reader)
        waiting.extend(item for item in current.co_consts if isinstance(item, CodeType))
    chains = {chain for chain in reader.chains if chain[0] not in reader.aliases}
    return Reading(tuple(sorted(chains)), tuple(sorted(set(_imports(reader)))))


def chains_of(tree: ast.AST) -> set[Chain]:
    """Return all names in a tree, each with the attributes that are read of it; local variables among them."""
    found: set[Chain] = set()
    inner: set[int] = set()
    for node in ast.walk(tree):  # breadth first: an attribute comes before what it is an attribute of
        if id(node) in inner or not isinstance(node, (ast.Name, ast.Attribute)):
            continue
        words: list[str] = []
        part: ast.expr = node
        while isinstance(part, ast.Attribute):
            words.append(part.attr)
            part = part.value
            inner.add(id(part))
        if isinstance(part, ast.Name):
            found.add((part.id, *reversed(words)))
    return found


def _imports(reader: _Reader) -> Iterator[Import]:
    used = reader.chains | reader.locals
    for name, (level, module, within) in reader.aliases.items():
        reads = [chain[1:] for chain in used if chain[0] == name] or [()]
        for rest in reads:
            yield level, module, (*within, *rest)


def _read(code: CodeType, reader: _Reader) -> None:
    instructions = list(dis.get_instructions(code))
    for index, instruction in enumerate(instructions):
        name, value = instruction.opname, instruction.argval
        if name in ("LOAD_ATTR", "LOAD_METHOD") and reader.chain:
            reader.chain = (*reader.chain, value)
        elif name not in _PASSED:
            reader.end_chain()
            if name == "IMPORT_NAME":
                _note_import(instructions, index, reader)
            elif name.startswith(("LOAD_", "STORE_FAST_LOAD")):
                _start_chain(name, value, reader)
    reader.end_chain()


def _start_chain(name: str, value: object, reader: _Reader) -> None:
    if _reads_a_name(name):
        words = value if isinstance(value, tuple) else (value,)
        reader.locals.update((word,) for word in words[:-1])
        reader.chain = (str(words[-1]),)
        reader.is_global = "GLOBAL" in name or name == "LOAD_NAME"


@lru_cache(maxsize=256)
def _reads_a_name(instruction: str) -> bool:
    return any(place in instruction for place in ("GLOBAL", "NAME", "FAST", "DEREF"))


def _note_import(instructions: list[dis.Instruction], index: int, reader: _Reader) -> None:
    """Note what names the import that begins at `index` binds: a module, or parts of it."""
    module = str(instructions[index].argval)
    level, names = (instruction.argval for instruction in instructions[index - 2 : index])
    target: Import = (level, module if names or level else module.partition(".")[0], ())
    for instruction in instructions[index + 1 :]:
        if instruction.opname == "IMPORT_FROM":
            target = (level, module, (instruction.argval,) if names else ())
        elif instruction.opname.startswith("STORE_"):
            value = instruction.argval
            reader.aliases[value[0] if isinstance(value, tuple) else value] = target
            if not names:
                return
        elif instruction.opname == "POP_TOP" and names:
            return
