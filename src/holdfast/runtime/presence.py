"""Tell the catalog that a session works in its directory and how far it is, for those who look from outside.

State: when it was told last.
"""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import asdict
from time import monotonic

from holdfast.errors import HoldfastError
from holdfast.runtime.events import Counts
from holdfast.storage.commit import GroupCommit
from holdfast.storage.owner import Owner
from holdfast.storage.rows import EndedRow, Row, SessionRow
from holdfast.storage.workdir import now

PROGRESS_SECONDS = 1.0
"""How often at most the catalog is told how far the session is."""


class Presence:
    """What is told of one session.

    Parameters
    ----------
    commit : GroupCommit
    owner : Owner
        Who the session is.
    engine : str
    counts : Counts
        How far it is; changes while it works.
    """

    def __init__(self, commit: GroupCommit, owner: Owner, engine: str, counts: Counts) -> None:
        self._commit = commit
        self._owner = owner
        self._engine = engine
        self._counts = counts
        self._noted = monotonic()
        self._note(None)

    def note_now_and_then(self) -> None:
        """Tell, if that was not done for a while."""
        if monotonic() - self._noted > PROGRESS_SECONDS:
            self._noted = monotonic()
            self._note(None)

    def end(self) -> None:
        """Tell that the session has ended; it commits nothing more."""
        self._note(now(), EndedRow(self._owner.session))

    def _note(self, ended: str | None, *more: Row) -> None:
        owner, progress = json.dumps(asdict(self._owner)), json.dumps(asdict(self._counts))
        row = SessionRow(self._owner.session, owner, self._engine, self._owner.since, ended, progress)
        with suppress(HoldfastError):  # a store that refuses to write is told to those who wait for results
            self._commit.append([row, *more])
