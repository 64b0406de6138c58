"""Tell by its stamp whether a file is still the one whose bytes were written or compared.

Whoever writes to a file changes its stamp; what the medium does to it by itself does not. So a stamp stands for bytes only within the
session that has written or compared them, and is never kept on the disk. Pure but for one look at the file.
"""

from __future__ import annotations

import os
from io import BufferedIOBase
from typing import NamedTuple


class Stamp(NamedTuple):
    """What the file system says of a file; while it is the same, nobody has written to the file."""

    device: int
    inode: int
    size: int
    modified: int
    """Time of the last change of its bytes, in nanoseconds."""
    changed: int
    """Time of the last change of anything about it, in nanoseconds; unlike the other, no program can set it."""


def stamp_of(stream: BufferedIOBase) -> Stamp:
    """Return the stamp of an open file whose buffer is written."""
    facts = os.fstat(stream.fileno())
    return Stamp(facts.st_dev, facts.st_ino, facts.st_size, facts.st_mtime_ns, facts.st_ctime_ns)
