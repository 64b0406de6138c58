"""Say what the catalog keeps: one class of frozen values per kind of row.

Pure values. Digests, keys and uids are 32 bytes. Times are text for people and decide nothing; an empty one is
filled in when the row is written. Named tuples and not frozen dataclasses, because a look-up makes 100 000 of them
(0.3 instead of 1.0 µs each), and because defining nine dataclasses takes 10 ms of every import.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple


class NodeRow(NamedTuple):
    """A node that is done, and the call that gave its result."""

    uid: bytes
    call_key: bytes
    operation: str
    record: str
    session: str = ""
    """Id of the session in which it became done."""
    reused: bool = False
    """Whether the call had been made before."""


class CallRow(NamedTuple):
    """The result of one distinct call."""

    call_key: bytes
    digest: bytes
    """SHA-256 of the content text."""
    text: bytes | None
    """The content text; None if it stands in the store."""
    store: bytes | None = None
    """Name of the store that holds what is not inline; None if there is none."""
    seconds: float = 0.0
    operation: str = ""
    """Of what was called; empty for a composed value, and where a look-up leaves it out, as it does the next one."""
    made: int = 0
    """Seconds since 1970 by the wall clock, for people to choose by; 0: now, or before that was kept."""


class ArrayRow(NamedTuple):
    """Where an array is that a content text names: inline, in a file of a store, or in the files of its members."""

    digest: bytes
    dtype: str
    shape: tuple[int, ...]
    data: bytes | None = None
    """Its bytes, if it is inline."""
    store: bytes | None = None
    file: str | None = None
    """Name of its file within the store."""
    members: bytes | None = None
    """Digests of the members of a stack, 32 bytes each, one after the other."""


class RoundRow(NamedTuple):
    """The state after one round of a loop."""

    loop_key: bytes
    number: int
    state: str


class ExpansionRow(NamedTuple):
    """Some of what a node came down to while it ran; none of it is needed for its result."""

    owner: bytes
    """A call key; or the uid of a node or target, for as long as that is not done."""
    needs: bytes
    """Uids, call keys and keys of loops, 32 bytes each, one after the other."""


class FailureRow(NamedTuple):
    """Why a node has no result; gone when it gets one."""

    uid: bytes
    operation: str
    member: str
    """Reference of the node or ensemble member where it happened."""
    kind: str
    reason: str
    traceback: str
    arguments: str
    at: str = ""


class ImplementationRow(NamedTuple):
    """The code behind an operation: digest or version of each part, by name."""

    uid: bytes
    operation: str
    parts: Mapping[str, str]
    first_seen: str = ""


class ReferentRow(NamedTuple):
    """Something that records refer to and that is no node with a result: a constant, or a part of a body."""

    uid: bytes
    record: str


class SourceRow(NamedTuple):
    """The text behind a digest in the parts of an implementation; for people."""

    digest: str
    place: str
    """File and line; of a value, empty."""
    text: str


class TimesRow(NamedTuple):
    """Calls of an operation that were made, in addition to what is known."""

    operation: str
    calls: int
    seconds: float


class AcceptanceRow(NamedTuple):
    """A change of code that does not matter: results of the earlier implementation stand under the later.

    Written again, it takes the place of what was known of the change before.
    """

    operation: str
    earlier: bytes
    later: bytes
    who: str
    at: str
    why: str
    withdrawn: str = ""
    """By whom and when; empty while it holds."""


class LostRow(NamedTuple):
    """A result that was damaged and taken out, and not made again since."""

    call_key: bytes
    digest: bytes
    """SHA-256 of the content text that it had."""


class OvercomeRow(NamedTuple):
    """A failure of a node that is done since."""

    uid: bytes
    kind: str
    reason: str
    at: str


class TargetRow(NamedTuple):
    """A result that was asked for by name."""

    name: str
    uid: bytes
    asked: str = ""


class SessionRow(NamedTuple):
    """One session; written again, it takes the place of what was known of the session before."""

    id: str
    owner: str
    """JSON."""
    engine: str
    started: str = ""
    ended: str | None = None
    progress: str = "{}"
    """JSON."""


class EndedRow(NamedTuple):
    """That a session commits nothing from now on: it has ended, or it was followed because it is dead."""

    id: str


Row = (
    NodeRow | CallRow | ArrayRow | RoundRow | FailureRow | ImplementationRow | ReferentRow | SourceRow | TimesRow
    | AcceptanceRow | LostRow | OvercomeRow | TargetRow | SessionRow | ExpansionRow | EndedRow
)  # fmt: skip


class Conflict(NamedTuple):
    """A call that gave two results for one input."""

    call_key: bytes
    earlier: bytes
    """Digest of the first one."""
    later: bytes
    """Digest of the other one."""
    is_lost: bool = False
    """Whether the first one was damaged and taken out, so that the other one is kept."""


class Totals(NamedTuple):
    """How much a catalog knows."""

    nodes: int
    calls: int
    failures: int


def sum_times(rows: Iterable[TimesRow]) -> list[TimesRow]:
    """Return one row for each operation: a chain of short steps brings one for each step."""
    total: dict[str, TimesRow] = {}
    for row in rows:
        known = total.get(row.operation, TimesRow(row.operation, 0, 0.0))
        total[row.operation] = TimesRow(row.operation, known.calls + row.calls, known.seconds + row.seconds)
    return list(total.values())
