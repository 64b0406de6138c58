"""Say in `metadata.json` what a store holds, so that it can be checked and understood without the catalog.

Pure but for nothing: text in, values out, and back. What a file says is believed only after it was checked member by
member.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any

from holdfast.errors import InvalidData
from holdfast.storage.format import TEXT, Layout, check_layout

METADATA = "metadata.json"
VERSION = 1
"""Version of the members of `metadata.json`; a store with a higher one is not read."""

DATA = "data"
"""Name, without suffix, of the file that holds the value: one plain array, or the content text."""

FILE_NAME = re.compile(r"(?:data|array-\d{1,9})\.[a-z0-9]{1,10}", re.ASCII)
_DIGEST = re.compile(r"[0-9a-f]{64}", re.ASCII)


@dataclass(frozen=True, slots=True)
class StoredFile:
    """One file of a store."""

    name: str
    format: str
    """Name of the format it is written in."""
    layout: Layout
    size: int
    """Bytes of the file."""
    digest: str
    """Digest of the value in it, an array or a text, as `holdfast.model.content` makes it; 64 hex digits."""
    checksum: str = ""
    """SHA-256 of the file itself, 64 hex digits, where the digest of the value does not cover each of its bytes."""


@dataclass(frozen=True, slots=True)
class Metadata:
    """What a store holds."""

    digest: bytes
    """SHA-256 of the content text, 32 bytes."""
    files: tuple[StoredFile, ...]

    @property
    def plain(self) -> StoredFile | None:
        """The file of the value if it is nothing but one array."""
        return next((file for file in self.files if file.name.startswith(DATA) and file.layout.dtype != TEXT), None)

    @property
    def text(self) -> StoredFile | None:
        """The file of the content text, if the value is more than one array."""
        return next((file for file in self.files if file.layout.dtype == TEXT), None)

    @property
    def arrays(self) -> tuple[StoredFile, ...]:
        """The files that hold an array each."""
        return tuple(file for file in self.files if file.layout.dtype != TEXT)

    def find(self, name: str) -> StoredFile:
        """Return the file of that name; InvalidData if the store has none."""
        for file in self.files:
            if file.name == name:
                return file
        raise InvalidData(f"it knows no {name}")


def write_metadata(metadata: Metadata) -> bytes:
    """Return the bytes of `metadata.json`; for people too."""
    plain, text = metadata.plain, metadata.text
    record: dict[str, Any] = {
        "version": VERSION,
        "file_type": plain.format if plain else text.format if text else "json",
        "digest": metadata.digest.hex(),
        "size": sum(file.size for file in metadata.files),
    }
    if plain:
        record |= {"dtype": plain.layout.dtype, "shape": plain.layout.shape}
    files = ",\n".join(f'  "{file.name}": {json.dumps(_write_file(file))}' for file in metadata.files)
    members = "".join(f'"{name}": {json.dumps(member)},\n' for name, member in record.items())
    return f'{{{members}"files": {{\n{files}\n}}}}\n'.encode()


def read_metadata(data: bytes) -> Metadata:
    """Return what `metadata.json` says.

    Raises
    ------
    InvalidData
        It is damaged, or a newer holdfast wrote it.
    """
    try:
        record = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise InvalidData(f"it is damaged: {error}") from error
    version = record.get("version") if isinstance(record, dict) else None
    if type(version) is int and version > VERSION:
        raise InvalidData(f"it has version {version}, from a newer holdfast; upgrade with: pip install -U holdfast")
    if version != VERSION or not isinstance(record.get("files"), dict):
        raise InvalidData("it is damaged: a member is missing or has the wrong type")
    files = tuple(_read_file(name, members) for name, members in record["files"].items())
    metadata = Metadata(bytes.fromhex(_check_digest(record.get("digest"))), files)
    if write_metadata(metadata) != data:
        raise InvalidData("it contradicts itself")
    return metadata


def _write_file(file: StoredFile) -> dict[str, Any]:
    layout = {"dtype": file.layout.dtype, "shape": file.layout.shape}
    checksum = {"checksum": file.checksum} if file.checksum else {}
    return {"format": file.format, **layout, "size": file.size, "digest": file.digest, **checksum}


def _read_file(name: str, members: object) -> StoredFile:
    if not FILE_NAME.fullmatch(name) or not isinstance(members, dict):
        raise InvalidData(f"it is damaged: {name!r:.40} is no file of a store")
    format_name, size = members.get("format"), members.get("size")
    if not isinstance(format_name, str) or type(size) is not int or size < 0:
        raise InvalidData(f"it is damaged: the format or size of {name} is missing")
    layout = check_layout(members.get("dtype"), members.get("shape"))
    checksum = _check_digest(members["checksum"]) if "checksum" in members else ""
    return StoredFile(name, format_name, layout, size, _check_digest(members.get("digest")), checksum)


def _check_digest(digest: object) -> str:
    if not isinstance(digest, str) or not _DIGEST.fullmatch(digest):
        raise InvalidData(f"it is damaged: {digest!r:.40} is no digest")
    return digest
