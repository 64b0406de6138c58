"""Turn records into uids: the only place where identity is hashed.

A uid is the SHA-256 of the record's compact JSON: keys sorted, no blanks, ASCII only. Exactly three members identify: `depends`,
`input`, `operation`. A call key is the SHA-256 of what a node comes down to: operation, implementation, contents of the input.
Pure; changing what is hashed is a recorded decision, held by the golden vectors in the tests.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from json.encoder import encode_basestring_ascii
from typing import Any

from holdfast.errors import InvalidData

IDENTIFYING = ("depends", "input", "operation")


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """The identity of a record.

    Parameters
    ----------
    text : str
        Compact JSON of the identifying members.

    Examples
    --------
    >>> Fingerprint.of({"depends": [], "input": {"data": [[1, 2], [3, 4]]}, "operation": ["scalems", "Integer64"]}).uid().hex()
    '266bb4e33dfb7be89c04735cebe31cae8d7714243ccb9d137a1a37a46a645365'
    """

    text: str

    @classmethod
    def of(cls, record: Mapping[str, Any]) -> Fingerprint:
        """Return the fingerprint of a record; members that do not identify are left out."""
        missing = [name for name in IDENTIFYING if name not in record]
        if missing:
            raise InvalidData(f"The record has no member {missing[0]!r}. A record has {', '.join(IDENTIFYING)}.")
        return cls(compact_json({name: record[name] for name in IDENTIFYING}))

    def compact_json(self) -> str:
        """Return the text that is hashed."""
        return self.text

    def uid(self) -> bytes:
        """Return the SHA-256 of the text, 32 bytes."""
        return sha256(self.text.encode("ascii")).digest()


def compact_json(value: object) -> str:
    """Return the one JSON text of `value`: keys sorted, no blanks, ASCII only, no NaN."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)


def data_text(operation: str, data: str) -> str:
    """Return the compact record of a data node, from the JSON texts of its operation and data."""
    return f'{{"depends":[],"input":{{"data":{data}}},"operation":{operation}}}'


def node_text(scope: tuple[str, ...], depends: tuple[str, ...], inputs: str) -> str:
    """Return the compact record of an operation node, from the JSON text of its input."""
    head, tail = _record_around(scope, depends)
    return head + inputs + tail


@lru_cache(maxsize=4096)
def _record_around(scope: tuple[str, ...], depends: tuple[str, ...]) -> tuple[str, str]:
    """Return what stands before and after the input in the records of one operation and implementation."""
    listed = ",".join(f'"{uid}"' for uid in depends)
    return f'{{"depends":[{listed}],"input":', f',"operation":{operation_text(scope)}}}'


@lru_cache(maxsize=4096)
def operation_text(scope: tuple[str, ...]) -> str:
    """Return the JSON text of an operation identifier."""
    return "[" + ",".join(map(encode_basestring_ascii, scope)) + "]"


def uid_of(text: str) -> str:
    """Return the uid of a compact record as 64 hex digits."""
    return sha256(text.encode("ascii")).hexdigest()


@lru_cache(maxsize=4096)
def call_prefix(scope: tuple[str, ...], depends: tuple[str, ...]) -> bytes:
    """Return the bytes that all call keys of one operation and implementation begin with."""
    listed = ",".join(f'"{uid}"' for uid in sorted(depends))
    return f'{{"depends":[{listed}],"operation":{operation_text(scope)},"arguments":'.encode("ascii")


def call_key(prefix: bytes, arguments: bytes) -> bytes:
    """Return the call key, 32 bytes, of arguments given as content text."""
    return sha256(prefix + arguments + b"}").digest()
