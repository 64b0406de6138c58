"""Say, byte for byte, what stands in an Arrow file around the buffers of its columns.

An envelope follows from the names, types and sizes of the columns alone, so equal columns give equal files under every version of every
library, and a file is checked by comparing it with the envelope that it should have: nothing in it is parsed, and nothing can be
compressed, point elsewhere, or declare more than there is. One record batch, buffers at multiples of 64 bytes, no null counted that is
none. Pure. Source: "Arrow Columnar Format", version 1.5, with Schema.fbs, Message.fbs and File.fbs; "FlatBuffers Internals".
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from holdfast.errors import InvalidData
from holdfast.model.flatbuffer import Item, Number, Structs, Table, Tables, Text, write_flatbuffer

ALIGNMENT = 64
"""Where buffers begin: at multiples of it, as the format advises for the instruction sets of today."""

MAGIC = b"ARROW1"

Part = bytes | int
"""What stands next in a file: these very bytes, or a buffer of so many."""

_KIND = re.compile(r"([a-z]+)(\d{0,2})(?:\[([^\[\]]{1,60})\])?", re.ASCII)
_UNITS = {"s": 0, "ms": 1, "us": 2, "ns": 3}
_VERSION = 4  # MetadataVersion.V5
_SCHEMA, _DICTIONARY, _BATCH = 1, 2, 3  # MessageHeader


@dataclass(frozen=True, slots=True)
class Column:
    """What must be known of a column to say what stands around its buffers.

    Parameters
    ----------
    name : str
    kind : str
        Its Arrow type: ``"int64"``, ``"string"``, ``"timestamp[us]"``, ``"timestamp[ns,UTC]"``, ``"binary[4]"``, ``"decimal[10,2]"``; of a
        column that refers to a dictionary, that of the references.
    rows : int
    nulls : int
        How many of its values are missing.
    sizes : tuple of int
        Bytes of its buffers, in order: validity (0 if nothing is missing), offsets if it has such, data.
    dictionary : Column, optional
        The values that it refers to.
    ordered : bool
        Whether their order means something.
    extension : str
        Name of the extension type that it carries.
    nullable : bool
        Whether its schema allows values to be missing.
    """

    name: str
    kind: str
    rows: int
    nulls: int
    sizes: tuple[int, ...]
    dictionary: Column | None = None
    ordered: bool = False
    extension: str = ""
    nullable: bool = True


def envelope(columns: Sequence[Column], note: Mapping[str, str], *, rows: int = 0) -> list[Part]:
    """Return what stands in the file of these columns: bytes, and the sizes of the buffers between them.

    Parameters
    ----------
    columns : sequence of Column
    note : mapping of str to str
        What the schema says besides, to whoever reads it.
    rows : int
        How many rows there are, where there are no columns.

    Returns
    -------
    list of bytes or int
        First the buffers of the dictionaries, then those of the columns, each in order; those of no bytes are left out.

    Raises
    ------
    InvalidData
        A kind is none.
    """
    schema = _schema(columns, note)
    file = _File([MAGIC + bytes(2)], len(MAGIC) + 2)
    file.add(_message(_SCHEMA, schema, 0), [])
    coded = [column for column in columns if column.dictionary is not None]
    blocks = [
        file.add(*_batch([column.dictionary], column.dictionary.rows, number))
        for number, column in enumerate(coded)
        if column.dictionary
    ]
    batch = file.add(*_batch(columns, columns[0].rows if columns else rows, None))
    footer = Table({0: Number("h", _VERSION), 1: schema, 2: Structs("qi4xq", blocks), 3: Structs("qi4xq", [batch])})
    written = write_flatbuffer(footer)
    file.parts.append(b"\xff\xff\xff\xff" + bytes(4) + written + struct.pack("<i", len(written)) + MAGIC)
    return _joined(file.parts)


def size_of(parts: Iterable[Part]) -> int:
    """Return the bytes of a file."""
    return sum(part if isinstance(part, int) else len(part) for part in parts)


# the messages of a file


class _File:
    """A file under way: its parts, and where the next one begins."""

    def __init__(self, parts: list[Part], place: int) -> None:
        self.parts = parts
        self.place = place

    def add(self, metadata: bytes, sizes: Sequence[int]) -> tuple[int, int, int]:
        """Add a message, and return its place, and the lengths of its metadata and body."""
        start = self.place
        before = 8 + len(metadata)
        before += -(start + before) % ALIGNMENT
        self.parts.append(b"\xff\xff\xff\xff" + struct.pack("<i", before - 8) + metadata.ljust(before - 8, b"\0"))
        for size in sizes:
            self.parts += [size, bytes(-size % ALIGNMENT)]
        body = sum(map(_padded, sizes))
        self.place = start + before + body
        return start, before, body


def _batch(columns: Sequence[Column], rows: int, dictionary: int | None) -> tuple[bytes, list[int]]:
    """Return the metadata of a record batch, or of a dictionary of that number, and the sizes of its buffers."""
    sizes = [size for column in columns for size in column.sizes]
    place, buffers = 0, []
    for size in sizes:
        buffers.append((place, size))
        place += _padded(size)
    nodes = [(column.rows, column.nulls) for column in columns]
    batch = Table({0: Number("q", rows), 1: Structs("qq", nodes), 2: Structs("qq", buffers)})
    if dictionary is None:
        return _message(_BATCH, batch, place), sizes
    return _message(_DICTIONARY, Table({0: Number("q", dictionary), 1: batch}), place), sizes


def _message(kind: int, header: Table, body: int) -> bytes:
    return write_flatbuffer(Table({0: Number("h", _VERSION), 1: Number("B", kind), 2: header, 3: Number("q", body)}))


def _padded(size: int) -> int:
    return size + -size % ALIGNMENT


def _joined(parts: list[Part]) -> list[Part]:
    joined: list[Part] = []
    for part in parts:
        if isinstance(part, bytes) and joined and isinstance(joined[-1], bytes):
            joined[-1] += part
        elif part:
            joined.append(part)
    return joined


# the schema


def _schema(columns: Sequence[Column], note: Mapping[str, str]) -> Table:
    numbers = iter(range(len(columns)))
    fields = [_field(column, next(numbers) if column.dictionary else 0) for column in columns]
    return Table({0: Number("h", 0), 1: Tables(fields), 2: _notes(note)})


def _field(column: Column, dictionary: int) -> Table:
    values = column.dictionary or column
    number, described = _type(values.kind)
    members: dict[int, Item] = {
        0: Text(column.name),
        1: Number("?", column.nullable),
        2: Number("B", number),
        3: described,
        5: Tables([]),
    }
    if column.dictionary is not None:
        _, index = _type(column.kind)
        members[4] = Table({0: Number("q", dictionary), 1: index, 2: Number("?", column.ordered)})
    if column.extension:
        members[6] = _notes({"ARROW:extension:name": column.extension, "ARROW:extension:metadata": ""})
    return Table(members)


def _notes(note: Mapping[str, str]) -> Tables:
    return Tables([Table({0: Text(key), 1: Text(value)}) for key, value in note.items()])


_PLAIN = {"null": 1, "binary": 4, "string": 5, "bool": 6, "largebinary": 19, "largestring": 20}
_FLOATS = {"16": 0, "32": 1, "64": 2}


def _type(kind: str) -> tuple[int, Table]:
    """Return the number and description of a type; InvalidData if it is none."""
    match = _KIND.fullmatch(kind)
    word, bits, rest = match.groups() if match else ("", "", None)
    first, _, second = (rest or "").partition(",")
    if word in _PLAIN and not bits and rest is None:
        return _PLAIN[word], Table({})
    if word in ("int", "uint") and bits in ("8", "16", "32", "64") and rest is None:
        return 2, Table({0: Number("i", int(bits)), 1: Number("?", word == "int")})
    if word == "float" and bits in _FLOATS and rest is None:
        return 3, Table({0: Number("h", _FLOATS[bits])})
    if word == "date" and bits in ("32", "64") and rest is None:
        return 8, Table({0: Number("h", int(bits == "64"))})
    if word in ("time", "timestamp", "duration") and not bits and first in _UNITS:
        return _time(word, _UNITS[first], second)
    if word == "binary" and not bits and first.isdecimal() and int(first) and not second:
        return 15, Table({0: Number("i", int(first))})
    if word == "decimal" and not bits and first.isdecimal() and second.lstrip("-").isdecimal():
        return 7, Table({0: Number("i", int(first)), 1: Number("i", int(second)), 2: Number("i", 128)})
    raise InvalidData(f"{kind!r:.80} is no type of a column")


def _time(word: str, unit: int, zone: str) -> tuple[int, Table]:
    members: dict[int, Item] = {0: Number("h", unit)}
    if word == "time":
        return 9, Table({**members, 1: Number("i", 32 if unit < 2 else 64)})
    if word == "duration":
        return 18, Table(members)
    return 10, Table({**members, 1: Text(zone)} if zone else members)
