"""What we write around columns is an Arrow file, as pyarrow reads it."""

from __future__ import annotations

import pyarrow as pa
import pytest

from holdfast.errors import InvalidData
from holdfast.model.arrow import Column, Part, envelope, size_of

KINDS = {
    "int8": pa.int8(), "uint64": pa.uint64(), "float16": pa.float16(), "float32": pa.float32(), "float64": pa.float64(),
    "bool": pa.bool_(), "date32": pa.date32(), "date64": pa.date64(), "time[s]": pa.time32("s"), "time[ms]": pa.time32("ms"),
    "time[us]": pa.time64("us"), "time[ns]": pa.time64("ns"), "timestamp[s]": pa.timestamp("s"),
    "timestamp[us,Europe/Zurich]": pa.timestamp("us", "Europe/Zurich"), "duration[ns]": pa.duration("ns"),
    "binary[5]": pa.binary(5), "decimal[10,2]": pa.decimal128(10, 2), "decimal[5,-2]": pa.decimal128(5, -2),
}  # fmt: skip


def file_of(parts: list[Part], buffers: list[bytes]) -> bytes:
    left = iter(filter(None, buffers))
    return b"".join(part if isinstance(part, bytes) else next(left) for part in parts)


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_is_the_type_that_it_says(kind: str) -> None:
    size = 1 if kind == "bool" else KINDS[kind].byte_width * 3
    parts = envelope([Column("x", kind, 3, 0, (0, size))], {})
    table = pa.ipc.open_file(file_of(parts, [b"", bytes(size)])).read_all()
    table.validate(full=True)
    assert table.schema == pa.schema([("x", KINDS[kind])])
    assert table.num_rows == 3


def test_strings_dictionaries_and_what_is_missing_have_their_places() -> None:
    offsets = pa.array([0, 2, 4], pa.int64()).buffers()[1].to_pybytes()
    levels = Column("", "largestring", 2, 0, (0, 24, 4))
    columns = [Column("level", "int8", 3, 1, (1, 3), levels, True), Column("none", "null", 3, 3, ())]
    parts = envelope(columns, {"who": "we"})
    data = file_of(parts, [b"", offsets, b"lohi", b"\x05", b"\x01\x00\x00"])
    assert size_of(parts) == len(data)
    table = pa.ipc.open_file(data).read_all()
    table.validate(full=True)
    assert table.to_pydict() == {"level": ["hi", None, "lo"], "none": [None, None, None]}
    assert table.schema.field("level").type == pa.dictionary(pa.int8(), pa.large_string(), ordered=True)
    assert table.schema.metadata == {b"who": b"we"}


def test_buffers_begin_at_multiples_of_64() -> None:
    parts = envelope([Column("a", "int8", 3, 1, (1, 3)), Column("b", "float64", 3, 0, (0, 24))], {})
    place, starts = 0, []
    for part in parts:
        starts += [place] if isinstance(part, int) else []
        place += part if isinstance(part, int) else len(part)
    assert [start % 64 for start in starts] == [0, 0, 0]


def test_a_table_without_columns_or_rows_is_a_file_too() -> None:
    assert pa.ipc.open_file(file_of(envelope([], {}, rows=0), [])).read_all().num_columns == 0
    assert pa.ipc.open_file(file_of(envelope([Column("x", "int8", 0, 0, (0, 0))], {}), [])).read_all().num_rows == 0


def test_ten_thousand_columns_are_no_trouble() -> None:
    columns = [Column(f"c{number}", "int8", 1, 0, (0, 1)) for number in range(10_000)]
    table = pa.ipc.open_file(file_of(envelope(columns, {}), [b"\x07"] * 10_000)).read_all()
    assert table.num_columns == 10_000
    assert table["c9999"].to_pylist() == [7]


@pytest.mark.parametrize(
    "kind", ["", "int", "int7", "string[3]", "object", "timestamp", "timestamp[h]", "float8", "binary[-1]", "x" * 99]
)
def test_what_is_no_kind_is_refused(kind: str) -> None:
    with pytest.raises(InvalidData, match="no type of a column"):
        envelope([Column("x", kind, 0, 0, (0, 0))], {})
