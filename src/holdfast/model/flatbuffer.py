"""Write a FlatBuffer, the form in which an Arrow file describes itself, in one fixed way. Pure; never reads one.

The root comes first, and what it refers to after it, in the order of its members; every member is written, also if it has its default.
Source: "FlatBuffers Internals", sections on tables, vtables and vectors.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Number:
    """A number, in a code of `struct`."""

    code: str
    value: int


@dataclass(frozen=True, slots=True)
class Text:
    """A string."""

    value: str


@dataclass(frozen=True, slots=True)
class Structs:
    """Structures of numbers, all of one code, that begin at multiples of eight bytes."""

    code: str
    rows: Sequence[tuple[int, ...]]


@dataclass(frozen=True, slots=True)
class Tables:
    """A vector of tables."""

    tables: Sequence[Table]


@dataclass(frozen=True, slots=True)
class Table:
    """Members by the number of their slot."""

    members: Mapping[int, Item]


Item = Number | Text | Structs | Tables | Table


def write_flatbuffer(root: Table) -> bytes:
    """Return the bytes of a table and all that it refers to."""
    data = bytearray(4)
    waiting: list[tuple[int, Item]] = [(0, root)]
    while waiting:
        place, item = waiting.pop()
        start, further = _append(data, item)
        struct.pack_into("<I", data, place, start - place)
        waiting += reversed(further)
    _pad(data, 8)
    return bytes(data)


def _append(data: bytearray, item: Item) -> tuple[int, list[tuple[int, Item]]]:
    """Write one item, and return where it begins, and what has to be written and be referred to from where."""
    if isinstance(item, Table):
        return _append_table(data, item)
    if isinstance(item, Tables):
        _pad(data, 4)
        start = len(data)
        data += struct.pack("<I", len(item.tables)) + bytes(4 * len(item.tables))
        return start, [(start + 4 + 4 * index, table) for index, table in enumerate(item.tables)]
    if isinstance(item, Structs):
        _pad(data, 8, 4)
        start = len(data)
        data += struct.pack("<I", len(item.rows)) + b"".join(struct.pack("<" + item.code, *row) for row in item.rows)
        return start, []
    assert isinstance(item, Text)
    _pad(data, 4)
    start, text = len(data), item.value.encode()
    data += struct.pack("<I", len(text)) + text + b"\0"
    return start, []


def _append_table(data: bytearray, table: Table) -> tuple[int, list[tuple[int, Item]]]:
    inline = bytearray(4)
    places = [0] * (max(table.members, default=-1) + 1)
    for slot, item in sorted(table.members.items()):
        raw = struct.pack("<" + item.code, item.value) if isinstance(item, Number) else bytes(4)
        _pad(inline, len(raw))
        places[slot] = len(inline)
        inline += raw
    _pad(data, 2)
    slots = len(data)
    data += struct.pack(f"<HH{len(places)}H", 4 + 2 * len(places), len(inline), *places)
    _pad(data, 8)
    start = len(data)
    struct.pack_into("<i", inline, 0, start - slots)
    data += inline
    return start, [
        (start + places[slot], item) for slot, item in sorted(table.members.items()) if not isinstance(item, Number)
    ]


def _pad(data: bytearray, alignment: int, remainder: int = 0) -> None:
    data += bytes((remainder - len(data)) % alignment)
