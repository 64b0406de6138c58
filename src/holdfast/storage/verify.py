"""Read everything in a working directory, and say what is not what was committed.

Every row is held to its seal, every store to its digests, and every name to what it leads to: node to call, call to arrays and store,
array to file. Changes nothing, and believes nothing that it has not checked. Keeps the keys of all that is whole in memory, 100 bytes
each.

State: of one verification, the keys of what is whole, what each store holds, what is damaged beside the catalog, and what was found.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from holdfast.errors import InvalidData, NotFound, StoreDamaged, WorkingDirectoryError
from holdfast.model.content import array_digests
from holdfast.storage.catalog import Catalog
from holdfast.storage.checkpoint import list_generations
from holdfast.storage.confine import list_within, open_within
from holdfast.storage.generation import read_generation
from holdfast.storage.log import find_break
from holdfast.storage.metadata import Metadata
from holdfast.storage.rows import (
    AcceptanceRow,
    ArrayRow,
    CallRow,
    ExpansionRow,
    FailureRow,
    ImplementationRow,
    LostRow,
    NodeRow,
    OvercomeRow,
    ReferentRow,
    RoundRow,
    Row,
    SessionRow,
    SourceRow,
    TargetRow,
    TimesRow,
)
from holdfast.storage.store import read_text, reading, store_path, verify_store
from holdfast.storage.workdir import WorkDirectory, open_workdir

OTHERS: tuple[type[Row], ...] = (
    *(ExpansionRow, FailureRow, OvercomeRow, ImplementationRow, AcceptanceRow, LostRow),
    *(ReferentRow, SourceRow, TimesRow, SessionRow, TargetRow),
)
"""Kinds of rows that no result depends on."""

_UID = re.compile(r'"([0-9a-f]{64})', re.ASCII)
_FILE_TOKEN = re.compile(rb'"\$file":\["([0-9a-f]{64})"')


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is not what was committed."""

    node: str
    """The node, call or array that it belongs to, 64 hex digits; empty where that cannot be known."""
    file: str
    """The file that it stands in."""
    reason: str


@dataclass(slots=True)
class Verification:
    """What was read, and what was found."""

    directory: str
    rows: int = 0
    stores: int = 0
    size: int = 0
    """Bytes of the stores."""
    findings: list[Finding] = field(default_factory=list)


def verify(working_directory: str | os.PathLike[str]) -> Verification:
    """Compare everything in a working directory with what was committed.

    Parameters
    ----------
    working_directory : path
        May be in use: what is committed meanwhile is not looked at.

    Raises
    ------
    WorkingDirectoryError
        It is none, or its holdfast.json is damaged or of a newer holdfast.
    MissingExtra
        A store is in a format of which the package is not installed.
    """
    return Verifier(open_workdir(working_directory, create=False)).run()


def check_log(workdir: WorkDirectory) -> list[Finding]:
    """Return what is wrong with the log of the catalog; whoever opens the catalog to write to it must have asked before."""
    log = workdir.catalog_path.with_name(workdir.catalog_path.name + "-wal")
    try:
        with reading(log):
            broken = find_break(log)
    except StoreDamaged as error:
        return [Finding("", str(log), str(error.__cause__))]
    reason = f"it is damaged from byte {broken} on; rows that were committed behind that are lost"
    return [] if broken is None else [Finding("", str(log), reason)]


class Verifier:
    """One verification.

    Attributes
    ----------
    found : Verification
    nodes, calls, arrays : set of bytes
        Keys of the rows that are whole, and lead to what is whole.
    rounds : set of (bytes, int)
        Loop and number of the same.
    damaged : list of Path
        Stores and generations that are damaged, or not what the catalog names.
    """

    def __init__(self, workdir: WorkDirectory) -> None:
        self.found = Verification(str(workdir.path))
        self.nodes: set[bytes] = set()
        self.calls: set[bytes] = set()
        self.arrays: set[bytes] = set()
        self.rounds: set[tuple[bytes, int]] = set()
        self.damaged: list[Path] = []
        self._workdir = workdir
        self._stores: dict[str, Metadata] = {}

    def run(self) -> Verification:
        """Read everything, in an order in which whatever is named was looked at before what names it."""
        path = self._workdir.catalog_path
        self._check_generations()
        if path.exists() and path.stat().st_size:
            has_begun = False
            try:
                with Catalog.open(self._workdir, read_only=True) as catalog, catalog.snapshot():
                    has_begun = True
                    self._check_log_and_stores()  # after the snapshot began: what its rows name is in its place already
                    self._check_catalog(catalog)
            except (StoreDamaged, WorkingDirectoryError) as error:  # it is none, empty, or of a newer holdfast
                if not has_begun:
                    self._check_log_and_stores()
                self._note_catalog("", error.__cause__ or error)
        else:
            self._check_log_and_stores()
            if self._stores or self.found.findings:
                self._note_catalog("", "it is missing or empty, and there are stores that it must have named")
        return self.found

    def _check_catalog(self, catalog: Catalog) -> None:
        self._check_arrays([row for row in self._walk(catalog, ArrayRow) if isinstance(row, ArrayRow)])
        for row in self._walk(catalog, CallRow):
            if isinstance(row, CallRow):
                self._check_call(row)
        for row in self._walk(catalog, NodeRow):
            if isinstance(row, NodeRow):
                self._check_node(row)
        self._check_rounds(row for row in self._walk(catalog, RoundRow) if isinstance(row, RoundRow))
        for kind in OTHERS:
            for _ in self._walk(catalog, kind):
                pass
        for line in catalog.check_integrity():
            self._note_catalog("", line)

    def _walk(self, catalog: Catalog, kind: type[Row]) -> Iterator[Row]:
        for row in catalog.walk(kind):
            if isinstance(row, StoreDamaged):
                self._note_catalog("", row.__cause__ or row)
            else:
                self.found.rows += 1
                yield row

    def _check_generations(self) -> None:
        for inner in list_generations(self._workdir):
            path = self._workdir.path.joinpath(*inner)
            try:
                with reading(path), suppress(FileNotFoundError), open_within(self._workdir.path, inner) as stream:
                    read_generation(stream)  # it is not there of an operation that went on, or was done
            except StoreDamaged as error:
                self._note(inner[2], str(path), str(error.__cause__))
                self.damaged.append(path)

    def _check_log_and_stores(self) -> None:
        self.found.findings += check_log(self._workdir)
        for place in self._list_stores():
            self.found.stores += 1
            try:
                metadata = verify_store(self._workdir, place.name)
            except (StoreDamaged, NotFound) as error:
                self._note(place.name, str(place), str(error.__cause__ or error))
                self.damaged.append(place)
            else:
                self.found.size += sum(file.size for file in metadata.files)
                self._stores[place.name] = metadata

    def _list_stores(self) -> Iterator[Path]:
        for folder in self._list(self._workdir.nodes, "the folder is missing"):
            if not folder.name.startswith("."):  # what file systems and desktops leave
                yield from (store for store in self._list(folder, "it is no folder of stores") if store.name[0] != ".")

    def _list(self, folder: Path, reason: str) -> list[Path]:
        root = self._workdir.path
        try:
            with reading(folder):
                return [folder / name for name in sorted(list_within(root, folder.relative_to(root).parts))]
        except StoreDamaged:
            self._note("", str(folder), reason)
            return []

    def _check_arrays(self, rows: list[ArrayRow]) -> None:
        whole = {row.digest: row for row in rows if self._is_array_whole(row)}
        self.arrays = set(whole)
        broken = True
        while broken:  # a stack is broken with its members; stacks of stacks are few and shallow
            broken = False
            for digest in [digest for digest, row in whole.items() if not self._has_members(row)]:
                self._note_catalog(digest.hex(), "members of this array are missing or damaged")
                self.arrays.discard(digest)
                del whole[digest]
                broken = True

    def _has_members(self, row: ArrayRow) -> bool:
        members = row.members or b""
        return all(members[start : start + 32] in self.arrays for start in range(0, len(members), 32))

    def _is_array_whole(self, row: ArrayRow) -> bool:
        if row.store is None:
            return True
        try:
            file = self._store(row.store).find(row.file or "")
            if (file.digest, file.layout.dtype, file.layout.shape) != (row.digest.hex(), row.dtype, row.shape):
                self._misplaced(row.store)
                raise InvalidData(f"it holds another array, {file.digest}")
        except InvalidData as error:
            place = store_path(self._workdir, row.store.hex()) / (row.file or "")
            self._note(row.digest.hex(), str(place), f"the catalog names it for this array, but {error}")
            return False
        return True

    def _check_call(self, row: CallRow) -> None:
        try:
            text = self._text_of(row)
            files = {bytes.fromhex(name.decode()) for name in _FILE_TOKEN.findall(text)}
            lost = {bytes.fromhex(digest) for digest in array_digests(text)} - self.arrays - files
            if lost:
                raise InvalidData(f"it names the array {min(lost).hex()}, which is missing or damaged")
        except (InvalidData, StoreDamaged) as error:
            self._note_catalog(row.call_key.hex(), f"the result of this call is not whole: {error}")
        else:
            self.calls.add(row.call_key)

    def _check_node(self, row: NodeRow) -> None:
        if row.call_key in self.calls:
            self.nodes.add(row.uid)
        else:
            self._note_catalog(row.uid.hex(), f"the result of its call {row.call_key.hex()} is missing or damaged")

    def _check_rounds(self, rows: Iterator[RoundRow]) -> None:
        """Check the states of loops; a loop goes on from its last round, so none is whole without those before it."""
        loop, expected = b"", 1
        for row in rows:
            if row.loop_key != loop:
                loop, expected = row.loop_key, 1
            if row.number > 0 and row.state:  # else a mark, or what a call returned, and no state of a loop
                named = {bytes.fromhex(uid) for uid in _UID.findall(row.state)}
                if row.number != expected or not named <= self.nodes:
                    reason = f"round {row.number} of this loop, or one before it, names what is missing or damaged"
                    self._note_catalog(row.loop_key.hex(), reason)
                    continue
                expected += 1
            self.rounds.add((row.loop_key, row.number))

    def _text_of(self, row: CallRow) -> bytes:
        if row.store is not None and self._store(row.store).digest != row.digest:
            self._misplaced(row.store)
            raise InvalidData(f"the store {row.store.hex()} holds another value")
        if row.text is not None:
            return row.text
        if row.store is None:
            raise InvalidData("it has neither value nor store")
        return read_text(self._workdir, row.store.hex(), digest=row.digest)

    def _store(self, store: bytes) -> Metadata:
        metadata = self._stores.get(store.hex())
        if metadata is None:
            raise InvalidData(f"the store {store.hex()} is missing or damaged")
        return metadata

    def _misplaced(self, store: bytes) -> None:
        place = store_path(self._workdir, store.hex())
        if place not in self.damaged:
            self.damaged.append(place)

    def _note_catalog(self, node: str, reason: object) -> None:
        self._note(node, str(self._workdir.catalog_path), str(reason))

    def _note(self, node: str, file: str, reason: str) -> None:
        finding = Finding(node, file, reason)
        if finding not in self.found.findings[-1:]:  # one page that cannot be read is met many times
            self.found.findings.append(finding)
