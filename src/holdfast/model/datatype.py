"""Hold data in the graph: data types, and the data nodes they make.

A data node is `{"depends": [], "input": {"data": …}, "operation": [namespace, type]}`. Its data is the value's content text, but
that arrays of up to 1 024 elements stand as nested lists of their elements, so that a person can read them. Nothing is silently
cast: what does not fit is `InvalidData`, which names the place. Pure, but that `File` reads the file it is given, once.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable
from collections.abc import Mapping as AbstractMapping
from dataclasses import dataclass
from hashlib import file_digest
from typing import TYPE_CHECKING, Any

from holdfast.errors import InvalidData
from holdfast.model.canonical import array_digest, canonical_array
from holdfast.model.content import Content, decode, encode, write_token
from holdfast.model.element import NUMPY_KINDS, check_elements, kind_of
from holdfast.model.fingerprint import Fingerprint, data_text, operation_text, uid_of
from holdfast.model.foreign import is_dataset, library_of
from holdfast.model.operation import BUILT_IN_DATA
from holdfast.model.record import check_depth, parse_record
from holdfast.model.reference import NO_PLACEHOLDERS, Reference
from holdfast.model.shape import Shape, nested_shape

if TYPE_CHECKING:
    from holdfast.model.content import Array

ELEMENTS_IN_RECORD = 1024
"""Arrays of more elements are named in their record by digest instead of written out."""

_DIGEST = re.compile(r"[0-9a-f]{64}", re.ASCII)

NO_ARRAYS: AbstractMapping[str, Any] = {}


class DataNode(Reference):
    """A node that holds data: made by a `DataType`, never directly.

    Attributes
    ----------
    datatype : DataType
    shape : tuple of int
        Sizes from the outermost; `()` for a scalar, a mapping or a file.
    data : str
        JSON text of the record's `data`.
    uid : str
        64 hex digits.
    path : str
        Of a file: where it was when the node was made; never identifies.
    """

    __slots__ = ("arrays", "data", "datatype", "path", "shape", "uid")

    free = NO_PLACEHOLDERS

    def __init__(
        self,
        datatype: DataType,
        data: str,
        shape: Shape = (),
        arrays: AbstractMapping[str, Array] = NO_ARRAYS,
        path: str = "",
    ) -> None:
        self.datatype = datatype
        self.data = data
        self.shape = shape
        self.arrays = arrays
        self.path = path
        self.uid = uid_of(data_text(datatype.text, data))

    @property
    def dtype(self) -> Any:
        """The NumPy dtype of the elements; None for strings, bytes, files, mappings and null."""
        import numpy

        return numpy.dtype(self.datatype.dtype) if self.datatype.dtype else None

    @property
    def content(self) -> Content:
        """The canonical form of the value that operations receive."""
        if self.shape:
            ((digest, array),) = self.arrays.items()
            return Content(write_token(array.dtype.str, array.shape, digest).encode("ascii"), self.arrays)
        return Content(self.data.encode("ascii"), self.arrays)

    @property
    def record(self) -> dict[str, Any]:
        """The portable form."""
        parsed: dict[str, Any] = json.loads(data_text(self.datatype.text, self.data))
        return parsed

    def fingerprint(self) -> Fingerprint:
        """Return the identity of the record."""
        return Fingerprint(data_text(self.datatype.text, self.data))

    def to_json(self, **json_args: Any) -> str:
        """Return the record as JSON; keyword arguments go to `json.dumps`."""
        return json.dumps(self.record, **json_args)

    def __repr__(self) -> str:
        shown = self.data if len(self.data) <= 60 else self.data[:57] + "…"
        return f"{self.datatype.scope[-1]}({shown})"


@dataclass(frozen=True)
class DataType:
    """A kind of data; calling it makes a data node.

    Parameters
    ----------
    scope : tuple of str
        Namespace and name.
    dtype : str
        NumPy dtype of the elements, little-endian; empty where there are no elements of one size.

    Examples
    --------
    >>> Integer64([[1, 2], [3, 4]]).shape
    (2, 2)
    """

    scope: tuple[str, ...]
    dtype: str = ""

    def __post_init__(self) -> None:
        """Write the JSON text of the name once."""
        object.__setattr__(self, "text", operation_text(self.scope))

    text: str = ""

    def __call__(self, data: Any) -> DataNode:
        """Return the data node that holds `data`.

        Raises
        ------
        InvalidData
            The data is ragged, overflows, or is of another kind; names the first place.
        """
        return _make(self, data, f"{self.scope[-1]}(data)")

    def from_json(self, text: str) -> DataNode:
        """Return the data node whose record is `text`.

        Raises
        ------
        InvalidData
            The text is no JSON, or no record of this type; names the member.
        """
        record = parse_record(text)
        if record["operation"] != list(self.scope):
            raise InvalidData(f"The record's 'operation' is {record['operation']!r}, expected {list(self.scope)!r}.")
        return data_from_record(record, datatype=self)

    def __repr__(self) -> str:
        return ".".join(self.scope)


def _built_in(name: str, dtype: str = "") -> DataType:
    return DataType((BUILT_IN_DATA, name), dtype)


Integer64 = _built_in("Integer64", "<i8")
Float64 = _built_in("Float64", "<f8")
Complex128 = _built_in("Complex128", "<c16")
Boolean = _built_in("Boolean", "|b1")
String = _built_in("String")
Bytes = _built_in("Bytes")
Mapping = _built_in("Mapping")
File = _built_in("File")
Null = _built_in("Null")
Table = _built_in("Table")
Dataset = _built_in("Dataset")

_OTHER_SIZES = {
    "Integer8": "|i1", "Integer16": "<i2", "Integer32": "<i4",
    "UnsignedInteger8": "|u1", "UnsignedInteger16": "<u2", "UnsignedInteger32": "<u4", "UnsignedInteger64": "<u8",
    "Float16": "<f2", "Float32": "<f4", "Complex64": "<c8",
}  # fmt: skip

BY_NAME = {
    datatype.scope: datatype
    for datatype in (
        Integer64, Float64, Complex128, Boolean, String, Bytes, Mapping, File, Null, Table, Dataset,
        *(_built_in(name, dtype) for name, dtype in _OTHER_SIZES.items()),
    )
}  # fmt: skip

BY_DTYPE = {datatype.dtype: datatype for datatype in BY_NAME.values() if datatype.dtype}


def _refuse_array(digest: str) -> Any:
    raise InvalidData(
        f"The record names its data by digest only ({digest}). Load it from a work graph that carries the data."
    )


def data_from_record(
    record: AbstractMapping[str, Any],
    find_array: Callable[[str], Array] = _refuse_array,
    datatype: DataType | None = None,
) -> DataNode:
    """Return the data node of a parsed record; InvalidData names the member that is wrong.

    Parameters
    ----------
    record : mapping
    find_array : callable
        Takes the hex digest of an array that the record names, returns the array.
    datatype : DataType, optional
        Its type, if that is known; else it must be built in.
    """
    if datatype is None and all(isinstance(part, str) for part in record["operation"]):
        datatype = BY_NAME.get(tuple(record["operation"]))
    if datatype is None:
        raise InvalidData(f"The record's 'operation' is {record['operation']!r}, which is no built-in data type.")
    if record["depends"]:
        raise InvalidData("The record's 'depends' is not empty; data depends on nothing.")
    if set(record["input"]) != {"data"}:
        raise InvalidData(f"The record's 'input' has the members {sorted(record['input'])}, expected only 'data'.")
    check_depth(record["input"], "The record's 'input'")
    return _make(datatype, _restore(record["input"]["data"], datatype, find_array), "input.data")


def _make(datatype: DataType, data: Any, where: str) -> DataNode:
    if datatype is File:
        return _file(data)
    if datatype is Null:
        if data is not None:
            raise InvalidData(f"{where} is {data!r}, expected None.")
        return DataNode(Null, "null")
    if datatype is Mapping:
        if not isinstance(data, dict):
            raise InvalidData(f"{where} is a {type(data).__name__}, expected a mapping.")
        content = encode(data, where)
        return DataNode(Mapping, content.text.decode("ascii"), (), content.arrays)
    if datatype is Bytes:
        if not isinstance(data, (bytes, bytearray)):
            raise InvalidData(f"{where} is a {type(data).__name__}, expected bytes.")
        content = encode(bytes(data), where)
        return DataNode(Bytes, content.text.decode("ascii"), (), content.arrays)
    if datatype is Table or datatype is Dataset:
        if not (library_of(type(data)) if datatype is Table else is_dataset(type(data))):
            raise InvalidData(f"{where} is a {type(data).__name__}, expected a {datatype.scope[-1].lower()}.")
        content = encode(data, where)
        return DataNode(datatype, content.text.decode("ascii"), (), content.arrays)
    return _typed_array(datatype, data, where)


def _typed_array(datatype: DataType, data: Any, where: str) -> DataNode:
    import numpy

    if isinstance(data, (numpy.ndarray, numpy.generic)):
        shape, given = data.shape, data.tolist()
        if data.size and data.dtype.kind not in NUMPY_KINDS[kind_of(datatype.dtype)]:
            raise InvalidData(
                f"{where} has dtype {data.dtype}, which does not fit {datatype}. Convert it yourself if that is meant."
            )
    else:
        shape, given = nested_shape(data, where), data
        check_elements(datatype.dtype, given, where, str(datatype))
    try:
        array = numpy.array(given if datatype is not String else given or "", dtype=datatype.dtype or "U").reshape(
            shape
        )
    except (OverflowError, ValueError, TypeError) as error:
        raise InvalidData(f"{where} does not fit {datatype}: {error}.") from None
    if not shape:
        return (
            DataNode(datatype, encode(array.item() if datatype.dtype else given, where).text.decode("ascii"))
            if datatype.dtype in _PLAIN
            else array_node(datatype, canonical_array(array))
        )
    return array_node(datatype, canonical_array(array))


def array_node(datatype: DataType, array: Array) -> DataNode:
    """Return the data node of a canonical array; a large one is named in its record by digest."""
    digest = array_digest(array)
    written_out = array.size <= ELEMENTS_IN_RECORD and (array.size > 0 or array.ndim == 1) and array.ndim > 0
    data = (
        encode(array.tolist()).text.decode("ascii")
        if written_out
        else write_token(array.dtype.str, array.shape, digest)
    )
    return DataNode(datatype, data, array.shape, {digest: array})


def _file(data: Any) -> DataNode:
    if isinstance(data, tuple):
        digest, size = data
        return DataNode(File, f'{{"$file":["{digest}",{size}]}}')
    path = os.path.abspath(os.fspath(data))
    try:
        with open(path, "rb") as stream:
            digest = file_digest(stream, "sha256").hexdigest()
            size = stream.tell()
    except OSError as error:
        raise InvalidData(f"File({os.fspath(data)!r}) cannot be read: {error.strerror}.") from None
    return DataNode(File, f'{{"$file":["{digest}",{size}]}}', path=path)


_PLAIN = {"<i8", "<f8", "<c16", "|b1", ""}
"""Of which types a single value stands in the record as it is, and not as an array without axes."""


def _digest_and_size(data: Any) -> tuple[str, int]:
    """Return what a record says of a file; never a path, which whoever reads the record would open."""
    written = data.get("$file") if isinstance(data, dict) and len(data) == 1 else None
    digest, size = written if isinstance(written, list) and len(written) == 2 else (None, None)
    if isinstance(digest, str) and _DIGEST.fullmatch(digest) and type(size) is int and size >= 0:
        return digest, size
    raise InvalidData(f"The record's 'input.data' is {data!r:.120}, expected the digest and the size of a file.")


def _restore(data: Any, datatype: DataType, find_array: Callable[[str], Array]) -> Any:
    """Undo the tokens of a record's data."""
    if datatype is File:
        return _digest_and_size(data)
    if isinstance(data, list):
        return [_restore(item, datatype, find_array) for item in data]
    if isinstance(data, dict) and len(data) == 1:
        (key,) = data
        if key.startswith("$"):
            return decode(json.dumps(data).encode("ascii"), find_array)
    if isinstance(data, dict):
        return {label: _restore(item, datatype, find_array) for label, item in data.items()}
    return data
