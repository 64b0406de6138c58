"""Hold the place of one node's data open, for reading or for writing it once.

A `DataStore` is a handle, not data: opening it looks at what is there first. What is written is built in `tmp/`, and appears under
the name of the node when the write handle is closed, whole and flushed; `holdfast.storage.store` and `publish` do that for every
result alike. Never changes a store that has its place.

State: the handle that is open, if any.
"""

from __future__ import annotations

from contextlib import ExitStack
from hashlib import sha256
from math import prod
from typing import TYPE_CHECKING, Any, Literal, overload

from holdfast.errors import InvalidData, NotFound, OwnershipError, UnsupportedValue
from holdfast.model.canonical import layout_bytes
from holdfast.model.content import Content, decode, write_token
from holdfast.storage.confine import remove
from holdfast.storage.format import Appendable, Layout, check_layout
from holdfast.storage.metadata import DATA, Metadata
from holdfast.storage.ownership import Ownership
from holdfast.storage.publish import StoredResult, publish
from holdfast.storage.selection import choose_format, get_store_type
from holdfast.storage.staging import constructing, stage
from holdfast.storage.store import open_array, read_store, read_text, store_path, verify_store, writing
from holdfast.storage.workdir import WorkDirectory

if TYPE_CHECKING:
    from holdfast.model.content import Array


class ReadHandle:
    """A store that is open for reading.

    Attributes
    ----------
    metadata : Metadata
        What the store holds.
    """

    def __init__(self, workdir: WorkDirectory, uid: str) -> None:
        self.metadata = read_store(workdir, uid)
        self._workdir = workdir
        self._uid = uid
        self._places = {file.digest: store_path(workdir, uid) / file.name for file in self.metadata.arrays}

    def read(self) -> Any:
        """Return the value, its arrays read-only, and mapped from their files where they are large and the format can.

        Raises
        ------
        StoreDamaged
            It is not what was written; names node and file.
        NotFound
            The value names an array that is kept elsewhere.
        """
        return decode(read_text(self._workdir, self._uid, digest=self.metadata.digest), self._find_array)

    def _find_array(self, digest: str) -> Array:
        if digest not in self._places:
            raise NotFound(
                f"The store of node {self._uid} does not hold the array {digest}; the catalog knows where it is."
            )
        return open_array(self._places[digest], digest=digest)


class WriteHandle:
    """A store under construction, open for writing one value: whole, or as the blocks of one array."""

    def __init__(self, workdir: WorkDirectory, uid: str, store_type: str, ownership: Ownership) -> None:
        self._workdir = workdir
        self._uid = uid
        self._store_type = store_type
        self._ownership = ownership
        self._staged = ""
        self._blocks: _Blocks | None = None

    def write(self, content: Content) -> None:
        """Write a value, as `holdfast.model.content.encode` gives it."""
        self._check_empty()
        self._staged = stage(self._workdir.path, content, store_type=self._store_type).name

    def declare(self, dtype: str, shape: tuple[int, ...]) -> None:
        """Announce one array that comes block by block.

        Parameters
        ----------
        dtype : str
            As NumPy writes it, little-endian: ``"<f8"``.
        shape : tuple of int
            Of the whole array.

        Raises
        ------
        UnsupportedValue
            The format of the store wants the whole array at once.
        """
        self._check_empty()
        self._blocks = _Blocks(self._workdir, check_layout(dtype, shape), self._store_type)

    def append(self, block: Array) -> None:
        """Write the next elements in C order, in a block of any shape; no more than the block is in memory.

        Raises
        ------
        InvalidData
            The dtype is another than declared, there are more elements than declared, or none were declared.
        """
        if self._blocks is None:
            raise InvalidData(f"No array was declared for node {self._uid}. Use declare(dtype, shape) first.")
        self._blocks.append(block)

    def commit(self) -> StoredResult:
        """Give the store its lasting name, and return when it is on the disk; OwnershipError for one that was followed meanwhile."""
        self._ownership.confirm()
        if self._blocks is not None:
            self._staged, self._blocks = self._blocks.finish(), None
        if not self._staged:
            raise InvalidData(f"Nothing was written for node {self._uid}. Use write(content), or declare and append.")
        result = publish(self._workdir, self._staged, self._uid)
        self._staged = ""
        return result

    def abandon(self) -> None:
        """Remove what was written and not committed."""
        if self._blocks is not None:
            self._blocks.abandon()
            self._blocks = None
        if self._staged:
            remove(self._workdir.tmp / self._staged)
            self._staged = ""

    def _check_empty(self) -> None:
        if self._staged or self._blocks is not None:
            raise InvalidData(f"Node {self._uid} has its value already: a store is written once.")


class _Blocks:
    """The file of one array that grows by blocks, and the digest so far."""

    def __init__(self, workdir: WorkDirectory, layout: Layout, store_type: str) -> None:
        form = choose_format(layout, store_type)
        if not isinstance(form, Appendable):
            raise UnsupportedValue("the array", f"to be kept as {form.name}", "Write it whole, or choose numpy or xdr.")
        self._workdir, self._layout, self._form, self._appendable = workdir, layout, form, form
        self._left = prod(layout.shape)
        self._digest = sha256(layout_bytes(layout.dtype, layout.shape))
        with ExitStack() as stack:
            self._construction = stack.enter_context(constructing(workdir))
            self._stream = self._construction.create(DATA + form.suffix)
            form.begin(layout, self._stream)
            self._stack = stack.pop_all()

    def append(self, block: Array) -> None:
        import numpy

        data = numpy.asarray(block, dtype=block.dtype.newbyteorder("<"), order="C")
        if data.dtype.str != self._layout.dtype or data.size > self._left:
            raise InvalidData(
                f"The block has {data.size} elements of {data.dtype.str}, expected at most {self._left} of {self._layout.dtype}."
            )
        with writing(self._workdir):
            self._appendable.append(data, self._stream)
        self._digest.update(data.reshape(-1).view("u1").data if data.nbytes else b"")
        self._left -= data.size

    def finish(self) -> str:
        """Return the name of the store, whole and flushed."""
        if self._left:
            raise InvalidData(f"The array lacks {self._left} of its declared elements.")
        digest = self._digest.hexdigest()
        text = write_token(self._layout.dtype, self._layout.shape, digest).encode("ascii")
        with self._stack:
            self._appendable.end(self._layout, self._stream)
            file = self._construction.describe(self._stream, DATA, self._form, self._layout, digest)
            self._construction.finish(Metadata(Content(text, {}).digest, (file,)))
            self._construction.flush()
        return self._construction.folder.name

    def abandon(self) -> None:
        """Close and remove the file, as after an exception."""
        cause = InvalidData("abandoned")
        self._stack.__exit__(type(cause), cause, None)


class DataStore:
    """The place of one node's data; made by `get_datastore`.

    Parameters
    ----------
    workdir : WorkDirectory
    uid : str
        64 hex digits.
    store_type : str
        Format for arrays.
    ownership : Ownership, optional
        Of the working directory; without it the store can only be read.
    """

    def __init__(self, workdir: WorkDirectory, uid: str, store_type: str, ownership: Ownership | None = None) -> None:
        self.workdir = workdir
        self.uid = uid
        self.store_type = store_type
        self._ownership = ownership
        self._handle: ReadHandle | WriteHandle | None = None

    @property
    def exists(self) -> bool:
        """Whether the data are there."""
        return store_path(self.workdir, self.uid).is_dir()

    @overload
    def open(self, mode: Literal["r"] = "r") -> ReadHandle: ...

    @overload
    def open(self, mode: Literal["w"]) -> WriteHandle: ...

    def open(self, mode: Literal["r", "w"] = "r") -> ReadHandle | WriteHandle:
        """Look at the state, and open the store if that is safe.

        Parameters
        ----------
        mode : "r" or "w"

        Raises
        ------
        NotFound
            "r", and nothing was written yet.
        InvalidData
            "w", and the data are there already, or the store is open.
        OwnershipError
            "w", without ownership.
        StoreDamaged
            What is there is not what was written.
        """
        if mode not in ("r", "w"):
            raise InvalidData(f"{mode!r} is no mode of a store; there are 'r' and 'w'.")
        if self._handle is not None:
            raise InvalidData(f"The store of node {self.uid} is open already. Close it first.")
        self._handle = self._open_reading() if mode == "r" else self._open_writing()
        return self._handle

    def close(self) -> None:
        """Let go of the open handle; what was written and not committed is given up. The store can be opened again."""
        handle, self._handle = self._handle, None
        if isinstance(handle, WriteHandle):
            handle.abandon()

    def __enter__(self) -> DataStore:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _open_reading(self) -> ReadHandle:
        if not self.exists:
            raise NotFound(f"Nothing is stored for node {self.uid} in {self.workdir.path}.")
        return ReadHandle(self.workdir, self.uid)

    def _open_writing(self) -> WriteHandle:
        if self._ownership is None:
            raise OwnershipError(
                f"The store of node {self.uid} has no owner here. Use lock_store(store, ownership) first."
            )
        self._ownership.confirm()
        if self.exists:
            verify_store(self.workdir, self.uid)
            raise InvalidData(f"The data of node {self.uid} are there already, and whole: a store is written once.")
        return WriteHandle(self.workdir, self.uid, self.store_type, self._ownership)


def get_datastore(
    workdir: WorkDirectory, uid: str, *, store_type: str = "", ownership: Ownership | None = None
) -> DataStore:
    """Return the storage handle of a node: for what is there already, or for what is to be written.

    Parameters
    ----------
    workdir : WorkDirectory
    uid : str
        64 hex digits.
    store_type : str
        Format for arrays; by default that of the directory.
    ownership : Ownership, optional
        Of the directory, to write.

    Raises
    ------
    NotFound, MissingExtra
        There is no such format here.
    """
    store_path(workdir, uid)
    store = DataStore(workdir, uid, get_store_type(workdir, store_type))
    return store if ownership is None else lock_store(store, ownership)


def lock_store(store: DataStore, ownership: Ownership) -> DataStore:
    """Return the store, with ownership established: that of its working directory is that of all its stores.

    Raises
    ------
    ValueError
        The ownership is of another working directory.
    OwnershipError
        It was released, or the directory was taken from it; says by whom and since when.
    """
    if ownership.workdir.path != store.workdir.path:
        raise InvalidData(f"The ownership is of {ownership.workdir.path}, the store in {store.workdir.path}.")
    ownership.confirm()
    return DataStore(store.workdir, store.uid, store.store_type, ownership)
