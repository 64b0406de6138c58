"""Make the calls of a job, wherever an engine brings it.

Turns contents into arguments, calls the user's function, and turns what it returns into a content again. Large
results are staged in the working directory from here, so that bulk data never passes through the coordinator. What
the function does wrong is `Failed`; what goes wrong around it, such as a full disk, is `Lost`. Never leaves stdout,
stderr or signals other than it found them.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable, Mapping
from time import perf_counter
from types import TracebackType
from typing import TYPE_CHECKING, Any

from holdfast.errors import UnsupportedValue
from holdfast.model.content import Content, decode, encode
from holdfast.model.reference import holds_references
from holdfast.model.token import holds_pickle
from holdfast.runtime.code import load
from holdfast.runtime.job import (
    ArraySource,
    Call,
    Expanded,
    Failed,
    Finished,
    Inline,
    InMemory,
    Job,
    LocalFile,
    Lost,
    Outcome,
    Report,
    Stack,
)
from holdfast.runtime.pickled import read_pickle, write_pickle
from holdfast.storage.checkpoint import CheckpointFacility, StoredCheckpoint
from holdfast.storage.selection import PICKLE
from holdfast.storage.staging import Staged, stage
from holdfast.storage.store import INLINE_LIMIT, open_array, size_of
from holdfast.storage.userfile import unchanged_file

if TYPE_CHECKING:
    from holdfast.model.content import Array

CANNOT_STORE = "cannot store: "
"""How the reason of a call begins that is lost because the file system refused its result."""

UNFLUSHED = 16
"""So many results of a job may be left unflushed; each keeps its files open."""

HELD_LIMIT = 64 * 1024 * 1024
"""So many bytes of the results of a job may stay in memory; the others are used from their files once they are durable."""

_PICKLE_ADVICE = (
    "is given an object that is kept as a pickle, which could run anything when it is read. If you trust whoever writes to the working "
    "directory, say so: @hf.operation(format='pickle')."
)

_OURS = ("holdfast.runtime.", "importlib")


def run_job(job: Job, *, wants_stop: Callable[[], bool] | None = None, interruptible: bool = False) -> Report:
    """Make the calls of `job` in order, and say what became of each.

    Parameters
    ----------
    job : Job
    wants_stop : callable, optional
        Asked before each call; once it returns true, the calls that are left are lost.
    interruptible : bool
        Let a KeyboardInterrupt through, for functions that run where the user's Ctrl-C arrives. Otherwise the
        function raised it itself, and has failed.
    """
    try:
        function = load(job.code)
    except BaseException as error:
        if interruptible and isinstance(error, KeyboardInterrupt):
            raise
        return Report(job.ticket, tuple(_failed(call.key, error, 0.0) for call in job.calls))
    running = _Running(job, function, interruptible)
    outcomes: list[Outcome] = []
    for call in job.calls:
        if wants_stop is not None and wants_stop():
            outcomes.append(Lost(call.key, "it was stopped before it began"))
        elif running.refusal:
            outcomes.append(Lost(call.key, running.refusal))
        else:
            outcomes.append(running.make(call))
    return Report(job.ticket, tuple(outcomes))


def lost(job: Job, reason: str) -> Report:
    """Return the report of a job of which nothing is known."""
    return Report(job.ticket, tuple(Lost(call.key, reason) for call in job.calls))


class _Running:
    """A job under way: its function, the arrays read so far, and why no more results can be stored, if so.

    Besides, how many results are left to be flushed, and the bytes of those that stay in memory.
    """

    def __init__(self, job: Job, function: Callable[..., Any], interruptible: bool) -> None:
        self.job = job
        self.function = function
        self.interruptible = interruptible
        self.where = f"the result of {job.code.name}"
        self.arrays: dict[str, Array] = {}
        self.refusal = ""
        self.left_unflushed = 0
        self.held = 0
        allows_pickle = job.code.store_type == PICKLE
        self.pickled = write_pickle if allows_pickle else None
        self.unpickled = read_pickle if allows_pickle else None

    def make(self, call: Call) -> Outcome:
        """Return the outcome of one call."""
        code = self.job.code
        if self.unpickled is None and holds_pickle(call.arguments):
            return Failed(call.key, "GraphError", f"{code.name} {_PICKLE_ADVICE}", "")
        try:
            arguments = decode(call.arguments, self.find_array, unpickled=self.unpickled)
            if code.tables:
                self._convert_tables(arguments)
            if code.checkpoint:
                arguments[code.checkpoint] = self._checkpoint(call)
            positional = (
                [arguments.pop(label) for label in code.positional if label in arguments] if code.positional else ()
            )
        except Exception as error:
            return Lost(call.key, f"cannot read its input: {_reason(error)}")
        started = perf_counter()
        try:
            value = self.function(*positional, **arguments)
        except BaseException as error:
            if self.interruptible and isinstance(error, KeyboardInterrupt):
                raise
            return _failed(call.key, error, perf_counter() - started)
        seconds = perf_counter() - started
        if holds_references(value):
            return self._expand(call, value, seconds)
        try:
            content = encode(value, self.where, pickled=self.pickled)
        except UnsupportedValue as error:
            return Failed(call.key, "UnsupportedValue", str(error), "", seconds)
        except Exception as error:
            return _failed(call.key, error, seconds)
        return self._finish(call, content, seconds)

    def _convert_tables(self, arguments: dict[str, Any]) -> None:
        from holdfast.model.table import convert  # late: few operations declare tables

        for label, library in self.job.code.tables:
            if label in arguments:
                arguments[label] = convert(arguments[label], library)

    def _expand(self, call: Call, value: Any, seconds: float) -> Expanded | Failed:
        from holdfast.model.workgraph import GENERATED, WorkGraph  # late: few operations return nodes

        try:
            return Expanded(call.key, WorkGraph({GENERATED: value}).to_json(), seconds)
        except Exception as error:
            return _failed(call.key, error, seconds)

    def _checkpoint(self, call: Call) -> StoredCheckpoint:
        directory = self.job.directory
        return StoredCheckpoint(CheckpointFacility(directory, call.key.hex()) if directory else None)

    def _finish(self, call: Call, content: Content, seconds: float) -> Finished | Lost:
        if not self.job.code.keeps_results:
            return Finished(call.key, b"", content.digest, {}, None, seconds)
        if not self.job.directory or size_of(content) <= INLINE_LIMIT:
            arrays = _inline(content.arrays) if content.arrays else {}
            return Finished(call.key, content.text, content.digest, arrays, None, seconds)
        try:
            staged = self._stage(content)
        except Exception as error:
            self.refusal = CANNOT_STORE + _reason(error)
            return Lost(call.key, self.refusal)
        text = content.text if len(content.text) <= INLINE_LIMIT else b""
        is_held = self._hold(content, staged)
        held = {digest: InMemory(array) for digest, array in content.arrays.items()} if is_held else {}
        return Finished(call.key, text, content.digest, held, staged, seconds, is_held)

    def _stage(self, content: Content) -> Staged:
        """Write a large result; its flush is left to a coordinator in this process, for a few results of a job."""
        is_left = self.job.shares_memory and self.left_unflushed < UNFLUSHED
        self.left_unflushed += is_left
        return stage(self.job.directory, content, store_type=self.job.code.store_type, flush=not is_left)

    def _hold(self, content: Content, staged: Staged) -> bool:
        """Return whether a result stays in memory until it is durable: where its flush is left, up to a number of bytes for a job."""
        size = size_of(content)
        if staged.unflushed is None or len(content.text) > INLINE_LIMIT or self.held + size > HELD_LIMIT:
            return False
        self.held += size
        return True

    def find_array(self, digest: str) -> Array:
        """Return an array of the arguments, read-only."""
        array = self.arrays.get(digest)
        if array is None:
            array = self.arrays[digest] = _read(self.job.sources[digest])
        return array


def _read(source: ArraySource) -> Array:
    import numpy

    if isinstance(source, Inline):
        return numpy.ndarray(source.shape, source.dtype, buffer=source.data)
    if isinstance(source, LocalFile):
        return unchanged_file(source.path, source.digest)  # type: ignore[return-value]
    if isinstance(source, InMemory):
        array = source.array.view()
    elif isinstance(source, Stack):
        array = _stack(source)
    else:
        whole = open_array(source.path, digest=source.digest, known=source.known)
        array = numpy.asarray(whole[source.part]) if source.part else whole
    array.flags.writeable = False
    return array


def _stack(source: Stack) -> Array:
    """Return the members as one array, with no more than one of them in memory beside it."""
    import numpy

    first = _read(source.members[0])
    stacked = numpy.empty((len(source.members), *first.shape), first.dtype)
    stacked[0] = first
    for index in range(1, len(source.members)):
        stacked[index] = _read(source.members[index])
    return stacked


def _inline(arrays: Mapping[str, Array]) -> dict[str, Inline]:
    return {digest: Inline(array.dtype.str, array.shape, array.tobytes()) for digest, array in arrays.items()}


def _failed(key: bytes, error: BaseException, seconds: float) -> Failed:
    lines = traceback.format_exception(type(error), error, _from_user(error.__traceback__))
    return Failed(key, type(error).__name__, _reason(error), "".join(lines), seconds)


def _from_user(frames: TracebackType | None) -> TracebackType | None:
    """Return the traceback from the first frame on that is not ours."""
    while frames is not None and frames.tb_frame.f_globals.get("__name__", "").startswith(_OURS):
        frames = frames.tb_next
    return frames


def _reason(error: BaseException) -> str:
    try:
        return str(error)
    except Exception:
        return f"(its text cannot be had: {type(error).__name__} raises when it is printed)"
