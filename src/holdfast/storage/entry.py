"""Say what a working directory keeps for one node: its record, its result, and where that stands. Reads only."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from holdfast.errors import NotFound
from holdfast.model.content import array_digests
from holdfast.model.token import describe_tables, verbatim
from holdfast.storage.catalog import Catalog
from holdfast.storage.format import check_layout
from holdfast.storage.rows import ArrayRow, CallRow, NodeRow
from holdfast.storage.store import open_array, read_text, store_path
from holdfast.storage.summary import Summary, TableSummary, summarise, summarise_table
from holdfast.storage.target import find_uid
from holdfast.storage.translation import damage
from holdfast.storage.workdir import WorkDirectory, open_workdir

if TYPE_CHECKING:
    from holdfast.model.content import Array


@dataclass(frozen=True, slots=True)
class Entry:
    """What is kept for one node that is done."""

    uid: str
    operation: str
    record: str
    call_key: str
    digest: str
    """Of the content text of its result."""
    seconds: float
    """That its call took."""
    place: str
    """``"catalog"``, or the path of its store."""
    size: int
    """Bytes of the content text and its arrays."""
    text: str
    """The content text, in which arrays are named."""
    arrays: tuple[Summary, ...]
    tables: tuple[TableSummary, ...] = ()


def list_entries(working_directory: str | os.PathLike[str], limit: int) -> list[Entry]:
    """Return what is kept for the latest nodes, newest first, without looking into their arrays.

    Raises
    ------
    WorkingDirectoryError
        It is no working directory, or there is nothing in it yet.
    """
    workdir = open_workdir(working_directory, create=False)
    with Catalog.open(workdir, read_only=True) as catalog:
        rows = catalog.list_nodes(limit)
        calls = catalog.find_calls(list({row.call_key for row in rows}))
        return [_entry(workdir, catalog, row, calls.get(row.call_key), deep=False) for row in rows]


def find_entry(working_directory: str | os.PathLike[str], name: str) -> Entry:
    """Return what is kept for one node that is done.

    Parameters
    ----------
    working_directory : path
    name : str
        Its uid, the first 4 or more digits of that, or the name of a target.

    Raises
    ------
    NotFound
        There is no such node, or there are several, or it is not done.
    StoreDamaged
        Its result is not what was committed.
    """
    workdir = open_workdir(working_directory, create=False)
    with Catalog.open(workdir, read_only=True) as catalog:
        uid = find_uid(catalog, name)
        node = catalog.find_nodes([bytes.fromhex(uid)]).get(bytes.fromhex(uid))
        if node is None:
            raise NotFound(
                f"Node {uid[:16]} is not done. Why not, tells: holdfast explain {uid[:16]} --work {workdir.path}"
            )
        calls = catalog.find_calls([node.call_key])
        return _entry(workdir, catalog, node, calls.get(node.call_key), deep=True)


def _entry(workdir: WorkDirectory, catalog: Catalog, node: NodeRow, call: CallRow | None, *, deep: bool) -> Entry:
    if call is None:
        raise damage(workdir.catalog_path, f"the result of node {node.uid.hex()} is gone")
    text = call.text if call.text is not None else read_text(workdir, (call.store or b"").hex(), digest=call.digest)
    if not text.isascii():
        raise damage(workdir.catalog_path, f"the result of node {node.uid.hex()} is no text")
    rows = catalog.find_arrays([bytes.fromhex(digest) for digest in array_digests(text)])
    size = len(text) + sum(map(_size, rows.values()))
    place = str(store_path(workdir, call.store.hex())) if call.store else "catalog"
    arrays, tables = _summaries(workdir, catalog, text, rows.values()) if deep else ((), ())
    return Entry(
        node.uid.hex(), node.operation, node.record, node.call_key.hex(), call.digest.hex(), call.seconds, place, size,
        text.decode("ascii"), arrays, tables,
    )  # fmt: skip


def _size(row: ArrayRow) -> int:
    return check_layout(row.dtype, row.shape).size


def _summaries(
    workdir: WorkDirectory, catalog: Catalog, text: bytes, rows: Iterable[ArrayRow]
) -> tuple[tuple[Summary, ...], tuple[TableSummary, ...]]:
    """Return what the arrays and the tables of a text look like."""
    named = verbatim(text)
    kinds = [(row, named.get(row.digest.hex(), "")) for row in rows]
    arrays = tuple(_summarise(workdir, catalog, row, kind) for row, kind in kinds if kind != "table")
    places = {row.digest.hex(): _place(workdir, row) for row, _ in kinds}
    described = [(found, places.get(found["data"]["$array"][2], "")) for found in describe_tables(text)]
    return arrays, tuple(summarise_table(*found) for found in described)


def _summarise(workdir: WorkDirectory, catalog: Catalog, row: ArrayRow, named: str) -> Summary:
    place, digest = _place(workdir, row), row.digest.hex()
    if named:  # a pickle, of which only the size means something
        return summarise(named, row.shape, place, digest, ())
    return summarise(row.dtype, row.shape, place, digest, _pieces(workdir, catalog, row))


def _place(workdir: WorkDirectory, row: ArrayRow) -> str:
    if row.store is not None:
        return str(store_path(workdir, row.store.hex()) / (row.file or ""))
    return f"a stack of {len(row.members) // 32} arrays" if row.members else "catalog"


def _pieces(workdir: WorkDirectory, catalog: Catalog, row: ArrayRow) -> Iterator[Array]:
    """Return the arrays that an array consists of, in order."""
    import numpy

    waiting = [row]
    while waiting:
        row = waiting.pop()
        if row.data is not None:
            yield numpy.frombuffer(row.data, row.dtype).reshape(row.shape)
        elif row.store is not None:
            yield open_array(store_path(workdir, row.store.hex()) / (row.file or ""), digest=row.digest.hex())
        else:
            members = row.members or b""
            digests = [members[start : start + 32] for start in range(0, len(members), 32)]
            found = catalog.find_arrays(digests)
            if any(digest not in found or found[digest].shape != row.shape[1:] for digest in digests):
                raise damage(workdir.catalog_path, f"members of the array {row.digest.hex()} are gone")
            waiting += [found[digest] for digest in reversed(digests)]
