"""Write down which session makes which call, so that no two sessions make one.

The database of claims is beside the catalog and holds only what is under way: it survives its processes, but no power
cut, and is removed by whoever enters a directory in which nobody lives. Decides nothing: who is dead, and when a claim
ends, is said by others.

State: a connection.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from holdfast.storage.database import Database
from holdfast.storage.workdir import WorkDirectory


class Claims:
    """The claims of all sessions in a directory, on behalf of one of them; used by one thread at a time."""

    def __init__(self, workdir: WorkDirectory, session: str) -> None:
        self._database = Database.short_lived(workdir.sessions / "claims.db", "claims.sql")
        self._session = session

    def share(self, keys: Collection[bytes]) -> None:
        """Write down the calls that this session makes already, and that from now on each is written down before it is made."""
        with self._database.transaction():
            self._database.change("add_claim", [(key, self._session) for key in keys])
            self._database.change("add_sharing", [(self._session,)])

    def sharing(self) -> set[str]:
        """Return the sessions that write down their claims."""
        with self._database.transaction():
            return {columns[0] for columns in self._database.select("list_sharing")}

    def take(self, keys: Sequence[bytes]) -> dict[bytes, str]:
        """Claim calls, and return for each that could not be had the session that has it."""
        with self._database.transaction():
            if self._database.change("add_claim", [(key, self._session) for key in keys]) == len(keys):
                return {}
            return {key: held for key, held in self._find(keys) if held != self._session}

    def release(self, keys: Collection[bytes]) -> None:
        """Let others have calls, which are done or given up; those that they have stay theirs."""
        with self._database.transaction():
            self._database.change("remove_claim", [(key, self._session) for key in keys])

    def holders(self, keys: Sequence[bytes]) -> dict[bytes, str]:
        """Return which session has each of those calls that somebody has."""
        with self._database.transaction():
            return dict(self._find(keys))

    def drop(self, session: str) -> None:
        """Remove a session that has ended, with all its claims."""
        with self._database.transaction():
            self._database.change("remove_claims", [(session,)])
            self._database.change("remove_sharing", [(session,)])

    def close(self) -> None:
        """Close the connection."""
        self._database.close()

    def _find(self, keys: Sequence[bytes]) -> list[tuple[bytes, str]]:
        return [(key, session) for key, session in self._database.select_keys("find_claims", keys)]
