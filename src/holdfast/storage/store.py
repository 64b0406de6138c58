"""Read large results from files: one store, a folder, per node that needs one.

A store is built in `tmp/` by whoever computed it, flushed, and then renamed to its lasting place; so it appears whole or not at all.
What it holds is compared with its digest before it is first used. A whole store is never changed, and never removed for another. Links
are not followed, and names from outside are checked before they become paths.
"""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from io import BufferedIOBase
from pathlib import Path
from typing import TYPE_CHECKING, Any

from holdfast.errors import HoldfastError, InvalidData, StoreDamaged, StoreFailure
from holdfast.model.content import Content, write_token
from holdfast.plugins import load_format
from holdfast.storage.confine import open_within
from holdfast.storage.format import Format, Mappable, hash_rest
from holdfast.storage.metadata import FILE_NAME, METADATA, Metadata, StoredFile, read_metadata
from holdfast.storage.stamp import Stamp, stamp_of
from holdfast.storage.workdir import WorkDirectory

if TYPE_CHECKING:
    from holdfast.model.content import Array

INLINE_LIMIT = 128 * 1024
"""Results whose text and arrays have at most so many bytes are kept in the catalog, where that is cheaper."""

MAP_FROM = 1024 * 1024
"""Smaller arrays are read, larger ones mapped; each map keeps a file open, and their number is limited."""

_METADATA_LIMIT = 256 * 1024 * 1024
_STORE_NAME = re.compile(r"[0-9a-f]{64}", re.ASCII)


def size_of(content: Content) -> int:
    """Return the bytes of a text and all its arrays, to be compared with `INLINE_LIMIT`."""
    return len(content.text) + (sum(array.nbytes for array in content.arrays.values()) if content.arrays else 0)


def store_path(workdir: WorkDirectory, store: str) -> Path:
    """Return the folder of a published store, by its 64 hex digits."""
    if not _STORE_NAME.fullmatch(store):
        raise StoreDamaged(f"{store!r:.80} cannot be the name of a store in {workdir.path}. Run: holdfast verify")
    return workdir.nodes / store[:2] / store


def read_store(workdir: WorkDirectory, store: str) -> Metadata:
    """Return what a published store holds.

    Raises
    ------
    StoreDamaged
        It is missing, or its metadata are.
    """
    with reading(store_path(workdir, store) / METADATA):
        return read_metadata_file(workdir.path, "nodes", store[:2], store)


def read_text(workdir: WorkDirectory, store: str, *, digest: bytes | None = None) -> bytes:
    """Return the content text of a published store, checked against its digest.

    Parameters
    ----------
    workdir : WorkDirectory
    store : str
        64 hex digits.
    digest : bytes, optional
        The digest that the catalog states; without it, that of the metadata is believed.

    Raises
    ------
    StoreDamaged
        The store is not what was committed; names it and the file.
    """
    metadata = read_store(workdir, store)
    file = metadata.text
    with reading(store_path(workdir, store) / (file.name if file else METADATA)):
        text = _read_text(workdir, store, file) if file else _plain_text(metadata)
        found = Content(text, {}).digest
        if found != metadata.digest or digest not in (None, found):
            raise InvalidData(f"it holds another value, {found.hex()}")
    return text


def open_array(
    path: str | os.PathLike[str], *, digest: str | None = None, verify: bool = True, known: Stamp | None = None
) -> Array:
    """Return an array of a published store, read-only; mapped from its file if it is large.

    Parameters
    ----------
    path : path
        The file: folder of the store, and name.
    digest : str, optional
        Hex digest that the array must have; without it, that of the metadata is believed.
    verify : bool
        Compare the bytes with the digest, once per process and state of the file. Takes about one second per GiB;
        without it, only sizes and headers are checked.
    known : Stamp, optional
        Of the file when this session wrote it; as long as it has that, its bytes are not compared again.

    Raises
    ------
    StoreDamaged
        The file is missing, or not what was committed; names store and file.
    """
    with _compared(Path(path), digest, verify, known) as (stream, file):
        return _read_array(stream, file)


def compare_array(path: str | os.PathLike[str], *, digest: str) -> None:
    """Compare the file of an array with its digest now, so that opening it does not; raises as `open_array`."""
    with _compared(Path(path), digest, True, None):
        return


@contextmanager
def _compared(
    place: Path, digest: str | None, verify: bool, known: Stamp | None
) -> Iterator[tuple[BufferedIOBase, StoredFile]]:
    """Open the file of an array, compared with what it must be."""
    root, inner = place.parents[3] if len(place.parts) > 4 else place, place.parts[-4:]
    with reading(place):
        if not _is_file_of_store(inner):
            raise InvalidData("it is no file of a store")
    with reading(place.parent / METADATA):
        file = read_metadata_file(root, *inner[:3]).find(inner[3])
        if digest not in (None, file.digest):
            raise InvalidData(f"{file.name} would be another array, {file.digest}")
    with reading(place), open_within(root, inner) as stream:
        if verify and (stamp := stamp_of(stream)) != known:
            _verify(root, inner, file, stamp)
        yield stream, file


def verify_store(workdir: WorkDirectory, store: str) -> Metadata:
    """Compare every byte of a published store with what its metadata say, and return them.

    Raises
    ------
    StoreDamaged
        Names the store and the first file that is missing or wrong.
    """
    metadata = read_store(workdir, store)
    path = store_path(workdir, store)
    for file in metadata.files:
        with reading(path / file.name):
            _compare(workdir.path, ("nodes", store[:2], store, file.name), file)
    with reading(path / METADATA):
        text = metadata.text
        if (text.digest if text else Content(_plain_text(metadata), {}).digest.hex()) != metadata.digest.hex():
            raise InvalidData("it contradicts itself about the digest")
    return metadata


# reading


def read_metadata_file(root: Path, *inner: str) -> Metadata:
    """Return what the metadata in a folder of the working directory say."""
    with open_within(root, (*inner, METADATA)) as stream:
        size = os.fstat(stream.fileno()).st_size
        if size > _METADATA_LIMIT:
            raise InvalidData(f"{METADATA} has {size} bytes")
        return read_metadata(stream.read(size))


def _read_text(workdir: WorkDirectory, store: str, file: StoredFile) -> bytes:
    form: Format[bytes] = load_format(file.format)
    with open_within(workdir.path, ("nodes", store[:2], store, file.name)) as stream:
        _check_file(stream, file, form)
        return form.read(stream, file.layout)


def _plain_text(metadata: Metadata) -> bytes:
    plain = metadata.plain
    if plain is None:
        raise InvalidData(f"{METADATA} names no file of the value")
    return write_token(plain.layout.dtype, plain.layout.shape, plain.digest).encode("ascii")


def _is_file_of_store(inner: Sequence[str]) -> bool:
    if len(inner) != 4:
        return False
    area, prefix, store, name = inner
    is_store = area == "nodes" and prefix == store[:2] and _STORE_NAME.fullmatch(store) is not None
    return is_store and FILE_NAME.fullmatch(name) is not None


def _read_array(stream: BufferedIOBase, file: StoredFile) -> Array:
    form: Format[Array] = load_format(file.format)
    _check_size(stream, file)
    if file.size >= MAP_FROM and isinstance(form, Mappable):
        try:
            return form.map(stream, file.layout)
        except OSError as error:
            if error.errno not in (errno.ENOMEM, errno.EMFILE, errno.ENFILE, errno.ENODEV):
                raise
    return form.read(stream, file.layout)


@lru_cache(maxsize=4096)
def _verify(root: Path, inner: tuple[str, ...], file: StoredFile, stamp: Stamp) -> None:
    """Compare bytes and digest. Success is remembered while the stamp of the file is the same, an error is not."""
    _compare(root, inner, file)


def _compare(root: Path, inner: Sequence[str], file: StoredFile) -> None:
    form: Format[Array | bytes] = load_format(file.format)
    with open_within(root, inner) as stream:
        _check_file(stream, file, form)
        found = form.digest(stream, file.layout)
    if found != file.digest:
        raise InvalidData(f"{inner[-1]} holds another value, {found}")


def _check_file(stream: BufferedIOBase, file: StoredFile, form: Format[Any]) -> None:
    """Refuse a file that has not the bytes that were written, before a library that damage may hang sees it."""
    _check_size(stream, file)
    if not form.canonical and checksum(stream) != file.checksum:
        raise InvalidData(f"{file.name} is not the file that was written")


def checksum(stream: BufferedIOBase) -> str:
    """Return the hex SHA-256 of a whole file."""
    stream.seek(0)
    return hash_rest(stream)


def _check_size(stream: BufferedIOBase, file: StoredFile) -> None:
    size = os.fstat(stream.fileno()).st_size
    if size != file.size:
        raise InvalidData(f"{file.name} has {size} bytes instead of {file.size}")


# what goes wrong


@contextmanager
def reading(place: Path) -> Iterator[None]:
    """Turn what is missing or wrong into `StoreDamaged`, which names node and file."""
    remedy = "Run: holdfast verify --repair, and then what made it again"
    try:
        yield
    except InvalidData as error:
        raise StoreDamaged(f"The store of node {_node_of(place)} is damaged: {place}: {error}. {remedy}.") from error
    except OSError as error:
        if isinstance(error, HoldfastError):
            raise
        if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.EIO):
            message = f"The store of node {_node_of(place)} cannot be read: {place}: {error.strerror}. {remedy}."
            raise StoreDamaged(message) from error
        raise StoreFailure(f"{place} cannot be read: {error.strerror}. Try again when that is over.") from error


def _node_of(place: Path) -> str:
    return next((part for part in reversed(place.parts) if _STORE_NAME.fullmatch(part)), place.name)


@contextmanager
def writing(workdir: WorkDirectory) -> Iterator[None]:
    """Turn a refusal of the file system into `StoreFailure`, which says what to do."""
    try:
        yield
    except OSError as error:
        if isinstance(error, HoldfastError):
            raise
        raise _write_failure(workdir, error) from error


def _write_failure(workdir: WorkDirectory, error: OSError) -> StoreFailure:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        remedy = "Free some space, or raise the quota, and run the same again: everything finished is kept"
    else:
        remedy = "Check disk and permissions, and run the same again: everything finished is kept"
    failure = StoreFailure(f"Nothing can be written in {workdir.path}: {error.strerror or error}. {remedy}.")
    failure.errno = error.errno
    return failure
