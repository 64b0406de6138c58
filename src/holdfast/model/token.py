"""Find the tables and pickles that a content text names, without restoring any. Pure."""

from __future__ import annotations

from typing import Any

from holdfast.model.content import parse_text

_TABLE, _PICKLE = b'{"$table":', b'{"$pickle":'


def holds_pickle(text: bytes) -> bool:
    """Return whether a part of a value is a pickle."""
    # Within a string its quotes are escaped, and as a key of the user's it stands in a `$mapping`.
    return _PICKLE in text


def verbatim(text: bytes) -> dict[str, str]:
    """Return which arrays of a text are the bytes of a file, by digest: of a ``"table"``, or of a ``"pickle"``."""
    found = {table["data"]["$array"][2]: "table" for table in describe_tables(text)}
    return found | {token["$array"][2]: "pickle" for token in _find(text, _PICKLE)}


def describe_tables(text: bytes) -> list[dict[str, Any]]:
    """Return the descriptions of the tables that a text holds, in order."""
    return _find(text, _TABLE)


def _find(text: bytes, start: bytes) -> list[dict[str, Any]]:
    """Return what stands in the tokens that begin so."""
    key, found = start[2:-2].decode(), []

    def note(members: dict[str, Any]) -> Any:
        if key in members and len(members) == 1:
            found.append(members[key])
        elif "$mapping" in members and len(members) == 1:
            return dict(members["$mapping"])
        return members

    if start in text:
        parse_text(text, note)
    return found
