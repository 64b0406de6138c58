"""Keep the calls that another session makes, until their results are there, or whoever made them is dead or gave up.

Looks when another session rings, and once a second at those who hold the claims, so that nobody waits for the dead; never at all while
nothing is waited for. Runs nothing, and settles nothing.

State: the calls that wait, those whose result was found, when to look next, whom was told of, and which dead are being followed.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from math import inf
from time import monotonic
from typing import TYPE_CHECKING

from holdfast.runtime.events import Event, MadeElsewhere
from holdfast.runtime.sharing import Sharing
from holdfast.storage.rows import CallRow

if TYPE_CHECKING:
    from holdfast.runtime.dispatch import Pending, Queue

LOOK_SECONDS = 1.0
"""How often at least is looked whether those live who are waited for."""

SHORTEST = 0.05
"""Seconds between two looks at least, however often is rung."""

SHARE = 4
"""A look that takes long is followed by a pause so many times as long."""

Known = CallRow | str
"""What may be found of a call: its result, or the document of the nodes that it returned."""


@dataclass(slots=True)
class Waiting:
    """A call that another session makes."""

    queue: Queue
    pending: Pending
    session: str


class Elsewhere:
    """The calls that wait for other sessions.

    Parameters
    ----------
    sharing : Sharing
    look : callable
        Returns what the catalog knows now of calls, by their keys.
    end_session : callable
        Has it made durable that a dead session has ended, and calls back then.
    tell : callable
        Takes an event.
    """

    def __init__(
        self,
        sharing: Sharing,
        look: Callable[[Sequence[bytes]], Mapping[bytes, Known]],
        end_session: Callable[[str, Callable[[], None]], None],
        tell: Callable[[Event], None],
    ) -> None:
        self._sharing = sharing
        self._look = look
        self._end_session = end_session
        self._tell = tell
        self._waiting: dict[bytes, Waiting] = {}
        self._found: list[tuple[Pending, Known]] = []
        self._due = inf
        self._earliest = -inf
        self._told: set[tuple[str, str]] = set()
        self._followed: set[str] = set()

    def __len__(self) -> int:
        return len(self._waiting)

    @property
    def patience(self) -> float:
        """Seconds until the next look."""
        return max(0.0, self._due - monotonic())

    def sift(self, queue: Queue, pendings: list[Pending]) -> list[Pending]:
        """Claim calls, and return those that are to be made here: not those that another session makes, or has made meanwhile."""
        keys = [pending.call.key for pending in pendings]
        known = self._look(keys) if self._sharing.is_shared else {}
        held = self._sharing.claim([key for key in keys if key not in known])
        if not self._sharing.is_shared:
            return pendings
        known = {**known, **self._look_again([key for key in keys if key not in known and key not in held])}
        for pending in pendings:
            key = pending.call.key
            if key in held:
                self._wait(queue, pending, held[key])
            elif key in known:
                self._found.append((pending, known[key]))
        return [pending for pending in pendings if pending.call.key not in held and pending.call.key not in known]

    @property
    def is_shared(self) -> bool:
        """Whether there are, or were, other sessions."""
        return self._sharing.is_shared

    def disclaim(self, keys: Collection[bytes]) -> None:
        """Let other sessions make calls that have no result here."""
        self._sharing.release(keys)

    def take_found(self) -> list[tuple[Pending, Known]]:
        """Return the calls that need not be made, with what is known of them."""
        found, self._found = self._found, []
        return found

    def hurry(self) -> None:
        """Look soon: another session has rung. May be called from any thread."""
        self._due = min(self._due, self._earliest)

    def review(self) -> None:
        """Look, if it is time, and queue again what no session makes any more."""
        if not self._waiting or monotonic() < self._due:
            return
        begun = monotonic()
        known = self._look(list(self._waiting))
        self._found += [(self._waiting.pop(key).pending, found) for key, found in known.items()]
        holders = self._sharing.holders(list(self._waiting))
        for key in [key for key in self._waiting if key not in holders]:
            waiting = self._waiting.pop(key)
            waiting.queue.waiting.appendleft(waiting.pending)
        for key, session in holders.items():
            self._waiting[key].session = session
        for session in {*holders.values()} - self._followed:
            if self._sharing.is_dead(session):
                self._followed.add(session)
                self._end_session(session, partial(self._follow, session))
        ended = monotonic()
        self._earliest = ended + max(SHORTEST, SHARE * (ended - begun))
        self._due = max(ended + LOOK_SECONDS, self._earliest) if self._waiting else inf

    def forget(self) -> None:
        """Wait for nothing any more."""
        self._waiting.clear()
        self._found.clear()
        self._due = inf

    def _look_again(self, claimed: Sequence[bytes]) -> Mapping[bytes, Known]:
        """Return what is known of calls now that nobody else can make them; that need not be claimed."""
        known = self._look(claimed)
        if known:
            self._sharing.release(known.keys())
        return known

    def _wait(self, queue: Queue, pending: Pending, session: str) -> None:
        self._waiting[pending.call.key] = Waiting(queue, pending, session)
        self._due = min(self._due, monotonic() + LOOK_SECONDS)
        for consumer, index in pending.consumers:
            consumer.made_elsewhere(index)
        name = str(queue.operation.name)
        if (name, session) not in self._told:
            self._told.add((name, session))
            owner = self._sharing.find(session)
            self._tell(MadeElsewhere(name, session, owner.host if owner else "", owner.process if owner else 0))

    def _follow(self, session: str) -> None:
        self._sharing.follow(session)
        self._followed.discard(session)
        self._due = min(self._due, monotonic())
