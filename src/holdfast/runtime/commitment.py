"""Say what becomes durable together, and what follows from it.

A commitment gathers what one turn of the loop has computed. Its rows never name bytes that are not written: large values are staged
here first. Acknowledging is the scheduler's.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from holdfast.model.content import Content, array_digests
from holdfast.runtime.contents import Contents
from holdfast.runtime.events import Event
from holdfast.runtime.job import Finished, Inline, Stack
from holdfast.runtime.places import Places
from holdfast.runtime.task import Task
from holdfast.storage.rows import ArrayRow, CallRow, Row
from holdfast.storage.staging import Construction, Staged
from holdfast.storage.store import INLINE_LIMIT

if TYPE_CHECKING:
    from holdfast.model.content import Array


@dataclass(slots=True)
class Commitment:
    """Rows and stores that become durable at once, and who is told."""

    rows: list[Row] = field(default_factory=list)
    staged: list[tuple[str, str]] = field(default_factory=list)
    """Name under construction and lasting uid of each store."""
    unflushed: list[Construction] = field(default_factory=list)
    """Those of these stores that are not on the disk yet."""
    tasks: list[Task] = field(default_factory=list)
    """Nodes that are done then."""
    late: list[tuple[Task, bytes]] = field(default_factory=list)
    """Nodes whose value may be used only then, with its text."""
    calls: list[bytes] = field(default_factory=list)
    """Keys of calls that the catalog knows then: their results, or what they expanded to."""
    arrays: list[str] = field(default_factory=list)
    """Digests of arrays that the catalog knows then."""
    results: list[str] = field(default_factory=list)
    """Uids of nodes without a task whose result the catalog knows then."""
    events: list[Event] = field(default_factory=list)
    resumes: list[Callable[[], None]] = field(default_factory=list)
    """What goes on only then."""

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to commit and nobody to tell."""
        return not (self.rows or self.staged or self.tasks or self.late or self.events or self.resumes)


def array_rows(outcome: Finished) -> list[ArrayRow]:
    """Return the rows of its arrays; those of a staged store come when it is published."""
    return [
        ArrayRow(bytes.fromhex(digest), array.dtype, array.shape, data=array.data)
        for digest, array in outcome.arrays.items()
        if isinstance(array, Inline)
    ]


def composite_rows(
    contents: Contents, text: bytes, places: Places, call: CallRow, uid: str
) -> tuple[list[Row], Staged | None]:
    """Return the rows that make a composed value durable, and the store staged for it, if it is large.

    Parameters
    ----------
    text : bytes
        Content text of the value.
    places : dict
        Where those of its arrays are that the catalog does not know.
    call : CallRow
        Its row, without the place of the value.
    uid : str
        The node, for the name of its store.
    """
    rows, arrays = _new_arrays(contents, text, places)
    if len(text) + sum(array.nbytes for array in arrays.values()) <= INLINE_LIMIT:
        rows += [
            ArrayRow(bytes.fromhex(name), array.dtype.str, array.shape, data=array.tobytes())
            for name, array in arrays.items()
        ]
        return [*rows, call._replace(text=text)], None
    staged = contents.stage(Content(text, arrays))
    kept = text if len(text) <= INLINE_LIMIT else None
    return [*rows, call._replace(text=kept, store=bytes.fromhex(uid))], staged


def _new_arrays(contents: Contents, text: bytes, places: Places) -> tuple[list[Row], dict[str, Array]]:
    """Return rows for stacks, and the arrays themselves that the catalog does not know."""
    rows: list[Row] = []
    arrays: dict[str, Array] = {}
    waiting = [digest for digest in array_digests(text) if digest in places] if places else []
    while waiting:
        digest = waiting.pop()
        place = places[digest]
        if isinstance(place, Stack):
            shape = contents.read(place.members[0]).shape
            dtype = contents.read(place.members[0]).dtype.str
            members = b"".join(map(bytes.fromhex, place.digests))
            rows.append(ArrayRow(bytes.fromhex(digest), dtype, (len(place.members), *shape), members=members))
            waiting.extend(member for member in place.digests if member in places)
        else:
            arrays[digest] = contents.read(place)
    return rows, arrays
