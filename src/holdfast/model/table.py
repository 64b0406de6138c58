"""Give a table of pandas, pyarrow or polars one form: a description in JSON, and the bytes of one Arrow file.

Equal tables of one library have equal descriptions and bytes, under every version of every library. The library counts, as a function sees
it; so do names, types, order of rows and columns, and the index of pandas. Of a description or bytes from outside nothing is believed, and
nothing is run. Pure; imports a library of tables to make one of its tables.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from holdfast.errors import InvalidData, MissingExtra, UnsupportedValue
from holdfast.model.arrow import Column, envelope, size_of
from holdfast.model.column import describe, join, read_column, split
from holdfast.model.foreign import TABLES, library_of
from holdfast.model.frame import (
    LEVEL,
    Parts,
    make_pandas,
    make_polars,
    nullable_dtypes,
    take_pandas,
    take_polars,
    whole,
)

if TYPE_CHECKING:
    from holdfast.model.column import Bytes

_NOTHING = "null"
_MAKERS = {"pandas": make_pandas, "polars": make_polars}


def dismantle(table: Any, where: str) -> tuple[dict[str, Any], Bytes]:
    """Return the description of a table, and the bytes of its Arrow file.

    Parameters
    ----------
    table : pandas.DataFrame, polars.DataFrame or pyarrow.Table
    where : str
        Name of the table in error messages.

    Raises
    ------
    UnsupportedValue
        A column cannot be kept; names it.
    MissingExtra
        pyarrow is not installed.
    """
    library = library_of(type(table))
    _require("pyarrow", library)
    takers = {"pandas": take_pandas, "polars": take_polars, "pyarrow": _take_pyarrow}
    parts = _with_bits(takers[library](table, where))
    if len(set(parts.names)) < len(parts.names):
        raise UnsupportedValue(where, "a table with two columns of one name", "Rename one of them.")
    if not parts.names and parts.rows and library != "pandas":
        raise UnsupportedValue(
            where, "a table of rows without columns", "Give it a column, or pass the number of rows."
        )
    columns, buffers = _split_all(parts, where)
    data = _fill(_envelope(columns, parts), iter(buffers))
    described = [
        {**describe(column), **({"word": word} if word else {})}
        for column, word in zip(columns, parts.words, strict=True)
    ]
    return {"columns": described, "facts": parts.facts, "library": library, "rows": parts.rows}, data


def assemble(description: Mapping[str, Any], data: Bytes, library: str = "") -> Any:
    """Return the table of a description and the bytes of its file.

    Parameters
    ----------
    description : mapping
        As made by `dismantle`.
    data : ndarray of uint8
        Polars and pyarrow tables stand on this very memory where they can.
    library : str
        That of the table to make; by default the one that it came from. Another sees what stands in the Arrow file.

    Raises
    ------
    InvalidData
        Description and bytes are not those of one table.
    MissingExtra
        The library is not installed.
    """
    own = str(description.get("library"))
    if own not in TABLES.values():
        raise InvalidData(f"{own:.40} is no library of tables")
    _require("pyarrow", own)
    parts = _parts(description, data)
    wanted = library or own
    _require(wanted, wanted)
    if wanted == own:
        try:
            return _make_pyarrow(parts) if own == "pyarrow" else _MAKERS[own](parts)
        except (ValueError, TypeError, KeyError, IndexError, AttributeError) as error:
            raise InvalidData(f"the description of a table of {own} contradicts itself: {error}") from error
    return convert(_make_pyarrow(replace(parts, names=_plain_names(parts), facts={})), wanted)


def convert(table: Any, library: str) -> Any:
    """Return a table as another library has it; one that is of this library, or no table, as it is."""
    own = library_of(type(table))
    if not own or own == library:
        return table
    _require(library, library)
    if own != "pyarrow":
        description, data = dismantle(table, "a table")
        return assemble(description, data, library)
    if library == "pandas":
        return table.to_pandas(types_mapper=nullable_dtypes(table).get)
    import polars

    return polars.from_arrow(table)


def _with_bits(parts: Parts) -> Parts:
    """Return a table in which columns of nothing are kept as bits: without buffers, a few bytes could stand for any number of rows."""
    import pyarrow

    empty = [
        pyarrow.types.is_null(array.type) and not word for array, word in zip(parts.arrays, parts.words, strict=True)
    ]
    arrays = [
        pyarrow.nulls(parts.rows, pyarrow.bool_()) if is_empty else array
        for is_empty, array in zip(empty, parts.arrays, strict=True)
    ]
    words = [_NOTHING if is_empty else word for is_empty, word in zip(empty, parts.words, strict=True)]
    return replace(parts, arrays=arrays, words=words)


def _split_all(parts: Parts, where: str) -> tuple[list[Column], list[Bytes]]:
    """Return the columns, and their buffers of more than no bytes as they follow each other in the file."""
    columns, shared, own = [], [], []
    nullable = parts.nullable or [True] * len(parts.names)
    for name, array, may_lack in zip(parts.names, parts.arrays, nullable, strict=True):
        column, values, buffers = split(name, array, f"{where}[{name!r}]")
        columns.append(replace(column, nullable=may_lack))
        shared += values
        own += buffers
    return columns, [buffer for buffer in (*shared, *own) if buffer.nbytes]


def _fill(file: list[bytes | int], buffers: Iterator[Bytes]) -> Bytes:
    """Return the bytes of a file."""
    import numpy

    data, place = numpy.zeros(size_of(file), "u1"), 0
    for part in file:
        piece = numpy.frombuffer(part, "u1") if isinstance(part, bytes) else next(buffers)
        data[place : place + piece.nbytes] = piece
        place += piece.nbytes
    return data


def _envelope(columns: list[Column], parts: Parts) -> list[bytes | int]:
    return envelope(columns, dict(parts.facts.get("metadata", ())), rows=parts.rows)


def _parts(description: Mapping[str, Any], data: Bytes) -> Parts:
    """Return a table taken apart, after all that is said of it was compared with its bytes."""
    rows, facts, listed = description.get("rows"), description.get("facts"), description.get("columns")
    if type(rows) is not int or not 0 <= rows < 2**62 or not isinstance(facts, dict) or not isinstance(listed, list):
        raise InvalidData("the description of a table lacks its rows, facts or columns")
    columns = [read_column(described, rows) for described in listed]
    words = [described.get("word", "") for described in listed]
    if not all(isinstance(word, str) for word in words):
        raise InvalidData("the description of a table has a word that is no text")
    parts = Parts([column.name for column in columns], [], words, rows, facts, [column.nullable for column in columns])
    try:
        file = _envelope(columns, parts)
    except (ValueError, TypeError, AttributeError, OverflowError) as error:
        raise InvalidData(f"the description of a table is that of no file: {error}") from error
    buffers = _cut(file, data)
    tables = [
        None if column.dictionary is None else join(column.dictionary, _take(column.dictionary, buffers))
        for column in columns
    ]
    arrays = [join(column, _take(column, buffers), values) for column, values in zip(columns, tables, strict=True)]
    return replace(parts, arrays=[_made_of_bits(array, word) for array, word in zip(arrays, words, strict=True)])


def _made_of_bits(array: Any, word: str) -> Any:
    import pyarrow

    return pyarrow.nulls(len(array)) if word == _NOTHING else array


def _cut(file: list[bytes | int], data: Bytes) -> Iterator[Any]:
    """Return an iterator over the buffers of a file, after comparing all that stands around them."""
    import pyarrow

    if data.dtype.str != "|u1" or size_of(file) != data.size:
        raise InvalidData(f"the file of a table has {data.size} bytes instead of {size_of(file)}")
    place, buffers = 0, []
    for part in file:
        size = part if isinstance(part, int) else len(part)
        if isinstance(part, int):
            buffers.append(pyarrow.py_buffer(data[place : place + size]))
        elif data[place : place + size].tobytes() != part:
            raise InvalidData("what stands around the columns of a table is not what its description gives")
        place += size
    return iter(buffers)


def _take(column: Column, buffers: Iterator[Any]) -> Iterator[Any]:
    import pyarrow

    return iter([next(buffers) if size else pyarrow.py_buffer(b"") for size in column.sizes])


def _require(package: str, library: str) -> None:
    from importlib import import_module

    try:
        import_module(package)
    except ModuleNotFoundError as error:
        raise MissingExtra(f"a table of {library}", "arrow" if library == "pyarrow" else library) from error


def _plain_names(parts: Parts) -> list[str]:
    """Return the names of the columns for another library, in which the levels of an index are called what they are."""
    names, levels = list(parts.names), parts.facts.get("levels", [])
    for place, name in enumerate(levels):
        if name is not None and name not in names:
            names[names.index(LEVEL.format(place))] = name
    return names


# pyarrow


def _take_pyarrow(table: Any, where: str) -> Parts:
    try:
        metadata = {key.decode(): value.decode() for key, value in (table.schema.metadata or {}).items()}
    except UnicodeDecodeError:
        advice = "Leave them out: table.replace_schema_metadata(None)."
        raise UnsupportedValue(where, "a table whose metadata are no text", advice) from None
    table = table.unify_dictionaries()
    facts = {"metadata": sorted(map(list, metadata.items()))} if metadata else {}
    nullable = [column.nullable for column in table.schema]
    return Parts(
        table.column_names, list(map(whole, table.columns)), [""] * len(nullable), table.num_rows, facts, nullable
    )


def _make_pyarrow(parts: Parts) -> Any:
    import pyarrow

    arrays = parts.arrays
    nullable = parts.nullable or [True] * len(arrays)
    fields = [
        pyarrow.field(name, array.type, may) for name, array, may in zip(parts.names, arrays, nullable, strict=True)
    ]
    return pyarrow.Table.from_arrays(arrays, schema=pyarrow.schema(fields, dict(parts.facts.get("metadata", ()))))
