"""Look at files of the user's, which holdfast reads and never changes."""

from __future__ import annotations

import os
from functools import lru_cache
from hashlib import file_digest
from pathlib import Path

from holdfast.errors import StoreDamaged


def unchanged_file(path: str, digest: str) -> Path:
    """Return the path of a file whose contents still have the digest.

    Raises
    ------
    StoreDamaged
        It has other contents now.
    """
    facts = os.stat(path)
    if _digest(path, facts.st_size, facts.st_mtime_ns, facts.st_ino) != digest:
        raise StoreDamaged(f"{path} is not the file that the node was made from. Make the node again.")
    return Path(path)


@lru_cache(maxsize=1024)
def _digest(path: str, size: int, changed: int, inode: int) -> str:
    with open(path, "rb") as stream:
        return file_digest(stream, "sha256").hexdigest()
