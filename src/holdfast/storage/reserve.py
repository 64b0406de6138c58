"""Keep some space of a working directory back, so that it can be tidied up when the disk is full.

What a full disk needs first is room for the log of the catalog: to move it into the database, and to note what is taken out. So a
file of nothing, larger than the log, is kept and given up first; but never more than a small part of the disk, so on a small one
the log has to be kept short. Holds no data, and its loss costs nothing.
"""

from __future__ import annotations

import os
import shutil
from contextlib import suppress

from holdfast.storage.workdir import WorkDirectory

LEAST = 1024 * 1024
"""Bytes that are kept back at least."""

_SHARE = 32  # at most one of so many bytes of the file system
_PIECE = bytes(64 * 1024)


def keep_reserve(workdir: WorkDirectory) -> bool:
    """Keep space back, more if the log has grown; return whether it could be had. Never raises."""
    log = _size(workdir.log_path)
    if _size(workdir.reserve_path) >= max(LEAST, log + LEAST // 4):
        return True
    wanted = LEAST * max(1, -(-5 * log // (4 * LEAST)))
    try:
        if wanted > max(LEAST, shutil.disk_usage(workdir.path).total // _SHARE):
            return False
        descriptor = os.open(workdir.reserve_path, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK, 0o666)
        try:
            _fill(descriptor, wanted)
        finally:
            os.close(descriptor)
    except OSError:
        return False
    return True


def give_up_reserve(workdir: WorkDirectory) -> None:
    """Let go of the space that was kept back; anybody may, at any time."""
    with suppress(OSError):
        workdir.reserve_path.unlink()


def _size(path: os.PathLike[str]) -> int:
    try:
        return os.stat(path).st_size
    except OSError:
        return 0


def _fill(descriptor: int, size: int) -> None:
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(descriptor, 0, size)
        return
    os.lseek(descriptor, 0, os.SEEK_END)
    while (missing := size - os.fstat(descriptor).st_size) > 0:
        os.write(descriptor, _PIECE[:missing])
