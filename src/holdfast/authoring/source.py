"""Normalise source code, so that comments, docstrings and layout do not count.

Works on tokens, since syntax trees and bytecode differ between Python minor versions and token streams hardly do; f-strings, which
were one token before Python 3.12 and many since, are put together again.
"""

from __future__ import annotations

import inspect
import io
import linecache
import tokenize
from hashlib import sha256
from types import CodeType, FunctionType

from holdfast.errors import UnstableCode

_IGNORED = {tokenize.COMMENT, tokenize.NL, tokenize.ENCODING, tokenize.ENDMARKER, tokenize.TYPE_COMMENT}
_LAYOUT = {tokenize.NEWLINE: "\n", tokenize.INDENT: "{", tokenize.DEDENT: "}"}
_FSTRING_START = getattr(tokenize, "FSTRING_START", -1)
_FSTRING_END = getattr(tokenize, "FSTRING_END", -1)


def remember_source(function: FunctionType) -> None:
    """Keep the lines of the function's file as they are now, so that a later edit of the file is not taken for running code."""
    linecache.getlines(function.__code__.co_filename, function.__globals__)


def function_source(function: FunctionType) -> str:
    """Return the source of a function without its decorators.

    Raises
    ------
    UnstableCode
        It has no source that can be read: compiled, or typed at an interactive prompt.
    """
    code = function.__code__
    lines = linecache.getlines(code.co_filename, function.__globals__)
    if not 0 < code.co_firstlineno <= len(lines):
        raise UnstableCode(f"The source of {function.__qualname__} cannot be read from {code.co_filename}.")
    return "".join(inspect.getblock(lines[code.co_firstlineno - 1 :]))


def class_source(kind: type) -> str:
    """Return the source of a class; UnstableCode if it cannot be read."""
    try:
        return inspect.getsource(kind)
    except (OSError, TypeError):
        raise UnstableCode(f"The source of class {kind.__qualname__} cannot be read.") from None


def source_digest(source: str) -> str:
    """Return the hex SHA-256 of normalised source."""
    return sha256(normalise(source).encode("utf-8")).hexdigest()


def code_digest(code: CodeType) -> str:
    """Return the hex SHA-256 of bytecode, for functions without source; differs between Python minor versions."""
    parts = [code.co_code, repr(code.co_names).encode()]
    parts += [
        code_digest(item).encode() if isinstance(item, CodeType) else repr(item).encode() for item in code.co_consts
    ]
    return sha256(b"\0".join(parts)).hexdigest()


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
        for token in tokenize.generate_tokens(io.StringIO(source).readline):
            if token.type == _FSTRING_START:
                start = token.start if depth == 0 else start
                depth += 1
            elif token.type == _FSTRING_END:
                depth -= 1
                if depth == 0:
                    found.append((tokenize.STRING, _between(lines, start, token.end)))
            elif depth == 0 and token.type not in _IGNORED:
                found.append((token.type, _LAYOUT.get(token.type, token.string)))
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
