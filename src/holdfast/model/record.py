"""Read the portable form of nodes, strictly: whole, unambiguous, bounded in size and depth. Pure."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Any

from holdfast.errors import InvalidData
from holdfast.model.content import MAX_DEPTH

MAX_RECORD_BYTES = 64 * 1024 * 1024
"""Longer JSON texts are refused before they are parsed."""


def parse_record(text: str) -> dict[str, Any]:
    """Return the record that a JSON text holds.

    Raises
    ------
    InvalidData
        It is too long or too deep, no JSON, has a member twice, or lacks one.
    """
    record = parse_json(text, "The record")
    if not isinstance(record, dict):
        raise InvalidData(f"The record is a {type(record).__name__}, expected an object.")
    for member, kind in (("operation", list), ("input", dict), ("depends", list)):
        if not isinstance(record.get(member), kind):
            raise InvalidData(
                f"The record's {member!r} is {record.get(member, 'missing')!r}, expected a JSON {kind.__name__}."
            )
    return record


def parse_json(text: str, what: str) -> Any:
    """Return what a JSON text holds; `what` names it in errors.

    Raises
    ------
    InvalidData
        It is too long or too deep, no JSON, or has a member twice.
    """
    if len(text) > MAX_RECORD_BYTES:
        raise InvalidData(f"{what} has {len(text)} characters; at most {MAX_RECORD_BYTES} are read.")

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        members = dict(pairs)
        if len(members) != len(pairs):
            raise InvalidData(f"{what} has the member {_twice(pairs)!r} twice.")
        return members

    def refuse(word: str) -> Any:
        raise InvalidData(f"{what} holds the bare word {word}, which is no JSON.")

    try:
        return json.loads(text, object_pairs_hook=once, parse_constant=refuse)
    except RecursionError:
        raise InvalidData(f"{what} is nested too deep.") from None
    except InvalidData:
        raise
    except ValueError as error:  # also a number of more digits than Python reads
        raise InvalidData(f"{what} is no JSON: {error}.") from None


def check_depth(written: Any, where: str) -> None:
    """Refuse what is nested deeper than any value may be."""
    waiting = [(written, 0)]
    while waiting:
        item, depth = waiting.pop()
        if depth > MAX_DEPTH:
            raise InvalidData(f"{where} is nested deeper than {MAX_DEPTH} levels.")
        if isinstance(item, (dict, list)):
            members = item.values() if isinstance(item, dict) else item
            waiting.extend((member, depth + 1) for member in members if isinstance(member, (dict, list)))


def _twice(pairs: list[tuple[str, Any]]) -> str:
    names = sorted(name for name, _ in pairs)
    return next(name for name, following in pairwise(names) if name == following)
