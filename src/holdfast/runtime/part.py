"""Look into content texts for their parts, without restoring any value. Pure."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from holdfast.errors import InvalidData, NotFound
from holdfast.model.content import Content, decode, encode, parse_text
from holdfast.model.fingerprint import compact_json
from holdfast.model.reference import Input, Subscript, write_path

PARSED_FROM = 4 * 1024
"""Bytes from which on the parsed form of a text is kept for a while."""

_WHOLES = {
    "$table": "a table",
    "$dataset": "a dataset",
    "$pickle": "a pickled object",
    "$bytes": "a string of bytes",
    "$file": "a file",
}


def parse(text: bytes) -> Any:
    """Return a text as JSON, to be looked at only: a long one is parsed once for all the parts that are taken of it in turn."""
    return parse_text(text) if len(text) < PARSED_FROM else _parse_long(text)


@lru_cache(maxsize=4)
def _parse_long(text: bytes) -> Any:
    return parse_text(text)


def gather_numbers(listed: bytes) -> Content:
    """Return a list of numbers as an array, if they are alike and fit; else as it is."""
    if any(token in listed for token in (b'{"$table":', b'{"$dataset":', b'{"$pickle":')):
        return Content(listed, {})
    values = decode(listed, lambda digest: None)  # type: ignore[arg-type, return-value]
    kinds = set(map(type, values))
    if len(kinds) != 1 or not kinds <= {int, float, bool, complex}:
        return Content(listed, {})
    if kinds == {int} and not (min(values) >= -(2**63) and max(values) < 2**63):
        return Content(listed, {})
    import numpy

    return encode(numpy.array(values))


def whole_word(parsed: Any) -> str:
    """Return what a parsed value is called that has no parts, though its text is a mapping; else nothing."""
    return _WHOLES.get(next(iter(parsed)), "") if isinstance(parsed, dict) and len(parsed) == 1 else ""


def step_into(parsed: Any, step: Subscript, where: object) -> Any:
    """Return what a subscript leads to; NotFound says what there is instead."""
    if whole := whole_word(parsed):
        raise NotFound(f"{where} names the part {write_path((step,))} of {whole}. Take it out in an operation.")
    if isinstance(parsed, dict):
        members = dict(parsed["$mapping"]) if "$mapping" in parsed else parsed
        if step in members:
            return members[step]
        raise NotFound(f"{where} names the label {step!r}; the result has: {', '.join(map(repr, sorted(members)))}.")
    if isinstance(parsed, list) and isinstance(step, int) and step < len(parsed):
        return parsed[step]
    kind = f"a list of {len(parsed)}" if isinstance(parsed, list) else f"the single value {compact_json(parsed)[:40]}"
    raise NotFound(f"{where} names the part {write_path((step,))} of {kind}.")


def no_elements(item: Input, parsed: Any, text: bytes) -> InvalidData:
    """Return that an input cannot be run over."""
    whole = whole_word(parsed) or text[:60].decode()
    return InvalidData(f"{item!r} has no elements to run over: its value is {whole}.")
