"""Take what is damaged out of a working directory, so that the next run makes it again.

Works as the owner of the directory. The rows that are whole are copied into a new catalog, which takes the place of the damaged one;
only then are the stores set aside that nothing names any more. Removes nothing for good: what is taken out stands in `damaged/`. Of a
result that is taken out the digest is kept, so that it is seen if the call gives another one when it is made again.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from itertools import islice
from pathlib import Path

from holdfast.errors import StoreDamaged, WorkingDirectoryError
from holdfast.storage.catalog import Catalog, open_to_write
from holdfast.storage.confine import make_folder, remove
from holdfast.storage.flush import flush_folder
from holdfast.storage.owner import current_owner
from holdfast.storage.ownership import Ownership
from holdfast.storage.rows import ArrayRow, CallRow, LostRow, NodeRow, RoundRow, Row, SessionRow
from holdfast.storage.staging import new_name
from holdfast.storage.store import writing
from holdfast.storage.verify import OTHERS, Verification, Verifier, check_log
from holdfast.storage.workdir import WorkDirectory, open_workdir
from holdfast.storage.writer import CatalogWriter

DAMAGED = "damaged"
"""Folder of what was taken out; may be removed by hand."""

_ROWS_AT_ONCE = 10_000
_KINDS: tuple[type[Row], ...] = (ArrayRow, CallRow, NodeRow, RoundRow, *OTHERS)


def repair(working_directory: str | os.PathLike[str]) -> Verification:
    """Take out what is damaged, and what names it, and return what was found.

    Raises
    ------
    OwnershipError
        A session works there; nothing was changed.
    WorkingDirectoryError
        It is no working directory, or a newer holdfast made it.
    StoreFailure
        The file system refused; the same again goes on.
    """
    workdir = open_to_write(open_workdir(working_directory, create=False).path)
    ownership = Ownership.acquire(workdir, current_owner("repair"))
    try:
        lost = check_log(workdir)
        _bring_up_to_date(workdir)
        verifier = Verifier(workdir)
        found = verifier.run()
        found.findings[:0] = [finding for finding in lost if finding not in found.findings]
        if found.findings:
            with writing(workdir):
                _replace_catalog(workdir, verifier)
                for place in verifier.damaged:
                    _set_aside(workdir, place)
        return found
    finally:
        ownership.release()


def _bring_up_to_date(workdir: WorkDirectory) -> None:
    """Move the log into the database, if that can be done; a catalog of an older holdfast is brought to this version."""
    path = workdir.catalog_path
    if path.exists() and path.stat().st_size:
        with suppress(StoreDamaged), CatalogWriter.open(workdir) as catalog:
            catalog.move_log()


def _replace_catalog(workdir: WorkDirectory, verifier: Verifier) -> None:
    scratch = workdir.tmp / new_name()
    os.makedirs(WorkDirectory(scratch).tmp)
    with CatalogWriter.open(WorkDirectory(scratch)) as written:
        whole = _whole_rows(workdir, verifier)
        while rows := list(islice(whole, _ROWS_AT_ONCE)):
            written.write(rows)
        written.move_log()
    # The log of the old catalog must never be taken for that of the new one: it is gone before the new one is there.
    for ending in ("-wal", "-shm", "-journal"):
        _set_aside(workdir, workdir.catalog_path.with_name(workdir.catalog_path.name + ending))
    with suppress(OSError):  # a file system without hard links keeps no copy
        os.link(workdir.catalog_path, _free_name(workdir, workdir.catalog_path), follow_symlinks=False)
    os.replace(scratch / workdir.catalog_path.name, workdir.catalog_path)
    flush_folder(workdir.path)
    remove(scratch)


def _whole_rows(workdir: WorkDirectory, verifier: Verifier) -> Iterator[Row]:
    try:
        with Catalog.open(workdir, read_only=True) as catalog:
            for kind in _KINDS:
                for row in catalog.walk(kind):
                    if isinstance(row, StoreDamaged):
                        continue
                    if _is_whole(row, verifier):
                        yield row
                    elif isinstance(row, CallRow):
                        yield LostRow(row.call_key, row.digest)
    except (StoreDamaged, WorkingDirectoryError):
        return  # nothing of it can be read, or it is missing or empty


def _is_whole(row: Row, verifier: Verifier) -> bool:
    if isinstance(row, ArrayRow):
        return row.digest in verifier.arrays
    if isinstance(row, CallRow):
        return row.call_key in verifier.calls
    if isinstance(row, NodeRow):
        return row.uid in verifier.nodes
    if isinstance(row, RoundRow):
        return (row.loop_key, row.number) in verifier.rounds
    return _can_be_written(row)


def _can_be_written(row: Row) -> bool:
    """Return whether a row, which may have no seal, is one that the tables take."""
    try:
        "".join(member for member in row if isinstance(member, str)).encode()
    except UnicodeEncodeError:
        return False
    return None not in row or isinstance(row, SessionRow)


def _set_aside(workdir: WorkDirectory, place: Path) -> None:
    """Move a file or folder to `damaged/`, if it is there."""
    with suppress(FileNotFoundError):
        place.lstat()
        os.rename(place, _free_name(workdir, place))
        flush_folder(place.parent)


def _free_name(workdir: WorkDirectory, place: Path) -> Path:
    folder = workdir.path / DAMAGED
    make_folder(folder)
    return folder / f"{place.name}.{os.urandom(4).hex()}"
