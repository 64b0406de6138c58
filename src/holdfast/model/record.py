"""Read the portable form of nodes, strictly: whole, unambiguous, bounded in size and depth. Pure."""

from __future__ import annotations

import json
from typing import Any

from holdfast.errors import InvalidData

MAX_RECORD_BYTES = 64 * 1024 * 1024
"""Longer JSON texts are refused before they are parsed."""


def parse_record(text: str) -> dict[str, Any]:
    """Return the record that a JSON text holds.

    Raises
    ------
    InvalidData
        It is too long or too deep, no JSON, has a member twice, or lacks one.
    """
    if len(text) > MAX_RECORD_BYTES:
        raise InvalidData(f"The record has {len(text)} characters; at most {MAX_RECORD_BYTES} are read.")
    try:
        record = json.loads(text, object_pairs_hook=_once, parse_constant=_refuse_constant)
    except RecursionError:
        raise InvalidData("The record is nested too deep.") from None
    except json.JSONDecodeError as error:
        raise InvalidData(f"The record is no JSON: {error}.") from None
    if not isinstance(record, dict):
        raise InvalidData(f"The record is a {type(record).__name__}, expected an object.")
    for member, kind in (("operation", list), ("input", dict), ("depends", list)):
        if not isinstance(record.get(member), kind):
            raise InvalidData(
                f"The record's {member!r} is {record.get(member, 'missing')!r}, expected a JSON {kind.__name__}."
            )
    return record


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise InvalidData(f"The record has the member {twice!r} twice.")
    return members


def _refuse_constant(name: str) -> Any:
    raise InvalidData(f"The record holds the bare word {name}, which is no JSON.")
