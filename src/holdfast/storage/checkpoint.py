"""Keep the state of operations that are under way: several generations each, in `checkpoints/`, until the call is done.

`CheckpointFacility` is the place of one node's or call's state, and `CheckpointPublisher` decides when a state is worth writing. A
generation is built and flushed in `tmp/` and then renamed, so it appears whole or not at all. Whoever loads becomes the writer,
under a number of its own; a writer that finds a higher number, or its folder gone, was thought lost and writes no more, so
that it can never hide a newer state. Never part of any identity, and never needed for a result.

State: of a facility its number as writer and how often it wrote; of a publisher the last state given, what the
last writes took, and when the next is due.
"""

from __future__ import annotations

import os
import re
import warnings
from collections import deque
from collections.abc import Callable, Iterable
from contextlib import suppress
from math import inf
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any, Protocol

from holdfast.errors import InvalidData, StoreFailure
from holdfast.model.checkpoint import Checkpoint, restore
from holdfast.model.content import encode
from holdfast.storage.confine import list_within, make_folder, open_within, refuse_link, remove
from holdfast.storage.flush import flush_file, flush_folder
from holdfast.storage.generation import read_generation, write_generation
from holdfast.storage.staging import new_name
from holdfast.storage.store import writing
from holdfast.storage.workdir import WorkDirectory

if TYPE_CHECKING:
    from holdfast.storage.catalog import Catalog

GENERATIONS = 3
"""So many are kept: one may be damaged, and one may be of a writer that was thought lost."""

SHARE = 0.01
"""Writing takes at most about this share of the time, and a kill costs about as much of what was done."""

FIRST_SHARE = 0.1
"""The same after the first write, which is dearer than others: folders are made, and code is loaded."""

SHORTEST = 0.1
"""Seconds between two writes at least: who loses less will not notice."""

LONGEST = 600.0
"""Seconds between two writes at most, also of a state that takes long to write: ten minutes are worth it."""

PRICES = 5
"""The quickest of the last few writes tells what one takes: the others waited for a busy machine."""

AFTER_REFUSAL = 60.0
"""Seconds until a disk that refused is tried again."""

_UID = re.compile(r"[0-9a-f]{64}", re.ASCII)
_GENERATION = re.compile(r"(\d{8})-(\d{8})\.state", re.ASCII)
_WRITER = re.compile(r"(\d{8})\.writer", re.ASCII)
_NOTHING = object()


class Backing(Protocol):
    """Wherever states can be kept: a `CheckpointFacility`, or any other store."""

    def write(self, state: Any) -> None:
        """Keep a state; StoreFailure if that cannot be done now."""

    def load(self, receiver: Callable[[Any], object]) -> bool:
        """Give the newest state to `receiver`, and return whether there was one."""


class CheckpointFacility:
    """The file-backed state of one node or call.

    Parameters
    ----------
    context : WorkerContext or path
        The context, or its working directory.
    node : node or str
        The node, or 64 hex digits: the uid of a node, or a call key. The state is removed when the catalog holds its result.

    Raises
    ------
    InvalidData
        The digits are none.

    Examples
    --------
    >>> import holdfast as hf, tempfile
    >>> context = hf.WorkerContext(tempfile.mkdtemp())
    >>> node = hf.Integer64([1, 2])
    >>> CheckpointFacility(context, node).write({"step": 7})
    >>> CheckpointFacility(context, node).load(print)
    {'step': 7}
    True
    """

    def __init__(self, context: Any, node: Any) -> None:
        uid = node if isinstance(node, str) else node.uid
        if not _UID.fullmatch(uid):
            raise InvalidData(f"{uid!r:.80} is no uid: give a node, or 64 hex digits.")
        self.uid: str = uid
        self._workdir = WorkDirectory(Path(getattr(context, "working_directory", context)).absolute())
        self._folder = self._workdir.checkpoints / uid[:2] / uid
        self._writer = 0
        self._written = 0

    def write(self, state: Any) -> None:
        """Keep a state as the newest generation, durably; older ones beyond the last few are removed.

        Raises
        ------
        UnsupportedValue
            It cannot be stored.
        StoreFailure
            The file system refused; the generations before are still there.
        """
        content = encode(state, "the state")
        with writing(self._workdir):
            if not self._writer:
                self._become_writer()
            if self._is_superseded():
                return
            scratch = self._workdir.tmp / new_name()
            try:
                descriptor = os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o666)
                with open(descriptor, "wb") as stream:
                    write_generation(content, stream)
                    stream.flush()
                    flush_file(descriptor)
                with suppress(FileNotFoundError):  # the call is done, and its folder gone
                    self._publish(scratch)
            finally:
                scratch.unlink(missing_ok=True)

    def load(self, receiver: Callable[[Any], object]) -> bool:
        """Give the newest state that is whole to `receiver`, and return whether there is one; this one is the writer from now on."""
        try:
            with writing(self._workdir):
                self._become_writer()
        except StoreFailure as error:  # what is there can be used nevertheless
            warnings.warn(str(error), RuntimeWarning, stacklevel=2)
        for name in self._generations():
            try:
                with open_within(self._workdir.path, ("checkpoints", self.uid[:2], self.uid, name)) as stream:
                    content = read_generation(stream)
            except (InvalidData, OSError) as error:
                message = f"A checkpoint is damaged, and the one before is tried: {self._folder / name}: {error}."
                warnings.warn(message, RuntimeWarning, stacklevel=2)
                continue
            receiver(restore(content))
            return True
        return False

    def has_state(self) -> bool:
        """Return whether a state is kept; whether it is whole shows when it is loaded. Changes nothing."""
        return bool(self._generations())

    def _become_writer(self) -> None:
        """Take a number that is higher than all there are, also while others do the same."""
        refuse_link(self._workdir.tmp)
        for folder in (self._workdir.checkpoints, self._folder.parent, self._folder):
            make_folder(folder)
        self._writer = 0
        while not self._writer:
            number = self._highest_writer() + 1
            with suppress(FileExistsError):
                claim = self._folder / f"{number:08d}.writer"
                os.close(os.open(claim, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o666))
                self._writer = number
        self._written = 0

    def _is_superseded(self) -> bool:
        return self._highest_writer() != self._writer

    def _publish(self, scratch: Path) -> None:
        os.rename(scratch, self._folder / f"{self._writer:08d}-{self._written + 1:08d}.state")
        flush_folder(self._folder)
        if not self._written:  # the folders above may be new
            for folder in self._folder.parents[:3]:
                flush_folder(folder)
        self._written += 1
        self._prune()

    def _prune(self) -> None:
        older = [name for name in self._names() if (found := _WRITER.fullmatch(name)) and int(found[1]) < self._writer]
        for name in self._generations()[GENERATIONS:] + older:
            (self._folder / name).unlink(missing_ok=True)

    def _generations(self) -> list[str]:
        """Return the names of the generations, newest first."""
        return sorted(filter(_GENERATION.fullmatch, self._names()), reverse=True)

    def _highest_writer(self) -> int:
        found = (_WRITER.fullmatch(name) or _GENERATION.fullmatch(name) for name in self._names())
        return max((int(match[1]) for match in found if match), default=0)

    def _names(self) -> list[str]:
        try:
            return list_within(self._workdir.path, ("checkpoints", self.uid[:2], self.uid))
        except OSError:
            return []


class CheckpointPublisher:
    """Writes those of the states given to it that are due, to whatever keeps them.

    Parameters
    ----------
    store : object with `write` and `load`, optional
        A `CheckpointFacility`, or any other store. None keeps nothing.
    clock : callable
        Returns seconds; for tests.

    Notes
    -----
    The next write is due after the time that one takes (the quickest of the last few), divided by `SHARE`, or `SHARE` of the time
    since the first state, whichever is longer; not before `SHORTEST`, and not later than `LONGEST`. So a short operation loses
    little, and a long one, or a thousand at once, do not keep the file system busy.

    Examples
    --------
    >>> import tempfile
    >>> publisher = CheckpointPublisher(CheckpointFacility(tempfile.mkdtemp(), "ab" * 32))
    >>> publisher.publish({"step": 1})
    """

    def __init__(self, store: Backing | None, *, clock: Callable[[], float] = perf_counter) -> None:
        self._store = store
        self._clock = clock
        self._begun: float | None = None
        self._due = -inf if store is not None else inf
        self._latest: Any = _NOTHING
        self._prices: deque[float] = deque(maxlen=PRICES)

    def publish(self, state: Any) -> None:
        """Write a state if a write is due, else let it go.

        Raises
        ------
        UnsupportedValue
            It cannot be stored; the first state is examined at once.
        """
        self._latest = state
        if self._clock() < self._due:
            return
        if self._begun is None:
            encode(state, "the state")
            self._begun = self._clock()
            self._due = self._begun + SHORTEST
            return
        try:
            self.flush()
        except StoreFailure as error:
            self._due = self._clock() + AFTER_REFUSAL
            warnings.warn(f"A checkpoint was not written. {error}", RuntimeWarning, stacklevel=2)

    def flush(self) -> None:
        """Write the last state given, as it is now, unless it is written already.

        Raises
        ------
        StoreFailure
            It cannot be kept now.
        """
        if self._store is None or self._latest is _NOTHING:
            return
        started = self._clock()
        self._store.write(self._latest)
        self._latest = _NOTHING
        now = self._clock()
        begun = started if self._begun is None else self._begun
        share = SHARE if self._prices else FIRST_SHARE
        self._prices.append(now - started)
        self._due = now + min(max(SHORTEST, min(self._prices) / share, (now - begun) * SHARE), LONGEST)


class StoredCheckpoint(Checkpoint):
    """The checkpoint that a run gives to an operation.

    Parameters
    ----------
    store : object with `write` and `load`, optional
        None where nothing can be kept: `load` gives None, and `write` does nothing.
    """

    def __init__(self, store: Backing | None) -> None:
        super().__init__()
        self._store = store
        self._publisher = CheckpointPublisher(store)

    def load(self) -> Any:
        """Return the last good state, or None."""
        found: list[Any] = []
        if self._store is not None:
            self._store.load(found.append)
        return found[0] if found else None

    def write(self, state: Any) -> None:
        """Keep a state if it is time to."""
        self._publisher.publish(state)

    def flush(self) -> None:
        """Return when the state last given to `write` is on the disk."""
        self._publisher.flush()


def remove_checkpoints(workdir: WorkDirectory, keys: Iterable[bytes]) -> None:
    """Remove the states of calls or nodes that are done; what cannot be removed now is swept later."""
    prefixes = _names_in(workdir)
    for uid in map(bytes.hex, keys):
        if uid[:2] in prefixes and uid in _names_in(workdir, uid[:2]):
            with suppress(OSError):
                remove(workdir.checkpoints / uid[:2] / uid)


def sweep_checkpoints(workdir: WorkDirectory, catalog: Catalog) -> None:
    """Remove the states of what is done, left by a session that was killed before it could."""
    keys = [bytes.fromhex(uid) for _, uid in list_checkpoints(workdir)]
    if keys:
        remove_checkpoints(workdir, {*catalog.find_calls(keys), *catalog.find_call_keys(keys)})


def list_checkpoints(workdir: WorkDirectory) -> list[tuple[str, str]]:
    """Return prefix and name of each folder of states."""
    return [
        (prefix, uid)
        for prefix in sorted(_names_in(workdir))
        for uid in sorted(_names_in(workdir, prefix))
        if uid[:2] == prefix and _UID.fullmatch(uid)
    ]


def list_generations(workdir: WorkDirectory) -> list[tuple[str, ...]]:
    """Return where each generation stands below the working directory."""
    return [
        ("checkpoints", prefix, uid, name)
        for prefix, uid in list_checkpoints(workdir)
        for name in sorted(_names_in(workdir, prefix, uid))
        if _GENERATION.fullmatch(name)
    ]


def _names_in(workdir: WorkDirectory, *inner: str) -> set[str]:
    try:
        return set(list_within(workdir.path, ("checkpoints", *inner)))
    except OSError:  # there may be none, or something in its place
        return set()
