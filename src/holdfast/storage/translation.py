"""Say what errors of SQLite mean to the user: damage, a disk that refuses, or somebody who keeps the database busy. Runs no SQL."""

from __future__ import annotations

import errno
import sqlite3
from pathlib import Path

from holdfast.errors import HoldfastError, SessionClosed, StoreDamaged, StoreFailure

_REFUSED = {sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN}
_REFUSED |= {
    sqlite3.SQLITE_PERM,
    sqlite3.SQLITE_BUSY,
    sqlite3.SQLITE_LOCKED,
    sqlite3.SQLITE_NOMEM,
    sqlite3.SQLITE_PROTOCOL,
}


class Translated:
    """Says what errors of SQLite mean to the user; a class, since every look-up enters it, and a generator takes five times as long."""

    __slots__ = ("_path",)

    def __init__(self, path: Path) -> None:
        self._path = path

    def __enter__(self) -> None:
        """Watch."""

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        if isinstance(error, sqlite3.ProgrammingError):
            if "closed" in str(error):
                raise SessionClosed(f"The catalog {self._path} is closed. Open a session first.") from error
        elif isinstance(error, sqlite3.IntegrityError):
            return  # a row of ours that breaks the tables' rules: our bug, and no damage
        elif isinstance(error, sqlite3.Error):
            raise explain(self._path, error) from error
        elif isinstance(error, UnicodeDecodeError):  # SQLite quotes what it cannot understand
            raise damage(self._path, "its description of the tables is no text") from error
        elif isinstance(error, OSError) and not isinstance(error, HoldfastError):
            is_full = error.errno in (errno.ENOSPC, errno.EDQUOT)
            raise _failure(self._path, error.strerror or error, is_full) from error


def explain(path: Path, error: Exception) -> HoldfastError:
    """Return what an error of SQLite means to the user."""
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_CORRUPT)
    if code & 0xFF not in _REFUSED or code in (sqlite3.SQLITE_IOERR_SHORT_READ, sqlite3.SQLITE_IOERR_CORRUPTFS):
        return damage(path, error)
    if code & 0xFF in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return busy(path, error)
    return _failure(path, error, code & 0xFF == sqlite3.SQLITE_FULL)


def busy(path: Path, reason: object) -> StoreFailure:
    """Return what it means to the user that somebody else keeps the database busy."""
    remedy = "Another process keeps it busy, or its file system refuses locks; try again"
    return StoreFailure(f"The catalog {path} cannot be used: {reason}. {remedy}.")


def _failure(path: Path, reason: object, is_full: bool) -> StoreFailure:
    remedy = "Free some space" if is_full else "Check disk and permissions"
    return StoreFailure(
        f"The catalog {path} cannot be used: {reason}. {remedy}, and run the same again: everything finished is kept."
    )


def damage(path: Path, reason: object) -> StoreDamaged:
    """Return what damage of the database means to the user."""
    return StoreDamaged(f"The catalog {path} is damaged: {reason}. Run: holdfast verify --repair")
