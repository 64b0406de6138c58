"""Resolve inputs to contents: their text, which identifies, and where each array is, for whoever runs them.

Knows what is computed but not yet durable, what was used lately, and the catalog, in this order. Never runs an operation. Bulk data is
named by its place; only the parts and packed values that need it are read here.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from hashlib import sha256
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from holdfast.errors import NotFound
from holdfast.model.canonical import array_digest
from holdfast.model.content import (
    Content,
    array_digests,
    array_token,
    decode,
    encode,
    join_mapping,
    parse_text,
    write_token,
)
from holdfast.model.datatype import DataNode
from holdfast.model.fingerprint import compact_json
from holdfast.model.reference import MAPPINGS, Input, Part, Reference, Subscript, references, write_path
from holdfast.model.token import holds_pickle
from holdfast.runtime.job import ArraySource, Inline, InMemory, LocalFile, Stack, Stored
from holdfast.runtime.part import gather_numbers, no_elements, parse, step_into
from holdfast.runtime.permission import check_pickle
from holdfast.runtime.pickled import read_pickle
from holdfast.runtime.places import NOWHERE, Places, text_of_data, text_of_row
from holdfast.runtime.recent import Recent
from holdfast.storage.catalog import Catalog
from holdfast.storage.parallel import in_parallel
from holdfast.storage.rows import ArrayRow, CallRow
from holdfast.storage.selection import get_store_type
from holdfast.storage.staging import Staged, stage
from holdfast.storage.stamp import Stamp
from holdfast.storage.store import INLINE_LIMIT, compare_array, open_array, read_text, store_path
from holdfast.storage.translation import damage
from holdfast.storage.workdir import WorkDirectory

if TYPE_CHECKING:
    from holdfast.model.content import Array

TEXTS_LIMIT = 64 * 1024 * 1024
ARRAYS_LIMIT = 256 * 1024 * 1024

STAMPS_LIMIT = 16 * 1024
"""Files of large arrays of which a session remembers that it wrote them."""

AT_ONCE = 4_096
"""Results that are read with one query."""

Opened = dict[str, "Array"]
"""Arrays of which several elements are asked for, by digest."""

Token = tuple[str, tuple[int, ...], str, bool]
"""What an array's token says: dtype, shape, digest, whether it is a stack."""

STACKED_FROM = 64 * 1024
"""Members of an ensemble that are arrays of at least so many bytes stay where they are; smaller ones are packed together."""


class Contents:
    """What is known of results in one session."""

    def __init__(self, workdir: WorkDirectory, catalog: Catalog, *, shares_memory: bool, store_type: str) -> None:
        self._workdir = workdir
        self._catalog = catalog
        self._shares_memory = shares_memory
        self._store_type = store_type
        self._texts: Recent[bytes] = Recent(TEXTS_LIMIT)
        self._sources: Recent[ArraySource] = Recent(ARRAYS_LIMIT)
        self._stamps: Recent[Stamp] = Recent(STAMPS_LIMIT)

    def note_result(self, uid: str, text: bytes) -> None:
        """Remember a result that is not durable yet."""
        self._texts.pin(uid, text)

    def note_arrays(self, arrays: Mapping[str, ArraySource]) -> None:
        """Remember arrays that are not durable yet."""
        for digest, source in arrays.items():
            self._sources.pin(digest, source)

    def release(self, uid: str) -> None:
        """Say that a result is durable now."""
        self._texts.release(uid, 256)

    def release_arrays(self, digests: Iterable[str]) -> None:
        """Say that the catalog knows these arrays now."""
        for digest in digests:
            source = self._sources.get(digest)
            if isinstance(source, InMemory) and source.array.nbytes > INLINE_LIMIT:
                self._sources.drop(digest)  # it has a file now
            else:
                self._sources.release(digest, INLINE_LIMIT)

    def stage(self, content: Content) -> Staged:
        """Write a large value into a store under construction."""
        return stage(self._workdir.path, content, store_type=self._store_type)

    def note_stamps(self, stamps: Mapping[str, Stamp]) -> None:
        """Remember the files of arrays that this session has written: their bytes need not be compared."""
        for digest, stamp in stamps.items():
            self._stamps.keep(digest, stamp, 1)

    def store_type(self, named: str) -> str:
        """Return the format for arrays of an operation that names one, or none; NotFound or MissingExtra if it cannot be had."""
        return get_store_type(self._workdir, named) if named else self._store_type

    def know(self, uid: str, text: bytes) -> None:
        """Remember a durable result that was just read."""
        self._texts.keep(uid, text, len(text) + 100)

    def read_call(self, row: CallRow) -> bytes:
        """Return the text of a call's result."""
        if row.text is not None:
            return row.text
        if row.store is None:
            raise damage(self._workdir.catalog_path, f"it names neither value nor store for call {row.call_key.hex()}")
        return read_text(self._workdir, row.store.hex(), digest=row.digest)

    def is_known(self, uid: str) -> bool:
        """Return whether the result of a node is at hand, durable or not; if not, it may be in the catalog nevertheless."""
        return self._texts.get(uid) is not None

    def is_durable(self, uid: str) -> bool:
        """Return whether a node is known to be done without a look at the catalog; if not, it may be done nevertheless."""
        return self._texts.is_kept(uid)

    def find(self, uids: Iterable[str]) -> set[str]:
        """Return which nodes are done, and remember their results, except for those that stand in stores."""
        found: set[str] = set()
        waiting = iter(uids)
        while block := {bytes.fromhex(uid): uid for uid in islice(waiting, AT_ONCE)}:
            for key, text in self._catalog.find_results(list(block)).items():
                found.add(block[key])
                if text is not None:
                    self.know(block[key], text)
        return found

    def load(self, uids: Iterable[str]) -> None:
        """Read the results of many nodes at once."""
        self.find(self._texts.missing(uids))

    def result(self, uid: str) -> bytes:
        """Return the text of a node's result; NotFound if there is none."""
        text = self._texts.get(uid)
        if text is None:
            self.load([uid])
            text = self._texts.get(uid)
        return self._stored_result(uid) if text is None else text

    def _stored_result(self, uid: str) -> bytes:
        key = self._catalog.find_call_keys([bytes.fromhex(uid)]).get(bytes.fromhex(uid), b"")
        row = self._catalog.find_calls([key]).get(key)
        if row is None:
            raise NotFound(f"There is no result of node {uid}.")
        text = self.read_call(row)
        self.know(uid, text)
        return text

    def text_of(self, item: Input, places: Places, opened: Opened | None = None) -> bytes:
        """Return the content text of an input whose references are all computed.

        Parameters
        ----------
        item : input
        places : dict
            Receives the place of each array that the text names and the catalog may not know: of data nodes, and of parts.
        opened : dict, optional
            Receives each array of which this is an element, for others that are elements of it too.

        Raises
        ------
        NotFound
            A reference names a part that the result does not have; says what there is.
        """
        if isinstance(item, DataNode):
            return text_of_data(item, places)
        if isinstance(item, Part):
            return self.part(self.text_of(item.source, places), item.path, item, places, opened)
        if isinstance(item, Reference):
            return self.result(item.uid)
        if isinstance(item, MAPPINGS):
            return join_mapping({label: self.text_of(member, places) for label, member in item.items()})
        return b"[" + b",".join(self._listed(item, places)) + b"]"

    def _listed(self, items: Sequence[Input], places: Places) -> list[bytes]:
        """Return the texts of many inputs; an array is opened once, however many of them are its elements."""
        opened: Opened = {}
        return [self.text_of(item, places, opened) for item in items]

    def values_of(self, items: Sequence[Input]) -> list[Any]:
        """Return the values of many inputs, read a block at a time."""
        values: list[Any] = []
        for start in range(0, len(items), AT_ONCE):
            block = items[start : start + AT_ONCE]
            self.load([reference.uid for reference in references(block) if not isinstance(reference, DataNode)])
            places: Places = {}
            texts = [self.text_of(item, places) for item in block]
            self._compare([text for text in texts if b'"$' in text], places)
            values += [self._value(item, text, places) for item, text in zip(block, texts, strict=True)]
        return values

    def value_of(self, item: Input) -> Any:
        """Return the value of an input whose references are all computed; arrays are read-only.

        Raises
        ------
        GraphError
            A part of it is a pickle, and the operation that it is from does not name that.
        """
        places: Places = {}
        return self._value(item, self.text_of(item, places), places)

    def _value(self, item: Input, text: bytes, places: Places) -> Any:
        unpickled = None
        if holds_pickle(text):
            for reference in references(item):
                if holds_pickle(self.text_of(reference, places)):
                    check_pickle(reference)
            unpickled = read_pickle
        return decode(text, lambda digest: self.read(self.source(digest, places)), unpickled=unpickled)

    def _compare(self, texts: Iterable[bytes], places: Places) -> None:
        """Have the files that texts name compared with their digests, several at once; each is compared once."""
        named = [self.source(digest, places) for text in texts for digest in array_digests(text)]
        members = [
            member for source in named for member in (source.members if isinstance(source, Stack) else (source,))
        ]
        files = {member for member in members if isinstance(member, Stored) and member.known is None}
        in_parallel([partial(compare_array, file.path, digest=file.digest) for file in files])

    def sources(self, text: bytes, places: Places) -> Places:
        """Return where each array is that a text names, for a worker."""
        return {digest: self._for_worker(self.source(digest, places)) for digest in array_digests(text)}

    def source(self, digest: str, places: Places = NOWHERE) -> ArraySource:
        """Return where an array is."""
        found = places.get(digest) or self._sources.get(digest)
        if found is None:
            row = self._catalog.find_arrays([bytes.fromhex(digest)]).get(bytes.fromhex(digest))
            if row is None:
                raise damage(self._workdir.catalog_path, f"it has no array {digest}, which a result names")
            found = self._from_row(row)
            self._sources.keep(digest, found, len(row.data or b"") + 200)
        return found

    def read(self, source: ArraySource) -> Array:
        """Return an array, read-only, mapped from its file where it has one."""
        import numpy

        if isinstance(source, InMemory):
            return source.array
        if isinstance(source, LocalFile):
            return Path(source.path)  # type: ignore[return-value]
        if isinstance(source, Inline):
            return numpy.frombuffer(source.data, dtype=source.dtype).reshape(source.shape)
        if isinstance(source, Stack):
            stacked = numpy.stack([self.read(member) for member in source.members])
            stacked.flags.writeable = False
            return stacked
        array = open_array(source.path, digest=source.digest, known=source.known)
        return array[source.part] if source.part else array

    def elements(self, item: Input, places: Places) -> list[bytes]:
        """Return the texts of the elements along the outermost axis of an input."""
        if isinstance(item, (list, tuple)):
            return self._listed(item, places)
        text = self.text_of(item, places)
        token = array_token(text)
        if token is not None:
            return self._rows(token, places)
        parsed = parse_text(text)
        if not isinstance(parsed, list):
            raise no_elements(item, parsed, text)
        return [compact_json(element).encode("ascii") for element in parsed]

    def width(self, item: Input) -> int:
        """Return the length of the outermost axis of an input, without looking at its elements."""
        if isinstance(item, (list, tuple)):
            return len(item)
        text = self.text_of(item, {})
        token = array_token(text)
        if token is not None and token[1]:
            return token[1][0]
        parsed = parse(text)
        if not isinstance(parsed, list):
            raise no_elements(item, parsed, text)
        return len(parsed)

    def gather(self, texts: Sequence[bytes], places: Places) -> bytes:
        """Return the text of one value made of many: an array if they are alike and numeric, a stack if large, else a list."""
        listed = b"[" + b",".join(texts) + b"]"
        if not texts or texts[0][:1] in b'["n':
            return listed
        first = array_token(texts[0])
        if first is not None:
            tokens = [token for token in map(array_token, texts) if token is not None and token[:2] == first[:2]]
            return listed if len(tokens) < len(texts) else self._gather_arrays(tokens, places)
        content = gather_numbers(listed)
        places.update({digest: InMemory(array) for digest, array in content.arrays.items()})
        return content.text

    def part(
        self, text: bytes, path: Sequence[Subscript], where: object, places: Places, opened: Opened | None = None
    ) -> bytes:
        """Return the text of a part of a value."""
        for position, step in enumerate(path):
            token = array_token(text)
            if token is not None:
                text = self._row(token, step, where, places, {} if opened is None else opened)
                continue
            parsed = parse(text)
            if isinstance(parsed, list) and isinstance(step, str):  # a label of an ensemble: that of each member
                rest = path[position:]
                members = [self.part(compact_json(member).encode("ascii"), rest, where, places) for member in parsed]
                return self.gather(members, places)
            text = compact_json(step_into(parsed, step, where)).encode("ascii")
        return text

    def _from_row(self, row: ArrayRow) -> ArraySource:
        if row.data is not None:
            return Inline(row.dtype, row.shape, row.data)
        if row.store is not None and row.file:
            path, name = store_path(self._workdir, row.store.hex()) / row.file, row.digest.hex()
            return Stored(str(path), name, known=self._stamps.get(name))
        members = row.members or b""
        digests = [members[start : start + 32] for start in range(0, len(members), 32)]
        found = self._catalog.find_arrays(digests)
        for digest in digests:  # each has an axis less, so that no stack is deeper than an array has axes
            if digest not in found or (found[digest].dtype, found[digest].shape) != (row.dtype, row.shape[1:]):
                reason = f"the array {row.digest.hex()} has no member {digest.hex()}, or one of another layout"
                raise damage(self._workdir.catalog_path, reason)
        return Stack(tuple(self._from_row(found[digest]) for digest in digests), tuple(map(bytes.hex, digests)))

    def _for_worker(self, source: ArraySource) -> ArraySource:
        if isinstance(source, InMemory) and not self._shares_memory:
            return Inline(source.array.dtype.str, source.array.shape, source.array.tobytes())
        return source

    def _row(self, token: Token, step: Subscript, where: object, places: Places, opened: Opened) -> bytes:
        _, shape, digest, _ = token
        if not shape or isinstance(step, str) or step >= shape[0]:
            raise NotFound(f"{where} names the part {write_path((step,))} of an array of shape {shape}.")
        source = self.source(digest, places)
        if isinstance(source, Stack):
            return self._member(token, source, step, places)
        array = opened.get(digest)
        if array is None:
            array = opened[digest] = self.read(source)
        return text_of_row(array, source, step, places)

    def _rows(self, token: Token, places: Places) -> list[bytes]:
        dtype, shape, digest, _ = token
        source = self.source(digest, places)
        if isinstance(source, Stack):
            return [self._member(token, source, index, places) for index in range(len(source.members))]
        array = self.read(source)
        if len(shape) == 1 and dtype == "<i8":
            return [b"%d" % value for value in array.tolist()]
        if len(shape) == 1 and (dtype in ("<f8", "<c16", "|b1") or array.dtype.kind == "U"):
            return [encode(value).text for value in array.tolist()]
        return [text_of_row(array, source, index, places) for index in range(shape[0])]

    def _member(self, token: Token, stack: Stack, index: int, places: Places) -> bytes:
        """Return the text of one member of a stack; the digest of one that is a stack itself is not that of its bytes."""
        dtype, shape, _, _ = token
        member = stack.members[index]
        digest = array_digest(self.read(member)) if isinstance(member, Stack) else stack.digests[index]
        places[digest] = member
        return write_token(dtype, shape[1:], digest).encode("ascii")

    def _gather_arrays(self, tokens: list[Token], places: Places) -> bytes:
        import numpy

        dtype, shape, _, _ = tokens[0]
        sources = [self.source(token[2], places) for token in tokens]
        if numpy.dtype(dtype).itemsize * math.prod(shape) < STACKED_FROM:
            packed = self.read(Stack(tuple(sources)))
            digest = array_digest(packed)
            places[digest] = InMemory(packed)
            return write_token(dtype, packed.shape, digest).encode("ascii")
        digest = sha256(b"".join(bytes.fromhex(token[2]) for token in tokens)).hexdigest()
        places[digest] = Stack(tuple(sources), tuple(token[2] for token in tokens))
        return write_token(dtype, (len(tokens), *shape), digest, stacked=True).encode("ascii")
