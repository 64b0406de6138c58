"""Lock single bytes of a file against other processes, each byte for a purpose of its own. Never waits, and decides nothing.

These are POSIX locks: the kernel drops them when the process dies, and no child inherits them. They do not keep two
users within one process apart, and closing any descriptor of the file drops all of them; so a process has such a file
open once, and nobody opens it only to look.

State: the descriptor.
"""

from __future__ import annotations

import errno
import fcntl
import os
import struct
import sys
from pathlib import Path

from holdfast.errors import StoreFailure, WorkingDirectoryError

_HELD = {errno.EACCES, errno.EAGAIN}


class LockFile:
    """An open file of locks; made if there is none."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o666)

    def take(self, byte: int, *, shared: bool = False) -> bool:
        """Lock a byte, alone or beside others who share it; return False if another process is in the way.

        Raises
        ------
        WorkingDirectoryError
            The file system cannot lock.
        """
        try:
            fcntl.lockf(self._descriptor, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB, 1, byte)
            return True
        except OSError as error:
            if error.errno in _HELD:
                return False
            raise WorkingDirectoryError(
                f"The working directory {self._path.parent} cannot be used: its file system cannot lock files "
                f"({error.strerror}), so nothing would keep two sessions apart. Use a directory on a local disk."
            ) from error

    def give(self, byte: int) -> None:
        """Unlock a byte.

        Raises
        ------
        StoreFailure
            The file system refused; the byte is free when this process has ended.
        """
        try:
            fcntl.lockf(self._descriptor, fcntl.LOCK_UN, 1, byte)
        except OSError as error:
            message = (
                f"{self._path} cannot be unlocked: {error.strerror}. Run the same again: everything finished is kept."
            )
            raise StoreFailure(message) from error

    def is_held(self, byte: int) -> bool:
        """Return whether another process holds a byte; not to be asked of one that this process holds."""
        if not self.take(byte, shared=True):
            return True
        self.give(byte)
        return False

    def holder(self, byte: int) -> int:
        """Return the id of a process that holds a byte; 0 if none does, or the system does not tell."""
        if sys.platform != "linux":
            return 0
        # The members of struct flock, as Linux lays them out. Source: man 2 fcntl.
        asked = struct.pack("hhlli", fcntl.F_WRLCK, os.SEEK_SET, byte, 1, 0)
        return int(struct.unpack("hhlli", fcntl.fcntl(self._descriptor, fcntl.F_GETLK, asked))[4])

    def close(self) -> None:
        """Unlock everything."""
        os.close(self._descriptor)
