"""Tables of pandas, pyarrow and polars have one form, come back as they were, and are believed only if they are whole."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast.errors import HoldfastError, InvalidData, MissingExtra, UnsupportedValue
from holdfast.model.content import Content, decode, encode
from holdfast.model.table import assemble, convert, dismantle
from holdfast.model.token import verbatim


def back(table: Any, library: str = "") -> Any:
    """Take a table apart, send its description through JSON, and put it together."""
    description, data = dismantle(table, "the value")
    return assemble(json.loads(json.dumps(description)), data, library)


def digest(table: Any) -> str:
    return encode(table).digest.hex()


def pandas_columns() -> dict[str, Any]:
    return {
        "whole": [1, 2, 3],
        "float": [1.5, np.nan, -0.0],
        "half": np.array([1, 2, 3], "f2"),
        "small": np.array([1, 2, 3], "u1"),
        "bool": [True, False, True],
        "text": ["a", None, "zürich"],
        "object": pd.Series(["x", None, ""], dtype=object),
        "string": pd.array(["a", None, "b"], dtype="string"),
        "python": pd.array(["a", None, "b"], dtype="string[python]"),
        "nullable": pd.array([1, None, 3], dtype="Int64"),
        "nullable float": pd.array([1.5, None, 3], dtype="Float32"),
        "nullable bool": pd.array([True, None, False], dtype="boolean"),
        "ordered": pd.Categorical(["u", None, "v"], categories=["v", "u", "w"], ordered=True),
        "numbers": pd.Categorical([10, 20, 10]),
        "time": pd.to_datetime(["2020-01-01", None, "2021-01-01"]),
        "nanoseconds": np.array(["2020-01-01", "NaT", "2021-01-01"], "M8[ns]"),
        "zone": pd.to_datetime(["2020-01-01", None, "2021-07-01"]).tz_localize("Europe/Zurich"),
        "span": pd.to_timedelta([1, 2, None], unit="s"),
        "arrow": pd.array([1, None, 2], dtype="int32[pyarrow]"),
    }


INDEXES = {
    "counted": pd.RangeIndex(5, 2, -1, name="r"),
    "names": pd.Index(["a", "b", "c"], name="key"),
    "times": pd.date_range("2020", periods=3, tz="UTC"),
    "levels": pd.MultiIndex.from_tuples([(1, "a"), (1, "b"), (2, "a")], names=["x", None]),
    "categories": pd.CategoricalIndex(["a", "b", "a"]),
}


def polars_frame() -> pl.DataFrame:
    return pl.DataFrame(
        {
            "whole": [1, None, 3],
            "text": ["x", "y", None],
            "level": pl.Series(["u", "v", "u"], dtype=pl.Categorical),
            "choice": pl.Series(["u", "v", None], dtype=pl.Enum(["v", "u", "w"])),
            "bytes": [b"x", None, b""],
            "nothing": [None] * 3,
            "day": [date(2020, 1, 1)] * 3,
            "instant": [datetime(2020, 1, 1, tzinfo=UTC)] * 3,
            "clock": [time(1, 2, 3)] * 3,
            "money": pl.Series([1, 2, None], dtype=pl.Decimal(10, 2)),
            "flag": [True, None, False],
        }
    )


def arrow_table() -> pa.Table:
    columns = {
        "whole": pa.chunked_array([[1], [None, 3]]),
        "level": pa.array(["x", "y", "x"]).dictionary_encode(),
        "nothing": pa.nulls(3),
        "text": pa.array(["a", None, "c"]),
        "long": pa.array(["a", None, "c"], pa.large_string()),
        "money": pa.array([Decimal("1.50"), None, Decimal("2.00")], pa.decimal128(9, 2)),
        "code": pa.array([b"abc", None, b"def"], pa.binary(3)),
        "clock": pa.array([1, 2, None], pa.time32("ms")),
    }
    table = pa.table(columns).replace_schema_metadata({"unit": "K", "$table": "a trap"})
    return table.set_column(0, pa.field("whole", pa.int64(), nullable=True), table["whole"])


# coming back


@pytest.mark.parametrize("name", pandas_columns())
def test_every_column_of_pandas_comes_back_as_it_was(name: str) -> None:
    frame = pd.DataFrame({name: pandas_columns()[name]})
    pd.testing.assert_frame_equal(back(frame), frame)
    assert digest(back(frame)) == digest(frame)


@pytest.mark.parametrize("name", INDEXES)
def test_every_index_comes_back_as_it_was(name: str) -> None:
    frame = pd.DataFrame({"a": [1, 2, 3]}, index=INDEXES[name])
    frame.columns.name = "columns"
    pd.testing.assert_frame_equal(back(frame), frame, check_freq=False)
    assert digest(back(frame)) == digest(frame)


def test_frames_of_polars_come_back_as_they_were() -> None:
    found = back(polars_frame())
    assert found.schema == polars_frame().schema
    assert found.equals(polars_frame())
    assert digest(found) == digest(polars_frame())


def test_tables_of_pyarrow_come_back_with_schema_and_metadata() -> None:
    found = back(arrow_table())
    assert found.schema.equals(arrow_table().schema, check_metadata=True)
    assert found.to_pydict() == arrow_table().to_pydict()
    required = pa.table({"a": [1]}, pa.schema([pa.field("a", pa.int64(), nullable=False)]))
    assert back(required).schema == required.schema


@pytest.mark.parametrize(
    "empty", [pd.DataFrame(), pd.DataFrame(index=range(3)), pl.DataFrame(), pa.table({}), pd.DataFrame({"a": []})]
)
def test_tables_without_rows_or_columns_come_back(empty: Any) -> None:
    assert back(empty).shape == empty.shape
    assert digest(back(empty)) == digest(empty)


CELLS = st.one_of(
    st.lists(st.one_of(st.none(), st.integers(-(2**63), 2**63 - 1)), max_size=9).map(lambda cells: pa.array(cells, pa.int64())),
    st.lists(st.one_of(st.none(), st.floats()), max_size=9).map(lambda cells: pa.array(cells, pa.float64(), from_pandas=False)),
    st.lists(st.one_of(st.none(), st.booleans()), max_size=20).map(lambda cells: pa.array(cells, pa.bool_())),
    st.lists(st.one_of(st.none(), st.text(max_size=5)), max_size=9).map(lambda cells: pa.array(cells, pa.large_string())),
    st.lists(st.one_of(st.none(), st.sampled_from("abc")), max_size=9).map(lambda cells: pa.array(cells, pa.string()).dictionary_encode()),
)  # fmt: skip


@given(CELLS, st.integers(0, 9), st.integers(0, 9))
@settings(deadline=None, max_examples=60)
def test_slices_chunks_and_what_hides_behind_missing_values_make_no_difference(
    array: Any, start: int, cut: int
) -> None:
    part = array.slice(start)
    clean = pa.array(part.to_pylist(), part.type)
    chunked = pa.chunked_array([part.slice(0, cut), part.slice(cut)], part.type)
    for other in (pa.table({"a": part}), pa.table({"a": chunked})):
        found = back(other)
        assert found["a"].to_pylist() == other["a"].to_pylist() or any(cell != cell for cell in other["a"].to_pylist())
        assert digest(found) == digest(other)
        if not pa.types.is_dictionary(part.type):
            assert digest(other) == digest(pa.table({"a": clean}))


@given(CELLS)
@settings(deadline=None, max_examples=40)
def test_polars_and_pandas_say_the_same_of_a_table_twice(array: Any) -> None:
    for library in ("polars", "pandas"):
        frame = convert(pa.table({"a": array}), library)
        assert digest(back(frame)) == digest(frame)


# identity


def test_what_a_function_can_see_counts() -> None:
    frame = pd.DataFrame({"a": [1, 2], "b": [3.0, 4.0]})
    others = [
        frame.iloc[::-1],
        frame[["b", "a"]],
        frame.rename(columns={"a": "c"}),
        frame.astype({"a": "int32"}),
        frame.astype({"a": "Int64"}),
        frame.set_index("a", drop=False),
        frame.rename_axis("i"),
        pl.from_pandas(frame),
        pa.table({"a": [1, 2], "b": [3.0, 4.0]}),
        encode({"a": [1, 2], "b": [3.0, 4.0]}),
    ]
    digests = {
        digest(frame),
        *(other.digest.hex() if isinstance(other, Content) else digest(other) for other in others),
    }
    assert len(digests) == len(others) + 1
    assert digest(frame) == digest(frame.copy()) == digest(pd.concat([frame.iloc[:1], frame.iloc[1:]]))


def test_the_three_libraries_share_the_bytes_of_equal_columns() -> None:
    columns = {"a": [1, 2, None], "b": ["x", None, "y"]}
    table = pa.table(columns, pa.schema([("a", pa.int64()), ("b", pa.large_string())]))
    frame = pd.DataFrame({"a": pd.array([1, 2, None], "Int64"), "b": pd.array(["x", None, "y"], "string")})
    arrays = [set(encode(found).arrays) for found in (table, pl.DataFrame(columns), frame)]
    assert arrays[0] == arrays[1] == arrays[2]


def test_the_bytes_are_written_down() -> None:
    """A change of pyarrow, pandas or polars must not change them."""
    text = pd.Index(["x", "y"], dtype="string[pyarrow]", name="k")
    frame = pd.DataFrame({"a": [1, 2], "c": pd.Categorical([10, 20]), "t": np.array([1, 2], "M8[s]")}, index=text)
    assert digest(frame) == GOLDEN["pandas"]
    assert digest(polars_frame()) == GOLDEN["polars"]
    assert digest(arrow_table()) == GOLDEN["pyarrow"]


GOLDEN = {
    "pandas": "985cc428220d9dabdb1751fa778b9d5319f0fc4908ba8099feb005af7fb06e45",
    "polars": "f642cd44efb4aa629ed673f8952ab9a1b5bb3c31ad6d0c0edf092ec67b888670",
    "pyarrow": "482a6d0fa406dc9b3fd127fba1f865d2a31e6e3ed01572a96c6715d6772cd66e",
}


def test_the_bytes_are_an_arrow_file_for_everybody() -> None:
    frame = pd.DataFrame(pandas_columns() | {"half": 1.0}, index=INDEXES["names"])
    (data,) = encode(frame).arrays.values()
    table = pa.ipc.open_file(data.tobytes()).read_all()
    table.validate(full=True)
    assert table.column_names == [*frame.columns, "__index_level_0__"]
    assert table["text"].to_pylist() == ["a", None, "zürich"]
    assert pl.read_ipc(data.tobytes()).height == 3


def test_a_table_within_a_value_is_found_by_its_digest() -> None:
    content = encode({"$a": {"frame": pl.DataFrame({"x": [1]})}, "array": np.arange(3, dtype="u1")})
    assert list(verbatim(content.text).values()) == ["table"]
    assert decode(content.text, content.arrays.__getitem__)["$a"]["frame"].equals(pl.DataFrame({"x": [1]}))


# what is refused


class Thing:
    pass


REFUSED: dict[str, tuple[Callable[[], Any], str]] = {
    "objects": (lambda: pd.DataFrame({"a": [Thing(), 1]}), r"\['a'\] is a column of Python objects.*astype"),
    "mixed": (lambda: pd.DataFrame({"a": pd.Series(["x", 1], dtype=object)}), "Python objects"),
    "complex": (lambda: pd.DataFrame({"a": [1j]}), "dtype complex128"),
    "periods": (lambda: pd.DataFrame({"a": pd.period_range("2020", periods=1, freq="D")}), "period"),
    "numbered columns": (lambda: pd.DataFrame([[1, 2]]), "names are no strings.*map"),
    "levels of columns": (lambda: pd.DataFrame([[1]], columns=pd.MultiIndex.from_tuples([("a", "b")])), "no strings"),
    "equal names": (lambda: pd.DataFrame([[1, 2]], columns=["a", "a"]), "two columns of one name"),
    "an index of objects": (lambda: pd.DataFrame({"a": [1]}, index=[Thing()]), "the index of the value"),
    "an index called 3": (lambda: pd.DataFrame({"a": [1]}).rename_axis(3), "an index called 3"),
    "lists in pandas": (lambda: pd.DataFrame({"a": [[1]]}), "Python objects"),
    "lists in polars": (lambda: pl.DataFrame({"a": [[1]]}), "large_list"),
    "objects in polars": (lambda: pl.DataFrame({"a": [Thing()]}), "Python objects"),
    "structures": (lambda: pa.table({"a": [{"b": 1}]}), "struct"),
    "a 128-bit number": (lambda: pl.DataFrame({"a": [1]}, schema={"a": pl.Int128}), "Int128"),
    "rows without columns": (lambda: pa.table({"a": [1]}).select([]), "rows without columns"),
    "metadata of bytes": (lambda: pa.table({"a": [1]}).replace_schema_metadata({"a": b"\xff"}), "metadata are no text"),
    "a series": (lambda: pd.Series([1]), "Series"),
    "a lazy frame": (lambda: pl.LazyFrame({"a": [1]}), "LazyFrame"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_come_back_is_refused_with_advice(name: str) -> None:
    make, told = REFUSED[name]
    with pytest.raises(UnsupportedValue, match=told):
        encode(make(), "the value")


def test_a_class_that_is_only_called_like_a_table_is_none() -> None:
    with pytest.raises(UnsupportedValue):
        encode(type("DataFrame", (), {"__module__": "mine"})())


def described() -> tuple[dict[str, Any], Any]:
    frame = pd.DataFrame({"a": [1, 2, 3], "s": ["x", None, "yz"], "c": pd.Categorical(["u", "v", "u"])})
    description, data = dismantle(frame, "x")
    return json.loads(json.dumps(description)), data.copy()


HOSTILE: dict[str, Callable[[dict[str, Any]], Any]] = {
    "another library": lambda d: d.update(library="os"),
    "more rows": lambda d: d.update(rows=10**15),
    "rows that are no number": lambda d: d.update(rows="3"),
    "negative rows": lambda d: d.update(rows=-1),
    "no columns": lambda d: d.update(columns=[]),
    "columns of nothing": lambda d: d.update(columns=[None]),
    "a kind of code": lambda d: d["columns"][0].update(kind="extension<pickle>"),
    "a kind of another size": lambda d: d["columns"][0].update(kind="int32"),
    "an empty kind of bytes": lambda d: d["columns"][0].update(kind="binary[0]", sizes=[0, 0]),
    "a null column of many rows": lambda d: d.update(rows=10**15, columns=[{"kind": "null", "name": "a", "nulls": 10**15, "sizes": []}]),
    "other sizes": lambda d: d["columns"][1].update(sizes=[1, 32, 2**60]),
    "a negative size": lambda d: d["columns"][0].update(sizes=[0, -24]),
    "sizes of sizes": lambda d: d["columns"][0].update(sizes=[[0], 24]),
    "other nulls": lambda d: d["columns"][1].update(nulls=2),
    "a dictionary too short": lambda d: d["columns"][2]["dictionary"].update(rows=1),
    "a word of another dtype": lambda d: d["columns"][0].update(word="float64"),
    "a word that is none": lambda d: d["columns"][0].update(word="os.system"),
    "a word that is no text": lambda d: d["columns"][0].update(word=["int64"]),
    "categories without a dictionary": lambda d: d["columns"][0].update(word="category[int64]"),
    "an index of many": lambda d: d["facts"].update(range=[0, 10**15, 1]),
    "an index of nothing": lambda d: d["facts"].pop("range"),
    "levels that are not there": lambda d: (d["facts"].pop("range"), d["facts"].update(levels=["a"] * 9)),
    "no facts": lambda d: d.update(facts=None),
    "facts of lists": lambda d: d["facts"].update(metadata=3),
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_description_is_refused_before_memory_is_taken(name: str) -> None:
    description, data = described()
    HOSTILE[name](description)
    with pytest.raises(InvalidData):
        assemble(description, data)


def test_bytes_that_are_not_those_of_the_description_are_refused() -> None:
    description, data = described()
    for other in (data[:-1], np.zeros(0, "u1"), data.view("i1"), np.append(data, data)):
        with pytest.raises(InvalidData):
            assemble(description, other)
    table = pa.table({"a": [1, 2, 3]})
    sink = pa.BufferOutputStream()
    with pa.ipc.new_file(sink, table.schema, options=pa.ipc.IpcWriteOptions(compression="zstd")) as writer:
        writer.write_table(table)
    with pytest.raises(InvalidData):
        assemble(description, np.frombuffer(sink.getvalue(), "u1"))


@given(st.data())
@settings(deadline=None, max_examples=80)
def test_any_flipped_byte_gives_a_table_or_an_error(data: st.DataObject) -> None:
    """The digest is compared before; this is for files whose digest was made to fit."""
    description, whole = described()
    for _ in range(data.draw(st.integers(1, 4))):
        whole[data.draw(st.integers(0, len(whole) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    with suppress(HoldfastError):
        assert assemble(description, whole).shape == (3, 3)


# libraries


def test_tables_of_pyarrow_stand_on_the_very_bytes_and_frames_of_pandas_on_their_own() -> None:
    description, data = dismantle(pa.table({"x": [1.5, 2.5]}), "x")
    start = data.ctypes.data
    assert start < assemble(description, data)["x"].chunk(0).buffers()[1].address < start + data.nbytes
    description, data = dismantle(pd.DataFrame({"x": [1.5, 2.5]}), "x")
    data.flags.writeable = False
    frame = assemble(description, data)
    frame.loc[0, "x"] = 7.0
    assert assemble(description, data).loc[0, "x"] == 1.5


def test_a_table_is_given_as_another_library_has_it() -> None:
    frame = pd.DataFrame({"a": [1, 2]}, index=pd.Index(["x", "y"], name="k"))
    assert back(frame, "polars").equals(pl.DataFrame({"a": [1, 2], "k": ["x", "y"]}))
    assert back(frame, "pyarrow").column_names == ["a", "k"]
    assert back(pl.DataFrame({"a": [1, 2]}), "pandas").equals(pd.DataFrame({"a": [1, 2]}))
    lacking = convert(pa.table({"a": [2**63 - 1, None], "b": [True, None]}), "pandas")
    assert [*lacking["a"]] == [2**63 - 1, pd.NA]
    assert [*map(str, lacking.dtypes)] == ["Int64", "boolean"]
    assert convert(frame, "pandas") is frame
    assert convert(7, "pandas") == 7
    assert convert(arrow_table(), "polars").height == 3


def test_a_missing_library_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    description, data = described()
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(MissingExtra, match=r"pip install holdfast\[pandas\]"):
        assemble(description, data)
    with pytest.raises(MissingExtra, match=r"pip install holdfast\[polars\]"):
        encode(pl.DataFrame({"a": [1]}))


def test_no_library_of_tables_is_imported_to_find_out_that_something_is_no_table() -> None:
    program = """
import sys, numpy
from holdfast.model.content import decode, encode
content = encode({"a": numpy.arange(3), "b": 1.5, "c": None})
decode(content.text, content.arrays.__getitem__)
try:
    encode(object())
except TypeError:
    print({"pandas", "polars", "pyarrow", "xarray", "holdfast.model.table"} & set(sys.modules))
"""
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert ended.stdout == "set()\n"
