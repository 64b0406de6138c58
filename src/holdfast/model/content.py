"""Give every storable value one canonical form: its content.

A content is one line of compact JSON (keys sorted, ASCII) in which arrays stand as tokens that name their dtype, shape and
SHA-256, and beside it the arrays themselves. Equal values have equal texts, so the digest of the text identifies the value.
What JSON cannot say is said by objects with one `$` key:

    {"$array": ["<f8", [100, 3], "<sha256 of dtype, shape and bytes>"]}
    {"$stack": ["<f8", [24, 100, 3], "<sha256 of the members' digests>"]}     equal arrays, kept where they are
    {"$bytes": "<base64>"}   {"$bytes": {"$array": …}}                        short; long
    {"$float": "NaN" | "Infinity" | "-Infinity"}   {"$complex": [re, im]}
    {"$file": ["<sha256>", size]}                                             a file, received as a path
    {"$mapping": [[key, value], …]}                                           a mapping with a key that begins with `$`
    {"$table": {"columns": …, "data": {"$array": …}, "library": …, …}}        a table: its description, and the bytes of an Arrow file
    {"$dataset": {"coordinates": …, "variables": …, …}}                       of xarray: what it consists of
    {"$pickle": {"$array": …}}                                                any other object, where somebody named that

Pure: never opens a file, never imports NumPy unless the value or text at hand holds an array, and never pickles or unpickles by itself.
"""

from __future__ import annotations

import base64
import json
import math
import re
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from hashlib import sha256
from json.encoder import encode_basestring_ascii
from typing import TYPE_CHECKING, Any, NamedTuple

from holdfast.errors import HoldfastError, InvalidData, UnsupportedValue
from holdfast.model.canonical import array_digest, canonical_array
from holdfast.model.foreign import is_dataset, library_of

if TYPE_CHECKING:
    import numpy

    Array = numpy.ndarray[Any, numpy.dtype[Any]]

MAX_DEPTH = 100
"""How deep lists and mappings may nest."""

BYTES_IN_TEXT = 1024
"""Longer byte strings are kept as arrays beside the text."""

ARRAY_KINDS = "biufcSUMm"
"""NumPy kinds that have canonical bytes: no objects, no structures."""

_DOLLAR = ord("$")
"""Of what stands in every token. Looked for as one byte, since `in` takes five times as long for more."""

_read_json = json.JSONDecoder().raw_decode
"""Reads a JSON text at whose start its value stands, as in every content, in a third of the time of `json.loads`."""
_DIGEST = re.compile(r"[0-9a-f]{64}", re.ASCII)
_MALFORMED = (TypeError, ValueError, LookupError, AttributeError, OverflowError, RecursionError)
"""What comes of a text that `encode` did not make."""

_ADVICE = (
    "Use numbers, strings, bytes, None, NumPy arrays, tables, datasets of xarray, or lists and string-keyed dictionaries of these; "
    "for anything else pass what it is made from and build it inside the operation, or have it made by one that names format='pickle'."
)


class Content(NamedTuple):
    """The canonical form of one value.

    Parameters
    ----------
    text : bytes
        Compact JSON, arrays as tokens.
    arrays : dict of str to ndarray
        The arrays that tokens of `text` name, by hex SHA-256; each read-only, C-order, little-endian.
    """

    text: bytes
    arrays: Mapping[str, Array]

    @property
    def digest(self) -> bytes:
        """SHA-256 of the text, 32 bytes."""
        return sha256(self.text).digest()


def encode(value: Any, where: str = "the value", *, pickled: Callable[[Any], bytes] | None = None) -> Content:
    """Return the canonical form of `value`.

    Parameters
    ----------
    value : object
        Numbers, strings, bytes, None, NumPy arrays and scalars, tables, datasets, or lists, tuples and string-keyed mappings of these.
        Tuples become lists. Arrays are copied, so that a later change of the original changes nothing.
    where : str
        Name of the value in error messages.
    pickled : callable, optional
        Takes what is none of these and returns the bytes that stand for it. Without it, such a thing is refused.

    Raises
    ------
    UnsupportedValue
        Names the place of the first part that cannot be stored.

    Examples
    --------
    >>> encode({"b": (1, 2.0), "a": None}).text
    b'{"a":null,"b":[1,2.0]}'
    """
    kind = type(value)
    if kind is int:
        return Content(b"%d" % value, {})
    arrays: dict[str, Array] = {}
    return Content(_write(value, where, arrays, 0, pickled).encode("ascii"), arrays)


def decode(text: bytes, find_array: Callable[[str], Array], *, unpickled: Callable[[Array], Any] | None = None) -> Any:
    """Return the value whose content is `text`.

    Parameters
    ----------
    text : bytes
        As made by `encode`.
    find_array : callable
        Takes the hex digest of an array or stack token, returns the array.
    unpickled : callable, optional
        Takes the bytes of a pickle and returns its object. Without it, there may be none.

    Raises
    ------
    InvalidData
        It is no text that `encode` has made, or holds a pickle that may not be read here.
    """

    def restore(members: dict[str, Any]) -> Any:
        if len(members) == 1:
            key, inner = next(iter(members.items()))
            if key[:1] == "$":
                if key == "$pickle":
                    return _restore_pickle(inner, unpickled)
                return _restore_token(key, inner, find_array)
        return members

    try:
        if _DOLLAR not in text:
            return _read_json(text.decode("ascii"))[0]
        return json.loads(
            text.decode("ascii"), object_hook=restore
        )  # of bytes, json would guess the encoding each time
    except HoldfastError:
        raise
    except _MALFORMED as error:
        raise _malformed(text, error) from error


def parse_text(text: bytes, note: Callable[[dict[str, Any]], Any] | None = None) -> Any:
    """Return a text as JSON, tokens as they stand, or as `note` returns for each mapping in it; InvalidData if it is none."""
    try:
        return json.loads(text.decode("ascii"), object_hook=note)
    except _MALFORMED as error:
        raise _malformed(text, error) from error


def array_digests(text: bytes) -> list[str]:
    """Return the digests that the array, stack and file tokens of `text` name, each once, in order.

    Raises
    ------
    InvalidData
        It is no text that `encode` has made.
    """
    if _DOLLAR not in text:
        return []
    found: dict[str, None] = {}

    def note(members: dict[str, Any]) -> Any:
        if len(members) == 1:
            token = members.get("$array") or members.get("$stack")
            if token is not None:
                found[token[2]] = None
            elif "$file" in members:
                found[members["$file"][0]] = None
            elif "$mapping" in members:
                return dict(members["$mapping"])
        return members

    try:
        json.loads(text, object_hook=note)
        if all(map(_DIGEST.fullmatch, found)):
            return list(found)
    except _MALFORMED as error:
        raise _malformed(text, error) from error
    raise _malformed(text, "a token has no digest")


def array_token(text: bytes) -> tuple[str, tuple[int, ...], str, bool] | None:
    """Return dtype, shape, digest and whether it is a stack, if `text` is nothing but one array; else None.

    Raises
    ------
    InvalidData
        It begins like one, and is none.
    """
    if not text.startswith((b'{"$array":', b'{"$stack":')):
        return None
    try:
        ((key, (dtype, shape, digest)),) = json.loads(text).items()
        if type(dtype) is str and _DIGEST.fullmatch(digest) and all(type(size) is int and size >= 0 for size in shape):
            return dtype, tuple(shape), digest, key == "$stack"
    except _MALFORMED as error:
        raise _malformed(text, error) from error
    raise _malformed(text, "its token is none of an array")


def write_token(dtype: str, shape: Iterable[int], digest: str, *, stacked: bool = False) -> str:
    """Return the token of an array."""
    sizes = ",".join(map(str, shape))
    return f'{{"${"stack" if stacked else "array"}":["{dtype}",[{sizes}],"{digest}"]}}'


def join_mapping(members: Mapping[str, bytes]) -> bytes:
    """Return the content of a mapping from the contents of its values."""
    if any(key[:1] == "$" for key in members):
        return write_mapping({key: text.decode("ascii") for key, text in members.items()}).encode("ascii")
    return b"{" + b",".join([_labelled(key) + members[key] for key in sorted(members)]) + b"}"


@lru_cache(maxsize=4096)
def _labelled(key: str) -> bytes:
    """Return what stands before the value of a label in a mapping."""
    return f"{encode_basestring_ascii(key)}:".encode("ascii")


def write_mapping(members: Mapping[str, str]) -> str:
    """Return the text of a mapping from the texts of its values."""
    if any(key[:1] == "$" for key in members):
        pairs = ",".join(f"[{encode_basestring_ascii(key)},{members[key]}]" for key in sorted(members))
        return f'{{"$mapping":[{pairs}]}}'
    return "{" + ",".join(f"{encode_basestring_ascii(key)}:{members[key]}" for key in sorted(members)) + "}"


def _write(
    value: Any,
    where: str,
    arrays: dict[str, Array],
    depth: int = 0,
    pickled: Callable[[Any], bytes] | None = None,
) -> str:
    kind = type(value)
    if kind is float:
        return repr(value) if math.isfinite(value) else _special_float(value)
    if kind is str:
        return encode_basestring_ascii(value)
    if value is None:
        return "null"
    if kind is bool:
        return "true" if value else "false"
    if kind is int:
        return int.__repr__(value)
    if depth >= MAX_DEPTH:
        raise UnsupportedValue(where, f"nested deeper than {MAX_DEPTH} levels", "Flatten it.")
    if kind in (list, tuple):
        inner = (_write(item, f"{where}[{i}]", arrays, depth + 1, pickled) for i, item in enumerate(value))
        return "[" + ",".join(inner) + "]"
    if kind is dict and (pickled is None or all(type(key) is str for key in value)):
        members = {_label(key, where): (item, f"{where}[{key!r}]") for key, item in value.items()}
        return write_mapping({key: _write(*item, arrays, depth + 1, pickled) for key, item in members.items()})
    if kind is complex:
        return f'{{"$complex":[{_write(value.real, where, arrays)},{_write(value.imag, where, arrays)}]}}'
    if kind in (bytes, bytearray):
        return _write_bytes(value, arrays)
    try:
        return _write_foreign(value, where, arrays, depth)
    except UnsupportedValue:
        if pickled is None:
            raise
    return f'{{"$pickle":{_keep_bytes(pickled(value), arrays)}}}'


def _write_foreign(value: Any, where: str, arrays: dict[str, Array], depth: int) -> str:
    """Return the text of what is of a class of NumPy, or of a library of tables or datasets."""
    kind = type(value)
    if kind.__module__ == "numpy":
        return _write_numpy(value, where, arrays, depth)
    if library_of(kind):
        return _write_table(value, where, arrays)
    if is_dataset(kind):
        from holdfast.model.dataset import take_dataset  # late, as for tables

        return f'{{"$dataset":{_write(take_dataset(value, where), where, arrays, depth + 1)}}}'
    raise UnsupportedValue(where, _describe(value), _ADVICE)


def _write_numpy(value: Any, where: str, arrays: dict[str, Array], depth: int) -> str:
    import numpy

    if not isinstance(value, (numpy.ndarray, numpy.generic)):
        raise UnsupportedValue(where, _describe(value), _ADVICE)
    dtype = value.dtype
    if dtype.kind not in ARRAY_KINDS or type(value) is numpy.ma.MaskedArray:
        raise UnsupportedValue(
            where, f"a NumPy array of dtype {dtype}", "Use a numeric, boolean, string or bytes dtype."
        )
    if (value.ndim == 0 and dtype.str in ("<i8", "<f8", "<c16", "|b1", ">i8", ">f8", ">c16")) or (
        value.ndim == 0 and dtype.kind == "U"
    ):
        return _write(value.item(), where, arrays, depth)
    return _keep(canonical_array(numpy.asarray(value)), arrays)


def _write_table(value: Any, where: str, arrays: dict[str, Array]) -> str:
    from holdfast.model.table import dismantle  # late: few values are tables

    description, data = dismantle(value, where)
    data.flags.writeable = False
    members = {key: json.dumps(member, sort_keys=True, separators=(",", ":")) for key, member in description.items()}
    return f'{{"$table":{write_mapping({**members, "data": _keep(data, arrays)})}}}'


def _keep(array: Array, arrays: dict[str, Array]) -> str:
    digest = array_digest(array)
    arrays[digest] = array
    return write_token(array.dtype.str, array.shape, digest)


def _write_bytes(value: bytes, arrays: dict[str, Array]) -> str:
    if len(value) <= BYTES_IN_TEXT:
        return f'{{"$bytes":"{base64.b64encode(value).decode("ascii")}"}}'
    return f'{{"$bytes":{_keep_bytes(value, arrays)}}}'


def _keep_bytes(value: bytes, arrays: dict[str, Array]) -> str:
    import numpy

    return _keep(numpy.frombuffer(bytes(value), dtype="u1"), arrays)


def _special_float(value: float) -> str:
    name = "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    return f'{{"$float":"{name}"}}'


def _label(key: object, where: str) -> str:
    if type(key) is not str:
        raise UnsupportedValue(f"a key of {where}", _describe(key), "Keys of mappings are strings.")
    return key


def _describe(value: object) -> str:
    kind = type(value)
    name = kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
    shown = repr(value)
    return f"{name} ({shown if len(shown) <= 60 else shown[:57] + '…'})"


def _malformed(text: bytes, reason: object) -> InvalidData:
    return InvalidData(f"{text[:60]!r} is not the text of a value: {str(reason)[:200]}")


def _restore_token(key: str, inner: Any, find_array: Callable[[str], Array]) -> Any:
    if key in ("$array", "$stack"):
        array = find_array(inner[2])
        return array if inner[1] else array[()]
    if key == "$file":
        return find_array(inner[0])
    if key == "$float":
        return float(inner)
    if key == "$complex":
        return complex(*inner)
    if key == "$bytes":
        return base64.b64decode(inner) if isinstance(inner, str) else inner.tobytes()
    if key in ("$table", "$dataset"):
        return _restore_foreign(key, inner)
    if key == "$mapping":
        return dict(inner)
    raise ValueError(f"it has an unknown token {key[:40]!r}")


def _restore_foreign(key: str, inner: Any) -> Any:
    if key == "$dataset":
        from holdfast.model.dataset import make_dataset  # late: few values are datasets

        return make_dataset(inner)
    from holdfast.model.table import assemble  # late: few values are tables

    return assemble(inner, inner.pop("data"))


def _restore_pickle(data: Array, unpickled: Callable[[Array], Any] | None) -> Any:
    if unpickled is None:
        raise InvalidData(
            "The value is kept as a pickle, which could run anything. It is read only for an operation that names "
            "format='pickle', and where the result of such an operation is asked for."
        )
    return unpickled(data)
