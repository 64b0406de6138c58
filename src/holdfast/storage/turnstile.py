"""Let one process at a time through, in turn, and nobody wait for ever: where several write to one database.

There are two places: one for whoever is through, and one before it, for the next. Whoever has come through gets
behind the one that waits there before it can pass again. Waiting is by trying, at first every millisecond and never
for longer than a small part of the time that was waited: a lock that is waited for in the kernel cannot be given up.

State: the lock file.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from holdfast.errors import StoreFailure
from holdfast.storage.lockfile import LockFile

PATIENCE = 300.0
"""Seconds after which a process that does not come through any more is given up."""

_THROUGH, _NEXT = 0, 1
_PAUSE = 0.001
_SHARE = 20


class Turnstile:
    """A fair lock between processes; within one, it keeps nobody apart.

    Parameters
    ----------
    path : Path
        The lock file; made if there is none.
    patience : float
        Seconds to wait at most.

    Raises
    ------
    StoreFailure
        The file cannot be made.
    """

    def __init__(self, path: Path, patience: float = PATIENCE) -> None:
        self._path = path
        self._patience = patience
        try:
            self._lock = LockFile(path)
        except OSError as error:
            message = f"{path} cannot be opened: {error.strerror}. Check space and permissions."
            raise StoreFailure(message) from error

    @contextmanager
    def passing(self) -> Iterator[None]:
        """Be the only process within the block.

        Raises
        ------
        StoreFailure
            Another one has been through for too long; says which.
        WorkingDirectoryError
            The file system cannot lock.
        """
        self._wait(_NEXT)
        try:
            self._wait(_THROUGH)
        finally:
            self._lock.give(_NEXT)
        try:
            yield
        finally:
            self._lock.give(_THROUGH)

    def close(self) -> None:
        """Let go of the lock file."""
        self._lock.close()

    def _wait(self, byte: int) -> None:
        begun = time.monotonic()
        while not self._lock.take(byte):
            waited = time.monotonic() - begun
            if waited > self._patience:
                raise StoreFailure(
                    f"{self._path.parent} cannot be written: process {self._lock.holder(_THROUGH) or 'unknown'} has kept "
                    f"{self._path.name} locked for {waited:.0f} s. If it is stopped, let it go on or end it, and run the same "
                    "again: everything finished is kept."
                )
            time.sleep(max(_PAUSE, waited / _SHARE))
