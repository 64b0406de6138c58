"""Share the work of a directory with the other sessions in it: a call is claimed before it is made, and nobody else makes it then.

While a session is alone its claims are a set in memory. A newcomer rings; a thread that only listens then writes the claims down where
all can see them, also while the session is deep in a long operation, and from then on each call is claimed there. The newcomer makes
nothing before all have done that. A claim is released after what it was for is durable; so who can have it then, finds the result.

State: the claims of this session, the database of all claims once there were others, whether somebody rang, and the listening thread.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from time import monotonic

from holdfast.errors import OwnershipError, StoreFailure
from holdfast.storage.claims import Claims
from holdfast.storage.doorbell import LOOK_SECONDS, Doorbell
from holdfast.storage.owner import Owner
from holdfast.storage.ownership import Ownership, entries

ANSWER_SECONDS = 30.0
"""How long a newcomer waits for those who are there to write down what they are making."""


class Sharing:
    """The claims of one session.

    Parameters
    ----------
    ownership : Ownership
        Of the session, not exclusive.
    """

    def __init__(self, ownership: Ownership) -> None:
        self._ownership = ownership
        self._session = ownership.owner.session
        self._lock = threading.Lock()
        self._made: set[bytes] = set()
        self._claims: Claims | None = None
        self._is_closed = False
        self._was_rung = threading.Event()
        self._bell = Doorbell(self._session)
        self._thread: threading.Thread | None = None

    @property
    def is_shared(self) -> bool:
        """Whether there are, or were, other sessions."""
        return self._claims is not None

    def join(self, *, rung: Callable[[], None], failed: Callable[[Exception], None]) -> None:
        """Begin to listen, and return when every session that is here writes its claims down; at once if there is none.

        Parameters
        ----------
        rung : callable
            Called from the thread that listens, whenever another session may have something to tell.
        failed : callable
            Called from there with the error because of which claims cannot be written down; nothing more may be made then.

        Raises
        ------
        OwnershipError
            One of them does not answer; says which.
        """
        name = f"holdfast sharing {self._session}"
        self._thread = threading.Thread(target=self._listen, args=(rung, failed), name=name, daemon=True)
        self._thread.start()
        end = monotonic() + ANSWER_SECONDS
        while silent := self._silent():
            if monotonic() > end:
                who = f"session {silent[0].session} of process {silent[0].process} on {silent[0].host}, since {silent[0].since}"
                message = (
                    f"The working directory {self._ownership.workdir.path} is used by {who}, which does not answer. "
                )
                message += "If it is stopped, let it go on or end it; else try again."
                raise OwnershipError(message, host=silent[0].host, process=silent[0].process, since=silent[0].since)
            self._ring_others()
            self._was_rung.wait(LOOK_SECONDS)
            self._was_rung.clear()

    def claim(self, keys: Sequence[bytes]) -> Mapping[bytes, str]:
        """Claim calls that are to be made now, and return for each that another session makes which one that is."""
        with self._lock:
            held = {} if self._claims is None else self._claims.take(keys)
            self._made.update(keys)
            self._made.difference_update(held)
            return held

    def release(self, keys: Collection[bytes]) -> None:
        """Let others have calls: their results are durable, or they are not made here after all."""
        with self._lock:
            self._made.difference_update(keys)
            if self._claims is None:
                return
            self._claims.release(keys)
        self._ring_others()

    def give_up(self) -> None:
        """Let others have everything: nothing of it can become durable here any more."""
        self.release(list(self._made))

    def holders(self, keys: Sequence[bytes]) -> Mapping[bytes, str]:
        """Return which session makes each of those calls that any session makes."""
        with self._lock:
            return {} if self._claims is None else self._claims.holders(keys)

    def find(self, session: str) -> Owner | None:
        """Return who a session is, if it is still there."""
        return next((owner for owner in self._ownership.others() if owner.session == session), None)

    def is_dead(self, session: str) -> bool:
        """Return whether another session is proven dead, or has left."""
        return self._ownership.is_dead(session)

    def follow(self, session: str) -> None:
        """Let everybody have the claims of a session that is dead, and that the catalog knows to have ended."""
        with self._lock:
            if self._claims is not None:
                self._claims.drop(session)
        self._ring_others()

    def close(self) -> None:
        """Drop all claims, and stop listening; a forked child leaves to its parent what is its parent's."""
        if os.getpid() != self._ownership.owner.process:
            return
        self._bell.stop()
        if self._thread is not None:
            self._thread.join(ANSWER_SECONDS)
        with self._lock:
            self._is_closed = True
            if self._claims is not None:
                self._claims.drop(self._session)
                self._claims.close()
                self._claims = None
        self._ring_others()
        self._bell.close()

    def _silent(self) -> list[Owner]:
        """Return those of the other sessions that do not write down their claims yet; if there are others, this one does."""
        others = self._ownership.others()
        if not others:
            return []
        self._share()
        with self._lock:
            known = self._claims.sharing() if self._claims is not None else set()
        return [owner for owner in others if owner.session not in known]

    def _share(self) -> None:
        with self._lock:
            if self._claims is not None or self._is_closed:
                return
            claims = Claims(self._ownership.workdir, self._session)
            claims.share(self._made)
            self._claims = claims
        self._ring_others()

    def _ring_others(self) -> None:
        with suppress(StoreFailure):  # who is not rung at looks by himself soon
            self._bell.ring(entries(self._ownership.workdir))

    def _listen(self, rung: Callable[[], None], failed: Callable[[Exception], None]) -> None:
        try:
            while self._bell.wait():
                self._was_rung.set()
                if not self.is_shared and self._ownership.others():
                    self._share()
                rung()
        except Exception as error:  # whatever it is: others wait for what this thread was to do
            failed(error)
