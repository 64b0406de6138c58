"""Remember any number of keys, and in which order they came, in little memory: in a file without a name, which goes with the process.

Knows nothing of what the keys mean.

State: a database of its own.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from enum import Enum
from types import TracebackType

from holdfast.storage.database import Database


class Mark(Enum):
    """Of what a key is."""

    NAME = b"n"
    """A node, a call, a loop or a referent that is needed."""
    ARRAY = b"a"
    """An array that is needed."""
    STORE = b"s"
    """A store that is named by what is needed."""
    CHOSEN = b"c"
    """A call that nothing needs, and that was chosen to stay."""
    COUNTED = b"#"
    """An array or store of which the bytes were counted."""


class Undo(Exception):
    """Raised within `Marks.tentatively`, so that what was added there is forgotten."""


class Marks:
    """Keys, each of some kind."""

    def __init__(self) -> None:
        self._database = Database.scratch()
        self._database.select("begin_reading")  # one transaction that never ends: nothing of it is kept

    def __enter__(self) -> Marks:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._database.close()

    def add(self, kind: Mark, keys: Iterable[bytes]) -> None:
        """Remember keys; those that are remembered already keep their place."""
        self._database.change("add_mark", [(kind.value + key,) for key in keys])

    def among(self, kind: Mark, keys: Iterable[bytes]) -> set[bytes]:
        """Return those of the keys that are remembered."""
        asked = [kind.value + key for key in keys]
        found = self._database.select_keys("find_marks", asked) if asked else []
        return {key[1:] for (key,) in found}

    def after(self, position: int, limit: int) -> list[tuple[int, Mark, bytes]]:
        """Return the next keys behind a position, each with its own, in the order in which they came."""
        found = self._database.select("next_marks", (position, limit))
        return [(place, Mark(key[:1]), key[1:]) for place, key in found]

    def last(self) -> int:
        """Return the position of the last key."""
        return int(self._database.select("last_mark")[0][0])

    @contextmanager
    def tentatively(self) -> Iterator[None]:
        """Forget what is added within, if it ends by `Undo`."""
        self._database.select("begin_trial")
        try:
            yield
        except Undo:
            self._database.select("undo_trial")
        self._database.select("end_trial")
