"""Bring bytes and folder entries to the disk itself, and put small files in place whole.

The only file that calls fsync. A flush that failed is never tried again and never counts as done: after a failed
fsync the kernel may have dropped the data and report success the next time.
"""

from __future__ import annotations

import errno
import fcntl
import os
from pathlib import Path

# On macOS fsync leaves the data in the cache of the drive; F_FULLFSYNC does not. Source: man 2 fsync, Darwin.
_FULL_FLUSH: int | None = getattr(fcntl, "F_FULLFSYNC", None)

_NOT_OFFERED = {errno.EINVAL, errno.ENOTSUP, errno.ENOTTY}


def flush_file(descriptor: int) -> None:
    """Return when all that was written to an open file is on the disk."""
    if _FULL_FLUSH is not None:
        try:
            fcntl.fcntl(descriptor, _FULL_FLUSH)
            return
        except OSError as error:
            if error.errno not in _NOT_OFFERED:
                raise
    os.fsync(descriptor)


def flush_folder(path: Path) -> None:
    """Return when the entries of a folder are on the disk: what was created in it, renamed into it or removed."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        flush_file(descriptor)
    except OSError as error:
        # Some network and FUSE file systems know no flush of folders and say so; their entries are written at once.
        if error.errno not in _NOT_OFFERED:
            raise
    finally:
        os.close(descriptor)


def write_new_file(path: Path, data: bytes) -> None:
    """Create a file with the given bytes, flushed; its folder is not."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o666)
    with open(descriptor, "wb") as stream:
        stream.write(data)
        stream.flush()
        flush_file(descriptor)


def replace_file(path: Path, data: bytes, scratch: Path) -> None:
    """Put `data` at `path`, whole and flushed, in the place of what stood there; `scratch` is a free name nearby."""
    try:
        write_new_file(scratch, data)
        os.rename(scratch, path)
    except BaseException:
        scratch.unlink(missing_ok=True)
        raise
    flush_folder(path.parent)
