"""Give staged stores their lasting places, so that each appears whole or not at all.

A whole store that stands at a place already is never changed or removed for another. Only the owner of a working
directory publishes.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from holdfast.errors import StoreDamaged, StoreFailure
from holdfast.storage.confine import make_folder, remove
from holdfast.storage.flush import flush_folder
from holdfast.storage.metadata import Metadata
from holdfast.storage.parallel import in_parallel
from holdfast.storage.staging import Staged, new_name, read_staged
from holdfast.storage.store import read_store, store_path, verify_store, writing
from holdfast.storage.workdir import WorkDirectory

_TAKEN = {errno.EEXIST, errno.ENOTEMPTY, errno.ENOTDIR}


@dataclass(frozen=True, slots=True)
class StoredResult:
    """A published store."""

    store: str
    """The name it has: the uid, or, if that was taken by other content, the digest of its own content."""
    metadata: Metadata
    conflict: bytes | None = None
    """Digest of the other content that stands under the uid, if there is such."""


def publish(workdir: WorkDirectory, staged_name: str, uid: str) -> StoredResult:
    """Give one staged store its lasting place; see `publish_all`."""
    return publish_all(workdir, [(staged_name, uid)])[0]


def publish_all(workdir: WorkDirectory, staged: Sequence[tuple[str, str]]) -> list[StoredResult]:
    """Give staged stores their lasting places, and return when these are on the disk.

    If the place of a uid is taken by a whole store of the same content, that one stays and ours is removed. Other
    content stays too, and ours gets the digest of its content for a name: whatever names either of them remains true.
    What is broken is set aside.

    Parameters
    ----------
    workdir : WorkDirectory
        Owned by the caller.
    staged : sequence of (name, uid)
        Names that `stage` gave; uids as 64 hex digits.

    Raises
    ------
    StoreFailure
        The file system refused; what was published so far stays, and nothing may name it.
    StoreDamaged
        A staged store is missing or broken.
    """
    with writing(workdir):
        results = [_place(workdir, read_staged(workdir, name), uid) for name, uid in staged]
        folders = {store_path(workdir, result.store).parent for result in results}
        in_parallel([partial(flush_folder, folder) for folder in sorted(folders)])
        # Always, for a folder that was here already may have been made by a process that was killed before it flushed.
        if results:
            flush_folder(workdir.nodes)
    return results


def _place(workdir: WorkDirectory, staged: Staged, uid: str) -> StoredResult:
    conflict = None
    for store in (uid, staged.metadata.digest.hex()):
        standing = _rename(workdir, staged, store_path(workdir, store))
        if standing is None or standing == staged.metadata.digest:
            return StoredResult(store, staged.metadata, conflict)
        conflict = standing
    raise StoreFailure(
        f"The store {staged.name} cannot be published: {uid} and its own digest are both taken. Run: holdfast verify"
    )


def _rename(workdir: WorkDirectory, staged: Staged, target: Path) -> bytes | None:
    """Return None if the store has its place now, else the digest of the whole store that stands there."""
    source = workdir.tmp / staged.name
    make_folder(target.parent)
    try:
        os.rename(source, target)
        return None
    except OSError as error:
        if error.errno not in _TAKEN:
            raise
    try:
        standing = read_store(workdir, target.name).digest
        if standing == staged.metadata.digest:
            verify_store(workdir, target.name)
            remove(source)
        return standing
    except StoreDamaged:
        os.rename(target, workdir.tmp / new_name())
        os.rename(source, target)
        return None
