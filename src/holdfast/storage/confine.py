"""Reach the files of a working directory without ever leaving it.

Follows no link below the given folder, opens nothing but plain files, and never waits for a pipe or device. Whoever
put a hostile entry there gets an error, not an open file.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from io import BufferedReader
from pathlib import Path

from holdfast.errors import InvalidData


@contextmanager
def open_within(root: Path, inner: Sequence[str]) -> Iterator[BufferedReader]:
    """Open the plain file `root/inner[0]/inner[1]/…` for reading.

    Raises
    ------
    InvalidData
        It is no plain file.
    OSError
        It is not there, or there is a link on the way.
    """
    folder = _descend(root, inner[:-1])
    try:
        descriptor = os.open(inner[-1], os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=folder)
    finally:
        os.close(folder)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise InvalidData(f"{inner[-1]} is no plain file")
    with open(descriptor, "rb") as stream:
        yield stream


def list_within(root: Path, inner: Sequence[str]) -> list[str]:
    """Return the names in the folder `root/inner[0]/inner[1]/…`; OSError if it is not there, or there is a link on the way."""
    folder = _descend(root, inner)
    try:
        return os.listdir(folder)
    finally:
        os.close(folder)


def _descend(root: Path, inner: Sequence[str]) -> int:
    """Return the descriptor of a folder."""
    folder = os.open(root, os.O_RDONLY | os.O_DIRECTORY)
    for name in inner:
        try:
            step = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=folder)
        finally:
            os.close(folder)
        folder = step
    return folder


def make_folder(folder: Path) -> None:
    """Make a folder unless it is there; a link in its place is refused."""
    try:
        os.mkdir(folder)
    except FileExistsError:
        if not stat.S_ISDIR(folder.lstat().st_mode):
            raise


def refuse_link(folder: Path) -> None:
    """Raise OSError if something would be written where a link leads."""
    if folder.is_symlink():
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), str(folder))


def remove(path: Path) -> None:
    """Remove a file, or a folder with all that is in it; others may do the same at the same time."""
    if not stat.S_ISDIR(path.lstat().st_mode):
        path.unlink(missing_ok=True)
        return
    for place, folders, files in os.walk(path, topdown=False):
        for name in files:
            with suppress(FileNotFoundError):
                os.unlink(os.path.join(place, name))
        for name in folders:
            inner = os.path.join(place, name)
            with suppress(FileNotFoundError):
                (os.unlink if os.path.islink(inner) else os.rmdir)(inner)
    with suppress(FileNotFoundError):
        os.rmdir(path)
