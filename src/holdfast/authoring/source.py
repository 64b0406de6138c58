"""Read the source of functions and classes, and normalise it, so that comments, docstrings and layout do not count.

Works on tokens, since syntax trees and bytecode differ between Python minor versions and token streams hardly do; f-strings, which
were one token before Python 3.12 and many since, are put together again. Trees are used only to find where things begin and end.
Never takes the text of an edited file for the code that runs: the text is compiled and compared.

State: the outlines of the files read lately, by the very list of lines, and the digests of texts.
"""

from __future__ import annotations

import ast
import inspect
import io
import linecache
import sys
import tokenize
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from types import CodeType, FunctionType

from holdfast.errors import UnstableCode

_IGNORED = {tokenize.COMMENT, tokenize.NL, tokenize.ENCODING, tokenize.ENDMARKER, tokenize.TYPE_COMMENT}
_LAYOUT = {tokenize.NEWLINE: "\n", tokenize.INDENT: "{", tokenize.DEDENT: "}"}
_FSTRING_START = getattr(tokenize, "FSTRING_START", -1)
_FSTRING_END = getattr(tokenize, "FSTRING_END", -1)

_BLOCKS = ("body", "orelse", "handlers", "finalbody", "cases")
"""Where a statement holds others."""

Function = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda


@dataclass(frozen=True, slots=True)
class Source:
    """The text of a function or class, and the expressions that decorate it."""

    text: str
    decorators: tuple[tuple[str, ast.expr], ...] = ()
    runs: bool = True
    """Whether the text is known to be that of the code that runs; false where an import hook has rewritten the code."""


@dataclass(frozen=True, slots=True)
class Same:
    """A key that stands for one very object, whatever is equal to it."""

    item: object

    def __hash__(self) -> int:
        return id(self.item)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Same) and other.item is self.item


@dataclass(frozen=True, slots=True)
class Outline:
    """What the text of one file defines."""

    functions: dict[int, list[Function]]
    """By the line that the code counts as its first."""
    classes: dict[str, ast.ClassDef]
    """By qualified name; the last of a name."""
    codes: dict[tuple[str, int], list[CodeType]]
    """By qualified name and first line."""


def remember_source(function: FunctionType) -> None:
    """Keep the lines of the function's file as they are now, so that a later edit of the file is not taken for running code."""
    linecache.checkcache(function.__code__.co_filename)
    linecache.getlines(function.__code__.co_filename, function.__globals__)


def function_source(code: CodeType) -> Source:
    """Return the source of a function's code, its decorators apart.

    Raises
    ------
    UnstableCode
        It has no source that can be read: compiled, generated, or typed at an interactive prompt.
    """
    lines = linecache.getlines(code.co_filename)
    runs = _is_of(code, lines)
    if not runs:
        linecache.checkcache(code.co_filename)
        lines = linecache.getlines(code.co_filename)
        runs = _is_of(code, lines)
    if not 0 < code.co_firstlineno <= len(lines):
        raise UnstableCode(f"The source of {code.co_qualname} cannot be read from {code.co_filename}.")
    node = _node_of(code, lines)
    if node is None:
        return Source("".join(inspect.getblock(lines[code.co_firstlineno - 1 :])), runs=runs)
    return Source(cut(lines, node), () if isinstance(node, ast.Lambda) else _decorators(lines, node), runs)


def class_source(kind: type) -> Source:
    """Return the source of a class, its decorators apart; UnstableCode if it cannot be read."""
    for file in _files_of(kind):
        lines = linecache.getlines(file)
        found = outline(Same(lines)).classes.get(kind.__qualname__) if lines else None
        if found is not None:
            return Source(cut(lines, found), _decorators(lines, found))
    raise UnstableCode(f"The source of class {kind.__qualname__} cannot be read.")


def cut(lines: list[str], node: ast.stmt | ast.expr) -> str:
    """Return the text of a piece of a file; of a decorated function, without its decorators."""
    first, last = node.lineno - 1, (node.end_lineno or node.lineno) - 1
    if isinstance(node, ast.stmt):
        return "".join(lines[first : last + 1])
    end = lines[last].encode()[: node.end_col_offset]  # columns of trees count bytes
    if first == last:
        return end[node.col_offset :].decode()
    return lines[first].encode()[node.col_offset :].decode() + "".join(lines[first + 1 : last]) + end.decode()


def _decorators(
    lines: list[str], node: ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
) -> tuple[tuple[str, ast.expr], ...]:
    return tuple((cut(lines, each), each) for each in node.decorator_list)


@lru_cache(maxsize=1 << 12)
def source_digest(source: str) -> str:
    """Return the hex SHA-256 of normalised source."""
    return sha256(normalise(source).encode("utf-8")).hexdigest()


def code_digest(code: CodeType) -> str:
    """Return the hex SHA-256 of bytecode, for functions without source; differs between Python minor versions."""
    names = (code.co_names, code.co_varnames, code.co_freevars, code.co_cellvars)
    counts = (code.co_argcount, code.co_posonlyargcount, code.co_kwonlyargcount, code.co_flags)
    parts = [code.co_code, repr(names).encode(), repr(counts).encode(), code.co_exceptiontable]
    parts += [_constant_text(item).encode() for item in code.co_consts]
    return sha256(b"".join(b"%d:%b" % (len(part), part) for part in parts)).hexdigest()


def _constant_text(item: object) -> str:
    if isinstance(item, CodeType):
        return code_digest(item)
    if isinstance(item, (tuple, frozenset)):
        members = map(_constant_text, item)
        inner = ",".join(sorted(members) if isinstance(item, frozenset) else members)
        return f"{type(item).__name__}({inner})"
    return repr(item)


@lru_cache(maxsize=1024)
def outline(lines: Same) -> Outline:
    """Return what a list of lines defines; nothing if it is no valid Python, as a cell with magic commands."""
    found = Outline(defaultdict(list), {}, defaultdict(list))
    try:
        tree = ast.parse("".join(lines.item))  # type: ignore[arg-type]
        code = compile(tree, "<outline>", "exec", dont_inherit=True)
    except (SyntaxError, ValueError):
        return found
    children = ast.iter_child_nodes if any("lambda" in line for line in lines.item) else _inner_statements  # type: ignore[attr-defined]
    waiting: list[tuple[ast.AST, str]] = [(tree, "")]
    while waiting:
        parent, prefix = waiting.pop()
        for node in children(parent):
            waiting.append((node, prefix))
            if isinstance(node, ast.ClassDef):
                found.classes[prefix + node.name] = node
                waiting[-1] = (node, f"{prefix}{node.name}.")
            elif isinstance(node, Function):
                found.functions[_first_line(node)].append(node)
                name = "<lambda>" if isinstance(node, ast.Lambda) else node.name
                waiting[-1] = (node, f"{prefix}{name}.<locals>.")
    for item in _nested(code):
        found.codes[item.co_qualname, item.co_firstlineno].append(item)
    return found


def _inner_statements(parent: ast.AST) -> Iterator[ast.AST]:
    """Yield the statements within a statement: nothing else defines a function or class, but a lambda."""
    for name in _BLOCKS:
        yield from getattr(parent, name, ())


def _nested(code: CodeType) -> Iterator[CodeType]:
    waiting = [code]
    while waiting:
        yield (current := waiting.pop())
        waiting.extend(item for item in current.co_consts if isinstance(item, CodeType))


def _first_line(node: Function) -> int:
    decorators = [] if isinstance(node, ast.Lambda) else node.decorator_list
    return decorators[0].lineno if decorators else node.lineno


def _is_of(code: CodeType, lines: list[str]) -> bool:
    """Return whether the code is what the lines compile to; true if they cannot be compiled."""
    codes = outline(Same(lines)).codes
    return not codes or any(item == code for item in codes.get((code.co_qualname, code.co_firstlineno), ()))


def _node_of(code: CodeType, lines: list[str]) -> Function | None:
    name = code.co_name
    nodes = [
        node
        for node in outline(Same(lines)).functions.get(code.co_firstlineno, ())
        if name == ("<lambda>" if isinstance(node, ast.Lambda) else node.name)
    ]
    if len(nodes) > 1:  # several lambdas on one line: that which holds all of the code
        spans = [(line, column) for line, _, column, end in code.co_positions() if line and column is not None and end]
        return next(
            (node for node in reversed(nodes) if isinstance(node, ast.Lambda) and _holds(node.body, spans)), None
        )
    return nodes[0] if nodes else None


def _holds(body: ast.expr, starts: list[tuple[int, int]]) -> bool:
    first, last = (body.lineno, body.col_offset), (body.end_lineno or 0, body.end_col_offset or 0)
    return all(first <= start < last for start in starts)


def _files_of(kind: type) -> Iterator[str]:
    """Yield the files that may define the class: that of its module, or else the cells of a notebook, newest first."""
    module = sys.modules.get(kind.__module__)
    file = getattr(module, "__file__", None)
    if isinstance(file, str):
        yield file
    yield from reversed([name for name in linecache.cache if name.startswith("<") or "ipykernel" in name])


def normalise(source: str) -> str:
    r"""Return the tokens of `source`, one blank between, without decorators before the first `def` or `class`.

    Examples
    --------
    >>> normalise("def f(x):\n    'Says something.'\n    return x+1  # one more")
    'def f ( x ) : \n { return x + 1 \n }'
    """
    kept: list[str] = []
    statement: list[tuple[int, str]] = []
    for kind, text in _tokens(source):
        statement.append((kind, text))
        if kind in _LAYOUT:
            if not _is_bare_string(statement):
                kept.extend(word for _, word in statement)
            statement = []
    kept.extend(word for _, word in statement)
    return " ".join(_without_decorators(kept))


def _is_bare_string(statement: list[tuple[int, str]]) -> bool:
    kinds = {kind for kind, _ in statement}
    return tokenize.STRING in kinds and kinds == {tokenize.STRING, tokenize.NEWLINE}


def _without_decorators(words: list[str]) -> list[str]:
    depth = 0
    if not words or words[0] != "@":
        return words
    for index, word in enumerate(words):
        depth += (word in "([{") - (word in ")]}") if len(word) == 1 else 0
        if word in ("def", "class", "async") and depth == 0 and words[index - 1] == "\n":
            return words[index:]
    return words


def _tokens(source: str) -> list[tuple[int, str]]:
    source = _dedent(source)
    lines = source.splitlines(keepends=True)
    found: list[tuple[int, str]] = []
    depth, start = 0, (0, 0)
    try:
        for kind, text, begin, end, _ in tokenize.generate_tokens(io.StringIO(source).readline):
            if kind == _FSTRING_START:
                start = begin if depth == 0 else start
                depth += 1
            elif kind == _FSTRING_END:
                depth -= 1
                if depth == 0:
                    found.append((tokenize.STRING, _between(lines, start, end)))
            elif depth == 0 and kind not in _IGNORED:
                found.append((kind, _LAYOUT.get(kind, text)))
    except (tokenize.TokenError, IndentationError):  # a lambda cut out of a longer expression: what was read stands
        return found
    return found


def _between(lines: list[str], start: tuple[int, int], end: tuple[int, int]) -> str:
    if start[0] == end[0]:
        return lines[start[0] - 1][start[1] : end[1]]
    middle = lines[start[0] : end[0] - 1]
    return "".join([lines[start[0] - 1][start[1] :], *middle, lines[end[0] - 1][: end[1]]])


def _dedent(source: str) -> str:
    indent = len(source) - len(source.lstrip(" \t"))
    if not indent:
        return source
    return "".join(line[indent:] if line[:indent].isspace() else line for line in source.splitlines(keepends=True))
