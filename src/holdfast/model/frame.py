"""Take data frames of pandas and of polars apart into Arrow arrays, and make such frames of them again.

What a library says of a column beyond its Arrow type is kept as a word, so that the frame comes back as it was: with nullable numbers,
strings, categories, time zones, and the index of pandas. Nothing is silently cast: what cannot come back is refused. Pure; the libraries
are those of the frame at hand, or are imported to make one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from holdfast.errors import InvalidData, UnsupportedValue
from holdfast.model.column import ADVICE

LEVEL = "__index_level_{}__"
"""How the columns of an index are called, as pyarrow does."""

OBJECT_ADVICE = "Convert the column to a dtype of its own: frame.astype(...) to numbers, strings or categories, or frame.convert_dtypes()."

_MASKED = {f"{sign}Int{size}" for sign in ("", "U") for size in (8, 16, 32, 64)} | {"boolean", "Float32", "Float64"}
_ZONED, _ARROW, _CATEGORY = "zoned", "arrow", "category["


@dataclass(frozen=True, slots=True)
class Parts:
    """A table, taken apart."""

    names: Sequence[str]
    arrays: Sequence[Any]
    """One `pyarrow.Array` for each column."""
    words: Sequence[str]
    """What its library says of each column beyond the Arrow type; empty for nothing."""
    rows: int
    facts: dict[str, Any] = field(default_factory=dict)
    """What else must be known of the table, in what JSON can say."""
    nullable: Sequence[bool] = ()
    """Whether the schema lets each column lack values; empty for yes."""


def whole(array: Any) -> Any:
    """Return a `pyarrow.Array` of what may be in chunks."""
    return array.combine_chunks() if hasattr(array, "combine_chunks") else array


# pandas


def take_pandas(frame: Any, where: str) -> Parts:
    """Return the columns of a pandas data frame and, after them, of its index.

    Raises
    ------
    UnsupportedValue
        A name or a dtype is none that can be kept; names the column.
    """
    import pandas

    names = list(frame.columns)
    if isinstance(frame.columns, pandas.MultiIndex) or not all(type(name) is str for name in names):
        advice = "Rename them: frame.columns = frame.columns.map(str), or of many levels frame.columns.map('.'.join)."
        raise UnsupportedValue(where, "a data frame with columns whose names are no strings", advice)
    taken = [_take_series(frame.iloc[:, place], f"{where}[{name!r}]") for place, name in enumerate(names)]
    facts: dict[str, Any] = {"columns": _name(frame.columns.name, where)}
    index = frame.index
    if type(index) is pandas.RangeIndex:
        facts |= {"name": _name(index.name, where), "range": [index.start, index.stop, index.step]}
    else:
        facts["levels"] = [_name(name, where) for name in index.names]
        levels = [index.get_level_values(place) for place in range(index.nlevels)]
        names += [LEVEL.format(place) for place in range(len(levels))]
        taken += [_take_series(level, f"the index of {where}") for level in levels]
    return Parts(names, [array for array, _ in taken], [word for _, word in taken], len(frame), facts)


def make_pandas(parts: Parts) -> Any:
    """Return the data frame that was taken apart; its memory is its own."""
    import pandas

    facts, names = parts.facts, parts.facts.get("levels", [])
    count = len(parts.names) - len(names)
    levels = [_make_index(array, word) for array, word in zip(parts.arrays[count:], parts.words[count:], strict=True)]
    if "range" in facts:
        index = pandas.RangeIndex(*facts["range"], name=facts["name"])
    else:
        index = pandas.MultiIndex.from_arrays(levels, names=names) if len(levels) > 1 else levels[0].rename(names[0])
    columns = {
        place: pandas.Series(_make_values(array, word), index=index, dtype=_guard(word), copy=True)
        for place, (array, word) in enumerate(zip(parts.arrays[:count], parts.words[:count], strict=True))
    }
    frame = pandas.DataFrame(columns, index=index)
    frame.columns = pandas.Index(parts.names[:count], name=facts["columns"])
    return frame


def nullable_dtypes(table: Any) -> dict[Any, Any]:
    """Return the dtypes of pandas for whole numbers and booleans of which a pyarrow table lacks some: none becomes a float."""
    import pandas
    from pyarrow import types

    found = {column.type for column in table.columns if column.null_count}
    words = {kind: str(kind).replace("int", "Int").replace("uI", "UI") for kind in found if types.is_integer(kind)}
    words |= {kind: "boolean" for kind in found if types.is_boolean(kind)}
    return {kind: pandas.api.types.pandas_dtype(word) for kind, word in words.items()}


def _name(name: Any, where: str) -> str | None:
    if name is None or type(name) is str:
        return name
    raise UnsupportedValue(
        where, f"a data frame with an index called {name!r:.60}", "Call it by a string or by nothing: rename_axis."
    )


def _take_series(values: Any, where: str) -> tuple[Any, str]:
    """Return the Arrow array of a series or index, and the word for its dtype."""
    import numpy
    import pandas
    import pyarrow

    dtype = values.dtype
    if isinstance(dtype, pandas.CategoricalDtype):
        categories, word = _take_series(dtype.categories, where)
        codes = numpy.asarray(values.array.codes)
        index = pyarrow.array(codes, mask=codes < 0)
        return pyarrow.DictionaryArray.from_arrays(
            index, categories, ordered=bool(dtype.ordered)
        ), f"{_CATEGORY}{word}]"
    if isinstance(dtype, numpy.dtype):
        return _take_numpy(values, where)
    if isinstance(dtype, pandas.StringDtype):
        text = whole(pyarrow.array(values.array)).cast(pyarrow.large_string())
        return text, f"{'string' if dtype.na_value is pandas.NA else 'str'}[{dtype.storage}]"
    if isinstance(dtype, pandas.ArrowDtype):
        return whole(pyarrow.array(values.array)), _ARROW
    if isinstance(dtype, pandas.DatetimeTZDtype):
        return whole(pyarrow.array(values.array)), _ZONED
    if str(dtype) in _MASKED:
        return whole(pyarrow.array(values.array)), str(dtype)
    raise UnsupportedValue(where, f"a column of the dtype {dtype}", ADVICE)


def _take_numpy(values: Any, where: str) -> tuple[Any, str]:
    import pandas
    import pyarrow

    dtype = values.dtype.newbyteorder("<")
    if dtype.kind == "O":
        if pandas.api.types.infer_dtype(values, skipna=True) not in ("string", "empty"):
            raise UnsupportedValue(where, "a column of Python objects", OBJECT_ADVICE)
        plain = values.to_numpy()
        return pyarrow.array(plain, pyarrow.large_string(), mask=pandas.isna(plain)), "object"
    if dtype.kind not in "biufMm" or dtype.itemsize > 8:
        raise UnsupportedValue(where, f"a column of the dtype {dtype}", ADVICE)
    return pyarrow.array(values.to_numpy(dtype=dtype)), str(dtype)


def _make_index(array: Any, word: str) -> Any:
    import pandas

    return pandas.Index(_make_values(array, word), dtype=_guard(word))


def _guard(word: str) -> type | None:
    """Return the dtype that keeps pandas from guessing one for objects."""
    return object if word == "object" else None


def _make_values(array: Any, word: str) -> Any:
    """Return the values that a word and an array stand for."""
    import numpy
    import pandas

    if word.startswith(_CATEGORY) and hasattr(array, "dictionary"):
        codes = array.indices.fill_null(-1).to_numpy()
        categories = _make_index(array.dictionary, word[len(_CATEGORY) : -1])
        return pandas.Categorical.from_codes(codes, categories=categories, ordered=array.type.ordered)
    extension = _extension(word, array.type)
    if extension is not None:
        return extension.__from_arrow__(array)
    values = array.to_numpy(zero_copy_only=False)
    if values.dtype != numpy.dtype(word):
        raise InvalidData(f"a column that should be {word!r:.40} is {values.dtype}")
    return values


def _extension(word: str, kind: Any) -> Any:
    """Return the dtype of pandas's own that a word stands for, if it does for one."""
    import numpy
    import pandas

    base, _, storage = word.rstrip("]").partition("[")
    if base in ("str", "string") and storage in ("python", "pyarrow"):
        return pandas.StringDtype(storage, numpy.nan) if base == "str" else pandas.StringDtype(storage)
    if word in _MASKED:
        return pandas.api.types.pandas_dtype(word)
    if word == _ZONED:
        return pandas.DatetimeTZDtype(kind.unit, kind.tz)
    return pandas.ArrowDtype(kind) if word == _ARROW else None


# polars


def take_polars(frame: Any, where: str) -> Parts:
    """Return the columns of a polars data frame."""
    taken = [_take_polars_series(series, f"{where}[{series.name!r}]") for series in frame.get_columns()]
    return Parts(frame.columns, [array for array, _ in taken], [word for _, word in taken], frame.height)


def make_polars(parts: Parts) -> Any:
    """Return the data frame that was taken apart, on the same memory where polars can."""
    import polars

    columns = zip(parts.names, parts.arrays, parts.words, strict=True)
    return polars.DataFrame([_make_polars_series(array, word).alias(name) for name, array, word in columns])


def _take_polars_series(series: Any, where: str) -> tuple[Any, str]:
    import polars
    import pyarrow

    dtype = series.dtype
    try:
        if dtype == polars.Categorical:
            return whole(whole(series.cast(polars.String).to_arrow()).dictionary_encode()), "categorical"
        if dtype == polars.Enum:
            physical = series.to_physical().cast(polars.UInt32)  # its own width is a matter of the version
            index, values = whole(physical.to_arrow()), whole(dtype.categories.to_arrow())
            return pyarrow.DictionaryArray.from_arrays(index, values, ordered=True), "enum"
        if dtype != polars.Object:
            return whole(series.to_arrow()), ""
    except pyarrow.ArrowException as error:
        raise UnsupportedValue(where, f"a column of the dtype {dtype}", f"{ADVICE} ({error})") from error
    raise UnsupportedValue(
        where,
        "a column of Python objects",
        "Build it of numbers, strings, bytes or times: polars.Series(..., dtype=...).",
    )


def _make_polars_series(array: Any, word: str) -> Any:
    import polars

    if word not in ("categorical", "enum"):
        return polars.from_arrow(array)
    text = polars.from_arrow(array.dictionary_decode())
    return text.cast(polars.Categorical if word == "categorical" else polars.Enum(array.dictionary.to_pylist()))
