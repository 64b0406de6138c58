"""Turn rows into columns and back, sealed, so that what a damaged database returns is never believed.

SQLite keeps no checksums of its pages. A seal is the CRC-32 of the members of a row together with its key: a flipped
bit in the row, or in an index that leads to a wrong row, gives `InvalidData` and no value. Texts and arrays are
guarded by their SHA-256. Pure.
"""

from __future__ import annotations

import json
import time
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from types import UnionType
from typing import Any, TypeVar, get_origin, get_type_hints
from zlib import crc32

from holdfast.errors import InvalidData
from holdfast.model.canonical import layout_bytes
from holdfast.model.fingerprint import compact_json, uid_of
from holdfast.storage.database import Columns
from holdfast.storage.format import check_layout
from holdfast.storage.metadata import FILE_NAME
from holdfast.storage.rows import (
    AcceptanceRow,
    ArrayRow,
    CallRow,
    ExpansionRow,
    FailureRow,
    ImplementationRow,
    LostRow,
    NodeRow,
    ReferentRow,
    RoundRow,
    SessionRow,
    TargetRow,
)
from holdfast.storage.translation import damage
from holdfast.storage.workdir import now

Found = TypeVar("Found")


def checked(row: Found) -> Found:
    """Return a row of which every member has the type that `rows` states; SQLite takes any type in any column."""
    members: Any = row
    if not all(map(isinstance, members, _types(members.__class__))):
        raise InvalidData(f"a row of its {type(row).__name__} holds what it cannot: {row!r:.200}")
    return row


@lru_cache(maxsize=32)
def _types(kind: type) -> tuple[Any, ...]:
    hints = get_type_hints(kind).values()
    return tuple(hint if isinstance(hint, UnionType) else get_origin(hint) or hint for hint in hints)


def node_columns(row: NodeRow, operation: int) -> Columns:
    """Return the columns of a node."""
    seals = crc32(row.uid + row.call_key), crc32(f"{row.operation}\n{row.record}".encode())
    return row.uid, row.call_key, operation, row.record, row.session, int(row.reused), *seals


def read_node(columns: Columns) -> NodeRow:
    """Return a node from its columns."""
    uid, key, operation, record, session, reused, key_seal, record_seal = columns
    if crc32(uid + key) != key_seal or crc32(f"{operation}\n{record}".encode()) != record_seal:
        raise _broken("node", uid)
    return checked(NodeRow(uid, key, operation, record, session, bool(reused)))


def read_call_key(columns: Columns) -> tuple[bytes, bytes]:
    """Return the uid of a node and its call key."""
    uid, key, seal = columns
    if crc32(uid + key) != seal:
        raise _broken("node", uid)
    return uid, key


def read_result(columns: Columns) -> tuple[bytes, bytes | None]:
    """Return the uid of a node and the text of its result; None if that stands in a store, or is missing."""
    uid, key, key_seal, digest, text, store, seal = columns
    if crc32(uid + key) != key_seal:
        raise _broken("node", uid)
    if digest is not None:
        _check_call(key, digest, text, store, seal)
    return uid, text


def call_columns(row: CallRow, operation: int | None) -> Columns:
    """Return the columns of a call."""
    seal = crc32(row.call_key + row.digest + (row.store or b""))
    return row.call_key, row.digest, row.text, row.store, row.seconds, operation, row.made or int(time.time()), seal


def read_call(columns: Columns) -> CallRow:
    """Return a call from its columns."""
    key, digest, text, store, seconds, seal = columns
    _check_call(key, digest, text, store, seal)
    return checked(CallRow(key, digest, text, store, seconds))


def read_dated_call(columns: Columns) -> CallRow:
    """Return a call from its columns, with its operation and when it was made."""
    *members, operation, made, seal = columns
    return read_call((*members, seal))._replace(operation=operation or "", made=made)


def array_columns(row: ArrayRow) -> Columns:
    """Return the columns of an array."""
    shape = json.dumps(row.shape, separators=(",", ":"))
    seal = _seal_array(row.digest, row.dtype, shape, row.store, row.file, row.members)
    return row.digest, row.dtype, shape, row.data, row.store, row.file, row.members, seal


def read_array(columns: Columns) -> ArrayRow:
    """Return an array from its columns."""
    digest, dtype, shape, data, store, file, members, seal = columns
    if _seal_array(digest, dtype, shape, store, file, members) != seal:
        raise _broken("array", digest)
    layout = check_layout(dtype, json.loads(shape))
    if [data, store, members].count(None) != 2 or (store is None) != (file is None):
        raise InvalidData(f"the array {digest.hex()} is in no place, or in several")
    if members is not None and (sha256(members).digest() != digest or layout.shape[:1] != (len(members) // 32,)):
        raise _broken("array", digest)
    if data is not None and (
        len(data) != layout.size or sha256(layout_bytes(dtype, layout.shape) + data).digest() != digest
    ):
        raise _broken("array", digest)
    if file is not None and not FILE_NAME.fullmatch(file):
        raise InvalidData(f"the file of array {digest.hex()} would be {file!r:.80}")
    return checked(ArrayRow(digest, dtype, layout.shape, data, store, file, members))


def round_columns(row: RoundRow) -> Columns:
    """Return the columns of a round."""
    return row.loop_key, row.number, row.state, crc32(row.loop_key + f"{row.number} {row.state}".encode())


def read_round(columns: Columns) -> RoundRow:
    """Return a round from its columns."""
    loop_key, number, state, seal = columns
    if crc32(loop_key + f"{number} {state}".encode()) != seal:
        raise _broken("loop", loop_key)
    return checked(RoundRow(loop_key, number, state))


def expansion_columns(row: ExpansionRow) -> Columns:
    """Return the columns of an expansion; its mark makes equal rows one, and is its seal."""
    return row.owner, _mark(row.owner, row.needs), row.needs


def read_expansion(columns: Columns) -> ExpansionRow:
    """Return an expansion from its columns."""
    owner, mark, needs = columns
    if _mark(owner, needs) != mark or len(needs) % 32:
        raise _broken("expansion", owner)
    return checked(ExpansionRow(owner, needs))


def implementation_columns(row: ImplementationRow, operation: int) -> Columns:
    """Return the columns of an implementation."""
    data = compact_json(dict(row.parts))
    return row.uid, operation, data, row.first_seen or now(), crc32(row.uid + f"{row.operation}\n{data}".encode())


def read_implementation(columns: Columns) -> ImplementationRow:
    """Return an implementation from its columns."""
    uid, operation, data, first_seen, seal = columns
    if crc32(uid + f"{operation}\n{data}".encode()) != seal:
        raise _broken("implementation", uid)
    parts = json.loads(data)
    if not isinstance(parts, dict) or not all(isinstance(digest, str) for digest in parts.values()):
        raise _broken("implementation", uid)
    return checked(ImplementationRow(uid, operation, parts, first_seen))


def target_columns(row: TargetRow) -> Columns:
    """Return the columns of a target."""
    return row.name, row.uid, row.asked or now(), crc32(row.uid + row.name.encode())


def read_target(columns: Columns) -> TargetRow:
    """Return a target from its columns."""
    name, uid, asked, seal = columns
    if crc32(uid + name.encode()) != seal:
        raise _broken("target", uid)
    return checked(TargetRow(name, uid, asked))


def read_referent(columns: Columns) -> ReferentRow:
    """Return a referent from its columns; its uid is its seal."""
    uid, record = columns
    if uid_of(record) != uid.hex():
        raise _broken("referent", uid)
    return checked(ReferentRow(uid, record))


def acceptance_columns(row: AcceptanceRow, operation: int) -> Columns:
    """Return the columns of an acceptance."""
    return operation, row.earlier, row.later, row.who, row.at or now(), row.why, row.withdrawn, _seal_acceptance(row)


def read_acceptance(columns: Columns) -> AcceptanceRow:
    """Return an acceptance from its columns."""
    *members, seal = columns
    row = checked(AcceptanceRow(*members))
    if _seal_acceptance(row) != seal:
        raise _broken("acceptance", row.later)
    return row


def lost_columns(row: LostRow) -> Columns:
    """Return the columns of a lost result."""
    return row.call_key, row.digest, crc32(row.call_key + row.digest)


def read_lost(columns: Columns) -> LostRow:
    """Return a lost result from its columns."""
    key, digest, seal = columns
    if crc32(key + digest) != seal:
        raise _broken("lost call", key)
    return checked(LostRow(key, digest))


def failure_columns(row: FailureRow, operation: int) -> Columns:
    """Return the columns of a failure; for people, and not sealed."""
    return row.uid, operation, row.member, row.kind, row.reason, row.traceback, row.arguments, row.at or now()


def read_failure(columns: Columns) -> FailureRow:
    """Return a failure from its columns."""
    return checked(FailureRow(*columns))


def session_columns(row: SessionRow) -> Columns:
    """Return the columns of a session; for people, and not sealed."""
    return row.id, row.owner, row.engine, row.started or now(), row.ended, row.progress


def read_session(columns: Columns) -> SessionRow:
    """Return a session from its columns."""
    row = checked(SessionRow(*columns))
    if not isinstance(json.loads(row.owner), dict) or not isinstance(json.loads(row.progress), dict):
        raise InvalidData(f"the row of session {row.id!r:.80} is not what was written")
    return row


class Believed:
    """Turns what cannot be a row into an error that says so; a class, since every look-up enters it."""

    __slots__ = ("_path",)

    def __init__(self, path: Path) -> None:
        self._path = path

    def __enter__(self) -> None:
        """Watch."""

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        if isinstance(error, (InvalidData, TypeError, ValueError, AttributeError, RecursionError)):
            raise damage(self._path, error) from error


def _seal_array(
    digest: bytes, dtype: str, shape: str, store: bytes | None, file: str | None, members: bytes | None
) -> int:
    return crc32(members or b"", crc32(digest + f"{dtype}{shape}{file}".encode() + (store or b"")))


def _check_call(key: bytes, digest: bytes, text: bytes | None, store: bytes | None, seal: int) -> None:
    if crc32(key + digest + (store or b"")) != seal or (text is not None and sha256(text).digest() != digest):
        raise _broken("call", key)


def _mark(owner: bytes, needs: bytes) -> int:
    return int.from_bytes(sha256(owner + needs).digest()[:8], "big", signed=True)


def _seal_acceptance(row: AcceptanceRow) -> int:
    return crc32(row.earlier + row.later + f"{row.operation}{row.withdrawn}".encode())


def _broken(what: str, key: bytes) -> InvalidData:
    return InvalidData(f"the row of {what} {key.hex()} is not what was written")
