"""Write a store under construction in `tmp/`, whole, but without its lasting place.

Any process may stage, and needs to own nothing. The files of a store stay open until they are flushed, since a flush through another
descriptor may not hear of a write that failed before. Where writer and publisher are one process, the flush may be left to whoever
publishes, and runs beside the next computation. Never names anything that is not flushed.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from io import BufferedRandom
from pathlib import Path
from typing import TYPE_CHECKING, Any

from holdfast.errors import StoreDamaged
from holdfast.model.content import Content, array_token
from holdfast.model.token import verbatim
from holdfast.plugins import load_format
from holdfast.storage.confine import remove
from holdfast.storage.flush import flush_file, flush_folder
from holdfast.storage.format import TEXT, Format, Layout
from holdfast.storage.metadata import DATA, METADATA, Metadata, StoredFile, write_metadata
from holdfast.storage.owner import current_owner, is_tag_alive, owner_tag
from holdfast.storage.selection import choose_format
from holdfast.storage.stamp import Stamp, stamp_of
from holdfast.storage.store import checksum, read_metadata_file, reading, writing
from holdfast.storage.workdir import MARKER, WorkDirectory

if TYPE_CHECKING:
    from holdfast.model.content import Array


_STAGED_NAME = re.compile(r"[0-9a-f-]{1,120}\.[0-9a-f]{16}", re.ASCII)


class Construction:
    """The folder of a store under construction, and its files, open until they are flushed or given up."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.stamps: dict[str, Stamp] = {}
        """Stamps of the files that are written, by the digest of the value in them."""
        self.size = 0
        """Bytes of these files."""
        self._files: list[BufferedRandom] = []
        os.mkdir(folder)

    @property
    def open_files(self) -> int:
        """How many files are open."""
        return len(self._files)

    def create(self, name: str) -> BufferedRandom:
        """Create a file, to be written, read and sought."""
        descriptor = os.open(self.folder / name, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o666)
        self._files.append(open(descriptor, "w+b"))  # noqa: SIM115  (closed by `flush` or `close`)
        return self._files[-1]

    def describe(self, stream: BufferedRandom, stem: str, form: Format[Any], layout: Layout, digest: str) -> StoredFile:
        """Return what the metadata say of a file whose value is written."""
        stream.flush()
        size = stream.tell()
        self.size += size
        self.stamps[digest] = stamp_of(stream)
        return StoredFile(
            stem + form.suffix, form.name, layout, size, digest, "" if form.canonical else checksum(stream)
        )

    def finish(self, metadata: Metadata) -> None:
        """Write the metadata, after all other files."""
        stream = self.create(METADATA)
        stream.write(write_metadata(metadata))
        stream.flush()

    def flush(self) -> None:
        """Return when everything is on the disk; the files are closed then. After a failure the store is never whole."""
        for stream in self._files:
            flush_file(stream.fileno())
        self.close()
        flush_folder(self.folder)

    def close(self) -> None:
        """Close the files, flushed or not."""
        for stream in self._files:
            with suppress(OSError):  # its buffer holds nothing that is still wanted
                stream.close()
        self._files.clear()


@dataclass(frozen=True, slots=True)
class Staged:
    """A store under construction: whole, but without its lasting place."""

    name: str
    """Name of its folder in `tmp/`."""
    metadata: Metadata
    stamps: Mapping[str, Stamp] = field(default_factory=dict)
    """Stamps of its files, by the digest of the value in each."""
    unflushed: Construction | None = None
    """What has to be flushed before the store is published; None if that is done."""


def new_name() -> str:
    """Return a free name for a folder in `tmp/`, by which it is swept when this process is dead."""
    return f"{owner_tag(current_owner(''))}.{os.urandom(8).hex()}"


def stage(directory: str | os.PathLike[str], content: Content, *, store_type: str = "", flush: bool = True) -> Staged:
    """Write a store in `tmp/`, ready to be published.

    Parameters
    ----------
    directory : path
        The working directory.
    content : Content
        Its arrays may be fewer than its text names, if the others are kept elsewhere.
    store_type : str
        Format of the arrays that it accepts, as `get_store_type` gives it; the others are laid out as numpy does.
    flush : bool
        Bring it to the disk. If not, whoever publishes must do that first: `Staged.unflushed.flush()`.

    Returns
    -------
    Staged
        Its name goes to whoever publishes.

    Raises
    ------
    StoreFailure
        The file system refused; nothing is left behind.
    NotFound, MissingExtra
        There is no such format here.
    """
    with constructing(WorkDirectory(Path(directory))) as construction:
        metadata = Metadata(content.digest, tuple(_write_values(construction, content, store_type)))
        construction.finish(metadata)
        if flush:
            construction.flush()
    return Staged(construction.folder.name, metadata, construction.stamps, None if flush else construction)


@contextmanager
def constructing(workdir: WorkDirectory) -> Iterator[Construction]:
    """Begin a store under construction; it is removed again if the block ends by an exception."""
    with writing(workdir):
        construction = Construction(workdir.tmp / new_name())
        try:
            yield construction
        except BaseException:
            construction.close()
            with suppress(OSError):  # swept later; what went wrong first is what must be told
                remove(construction.folder)
            raise


def read_staged(workdir: WorkDirectory, name: str) -> Staged:
    """Return what a store under construction holds.

    Raises
    ------
    StoreDamaged
        There is none of that name.
    """
    if not _STAGED_NAME.fullmatch(name):
        raise StoreDamaged(f"{name!r:.160} cannot be the name of a store under construction in {workdir.path}.")
    with reading(workdir.tmp / name / METADATA):
        return Staged(name, read_metadata_file(workdir.path, "tmp", name))


def sweep_tmp(workdir: WorkDirectory) -> int:
    """Remove what dead processes left in `tmp/`, and return how many things that were.

    Only for who is in the directory. What belongs to a living process, or to one of another machine, stays.
    """
    count = 0
    with writing(workdir):
        for name in os.listdir(workdir.tmp):
            tag = name.partition(".")[0]
            if name.startswith((MARKER, "owner.json")) or is_tag_alive(tag) is False:
                with suppress(FileNotFoundError):  # another session that has just come in sweeps too
                    remove(workdir.tmp / name)
                    count += 1
    return count


def _write_values(construction: Construction, content: Content, store_type: str) -> Iterator[StoredFile]:
    token = array_token(content.text)
    if token is not None and token[2] in content.arrays:
        layout = Layout(token[0], token[1])
        yield _write_value(construction, DATA, content.arrays[token[2]], layout, token[2], store_type)
        return
    layout = Layout(TEXT, (len(content.text),))
    yield _write_value(construction, DATA, content.text, layout, content.digest.hex(), store_type)
    named = verbatim(content.text)
    for number, (digest, array) in enumerate(sorted(content.arrays.items(), key=lambda item: item[0])):
        layout, form = Layout(array.dtype.str, array.shape), named.get(digest, "")
        yield _write_value(construction, f"array-{number}", array, layout, digest, store_type, form)


def _write_value(
    construction: Construction,
    stem: str,
    value: Array | bytes,
    layout: Layout,
    digest: str,
    store_type: str,
    named: str = "",
) -> StoredFile:
    form: Format[Array | bytes] = load_format(named) if named else choose_format(layout, store_type)
    stream = construction.create(stem + form.suffix)
    form.write(value, stream)
    return construction.describe(stream, stem, form, layout, digest)
