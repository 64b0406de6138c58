"""Say where arrays are that content texts name, before the catalog knows them: those of data nodes, and rows of others."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from holdfast.model.canonical import array_digest
from holdfast.model.content import array_digests, encode, write_token
from holdfast.model.datatype import DataNode
from holdfast.runtime.job import ArraySource, InMemory, LocalFile, Stored

if TYPE_CHECKING:
    from holdfast.model.content import Array

Places = dict[str, ArraySource]
"""Where arrays are, by digest."""

NOWHERE: Places = {}


def text_of_data(node: DataNode, places: Places) -> bytes:
    """Return the text of a data node, and note the places of its arrays or of its file."""
    content = node.content
    if node.path:
        (digest,) = array_digests(content.text)
        places[digest] = LocalFile(node.path, digest)
    for digest, array in content.arrays.items():
        places[digest] = InMemory(array)
    return content.text


def text_of_row(array: Array, source: ArraySource, index: int, places: Places) -> bytes:
    """Return the text of one row of an array, and note its place as a part of the whole."""
    row = array[index]
    if row.ndim == 0:
        content = encode(row)
        places.update({digest: InMemory(kept) for digest, kept in content.arrays.items()})
        return content.text
    digest = array_digest(row)
    places[digest] = replace(source, part=(*source.part, index)) if isinstance(source, Stored) else InMemory(row)
    return write_token(row.dtype.str, row.shape, digest).encode("ascii")
