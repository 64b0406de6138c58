"""Record what a program does to a folder, and build the states in which a power cut could leave it.

Of everything there are two versions: what processes see, and what is guaranteed. A change of a file is guaranteed by a later fsync of
that file, and a change of a folder (a name that comes, goes or moves) by one of that folder; of a move between two folders each half by
its own. A cut leaves all that is guaranteed, and of what is pending whatever a `Choice` keeps, in the order in which it was done. What a
flush that failed should have brought to the disk is never guaranteed any more, whatever flush succeeds later. Source: POSIX, fsync;
Rebello et al., Can Applications Recover from fsync Failures?, USENIX ATC 2020.

What is seen only as calls cannot be known of memory that is mapped: a file that is written so is refused, but for SQLite's index of its
log (`-shm`), which it makes anew, and which is in no state.

State: of one recording, the files and folders, all operations on them, and what was acknowledged when.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from tracing import Call, Fate

INDEX = "-shm"
_SHARED, _WRITABLE = 0x1, 0x2  # of mmap
_APPENDS = 0o2000
_NOT_MODELLED = frozenset(
    {
        "writev",
        "pwritev",
        "pwritev2",
        "sendfile",
        "copy_file_range",
        "symlink",
        "symlinkat",
        "io_uring_setup",
        "syncfs",
        "sync",
    }
)


@dataclass(eq=False)
class Inode:
    """A file, folder or pipe, whatever its name."""

    kind: int
    """As `stat.S_IFMT` tells it."""
    data: bytearray = field(default_factory=bytearray)
    entries: dict[str, Inode] = field(default_factory=dict)
    first_data: bytes = b""
    first_entries: dict[str, Inode] = field(default_factory=dict)
    """What it was when the recording began; the two above are what processes see."""


@dataclass(eq=False)
class Change:
    """Of a file: bytes at a place, or a new size. Of folders: names, and what they stand for from then on."""

    at: int
    file: Inode | None = None
    offset: int = 0
    data: bytes = b""
    size: int | None = None
    names: tuple[tuple[Inode, str, Inode | None], ...] = ()
    guaranteed: dict[Inode, int] = field(default_factory=dict)
    """When which of its inodes was flushed."""
    is_lost: bool = False
    """Whether a flush of it has failed."""

    @property
    def inodes(self) -> list[Inode]:
        """What has to be flushed for it."""
        return [self.file] if self.file is not None else list(dict.fromkeys(folder for folder, _, _ in self.names))

    def is_certain(self, moment: int) -> bool:
        """Whether a cut at that moment leaves all of it."""
        return all(self.guaranteed.get(inode, moment + 1) <= moment for inode in self.inodes)

    def certain_names(self, moment: int) -> tuple[tuple[Inode, str, Inode | None], ...]:
        """The names that a cut at that moment leaves for certain."""
        return tuple(name for name in self.names if self.guaranteed.get(name[0], moment + 1) <= moment)


@dataclass(frozen=True)
class Choice:
    """What of the pending changes a cut leaves."""

    kept: frozenset[Change]
    torn: Change | None = None
    """One that is left in part: `tear` gives what of it."""
    tear: Callable[[bytes], bytes] = bytes


class Recording:
    """The watcher that records. `folder` is the folder of the trial, and `acknowledged` in it stands for the world outside.

    Parameters
    ----------
    folder : Path
    is_ordered : bool
        A file system that keeps a journal: whatever is flushed, all earlier changes of folders are guaranteed with it.
    failing : int
        The flush that fails; 0 is none.
    """

    def __init__(self, folder: Path, *, is_ordered: bool, failing: int = 0) -> None:
        self.changes: list[Change] = []
        self.moments: list[int] = [0]
        """How many bytes were acknowledged, at the beginning and after each event."""
        self.flushes = 0
        self.acknowledged = b""
        """All that was acknowledged in the end, as `moments` counts it."""
        self._folder = str(folder)
        self._is_ordered = is_ordered
        self._failing = failing
        self._inodes: dict[int, Inode] = {}
        self._begun: dict[int, Callable[[int], None]] = {}
        self.top = self._load(self._folder)

    # what happens

    def entered(self, call: Call) -> Fate | int:
        if call.name in _NOT_MODELLED and (not call.paths or self._is_inside(call.paths[0])):
            raise NotImplementedError(f"{call.name} is not modelled")
        if call.name == "mmap":
            self._refuse_mapped(call)
            return Fate.HAPPENS
        if not call.changes or not any(map(self._is_inside, call.paths)):
            return Fate.HAPPENS
        if call.name in ("fsync", "fdatasync"):
            self.flushes += 1
            if self.flushes == self._failing:
                return self._fail(self._behind(call))
        act = self._act(call)
        if act is None:
            return Fate.HAPPENS
        self._begun[call.thread] = act
        return Fate.IS_SEEN

    def left(self, call: Call, result: int) -> None:
        act = self._begun.pop(call.thread)
        if result >= 0:
            act(result)

    def _act(self, call: Call) -> Callable[[int], None] | None:
        """Return what is to be done when a call has succeeded; it is given the call's result."""
        name, arguments = call.name.removesuffix("at2").removesuffix("at"), call.arguments
        if call.paths[0] == f"{self._folder}/acknowledged" and name == "write":
            return lambda result: self._mark(result)
        if name in ("write", "pwrite64"):
            return self._act_write(call)
        if name in ("open", "creat"):
            return self._act_open(call)
        if name in ("fsync", "fdatasync"):
            inode, moment = self._behind(call), len(self.moments)
            return lambda _: self._flush(inode, moment)
        if name in ("ftruncate", "fallocate"):
            inode = self._behind(call)
            size = arguments[1] if name == "ftruncate" else max(len(inode.data), arguments[2] + arguments[3])
            return lambda _: self._do(Change(0, inode, size=size))
        if name in ("mkdir", "mknod"):
            return lambda _: self._do(Change(0, names=(self._new_name(call.paths[0]),)))
        if name in ("rename", "link"):
            source, target = map(self._place, call.paths)
            moved = source[0].entries[source[1]]
            gone = ((*source, None),) if name == "rename" else ()
            return lambda _: self._do(Change(0, names=(*gone, (*target, moved))))
        if name in ("unlink", "rmdir"):
            return lambda _: self._do(Change(0, names=((*self._place(call.paths[0]), None),)))
        return None  # locks and rights

    def _act_write(self, call: Call) -> Callable[[int], None]:
        inode, data = self._behind(call), call.bytes_at(1, call.arguments[2])
        if call.name == "pwrite64":
            offset = call.arguments[3]
        else:
            with open(f"/proc/{call.thread}/fdinfo/{call.arguments[0]}") as stream:
                facts = dict(line.split(":", 1) for line in stream)
            offset = len(inode.data) if int(facts["flags"], 8) & _APPENDS else int(facts["pos"])
        return lambda result: self._do(Change(0, inode, offset, data[:result]))

    def _act_open(self, call: Call) -> Callable[[int], None] | None:
        path = call.paths[0]
        if not os.path.lexists(path):
            return lambda _: self._do(Change(0, names=(self._new_name(path),)))
        inode = self._find(path)
        if call.flags & os.O_TRUNC and inode.data:
            return lambda _: self._do(Change(0, inode, size=0))
        return None

    def _do(self, change: Change) -> None:
        self._mark()
        change.at = len(self.moments) - 1
        self.changes.append(change)
        if change.file is not None:
            _write(change.file.data, change, change.data)
        for folder, name, inode in change.names:
            _name(folder.entries, name, inode)

    def _flush(self, inode: Inode, before: int) -> None:
        self._mark()
        moment = len(self.moments) - 1
        for change in self.changes:
            if change.at < before and not change.is_lost:
                if self._is_ordered and change.names:
                    for folder in change.inodes:
                        change.guaranteed.setdefault(folder, moment)
                elif inode in change.inodes:
                    change.guaranteed.setdefault(inode, moment)

    def _fail(self, inode: Inode) -> int:
        for change in self.changes:
            if inode in change.inodes and inode not in change.guaranteed:
                change.is_lost = True
        return 5  # EIO

    def _mark(self, acknowledged: int = 0) -> None:
        self.moments.append(self.moments[-1] + acknowledged)

    # what is where

    def _load(self, path: str) -> Inode:
        facts = os.lstat(path)
        inode = self._inodes[facts.st_ino] = Inode(stat.S_IFMT(facts.st_mode))
        if stat.S_ISDIR(inode.kind):
            inode.entries = {name: self._load(os.path.join(path, name)) for name in sorted(os.listdir(path))}
            inode.first_entries = dict(inode.entries)
        elif stat.S_ISREG(inode.kind):
            inode.first_data = Path(path).read_bytes()
            inode.data = bytearray(inode.first_data)
        return inode

    def _new_name(self, path: str) -> tuple[Inode, str, Inode]:
        facts = os.lstat(path)
        inode = self._inodes[facts.st_ino] = Inode(stat.S_IFMT(facts.st_mode))
        return (*self._place(path), inode)

    def _is_inside(self, path: str) -> bool:
        return path == self._folder or path.startswith(
            (f"{self._folder}/work", f"{self._folder}/acknowledged")
        )  # and not what is printed

    def _behind(self, call: Call) -> Inode:
        return self._inodes[os.stat(f"/proc/{call.thread}/fd/{call.arguments[0]}").st_ino]

    def _find(self, path: str) -> Inode:
        folder, name = self._place(path)
        return folder.entries[name]

    def _place(self, path: str) -> tuple[Inode, str]:
        *folders, name = os.path.relpath(path, self._folder).split("/")
        inode = self.top
        for folder in folders:
            inode = inode.entries[folder]
        return inode, name

    def _refuse_mapped(self, call: Call) -> None:
        if call.arguments[3] & _SHARED and call.arguments[2] & _WRITABLE:
            path = call.behind(call.arguments[4])
            if self._is_inside(path) and INDEX not in path:
                raise NotImplementedError(f"{path} is written by mapped memory, which is not modelled")

    # what a cut leaves

    def pending(self, moment: int) -> list[Change]:
        """Return the changes that were done by that moment, and are not guaranteed."""
        return [change for change in self.changes if change.at <= moment and not change.is_certain(moment)]

    def state(self, moment: int, choice: Choice) -> State:
        """Return what a cut at that moment leaves."""
        data: dict[Inode, bytearray] = {}
        entries: dict[Inode, dict[str, Inode]] = {}
        for change in self.changes:
            if change.at > moment:
                break
            is_kept = change.is_certain(moment) or change in choice.kept
            if change.file is not None and is_kept:
                room = data.setdefault(change.file, bytearray(change.file.first_data))
                _write(room, change, choice.tear(change.data) if change is choice.torn else change.data)
            for folder, name, inode in change.names if is_kept else change.certain_names(moment):
                _name(entries.setdefault(folder, dict(folder.first_entries)), name, inode)
        return State(_walk(self.top, entries, data), self.moments[moment])

    def last(self) -> State:
        """Return what processes see at the end."""
        return self.state(len(self.moments) - 1, Choice(frozenset(self.changes)))


@dataclass(frozen=True)
class State:
    """Everything in a folder, and how many bytes were acknowledged."""

    contents: tuple[tuple[str, int, bytes], ...]
    """Path, kind and bytes; folders before what is in them."""
    acknowledged: int

    @property
    def digest(self) -> bytes:
        """Equal for equal states."""
        digest = hashlib.sha256(b"%d" % self.acknowledged)
        for path, kind, data in self.contents:
            digest.update(f"\0{path}\0{kind}\0{len(data)}\0".encode() + data)
        return digest.digest()

    def write(self, folder: Path, acknowledged: bytes) -> None:
        """Make the state."""
        for path, kind, data in self.contents:
            place = folder / path
            if stat.S_ISDIR(kind):
                place.mkdir()
            elif stat.S_ISFIFO(kind):
                os.mkfifo(place)
            else:
                place.write_bytes(data)
        (folder / "acknowledged").write_bytes(acknowledged[: self.acknowledged])


def read_state(folder: Path) -> State:
    """Return the state in which a folder is."""
    return Recording(folder, is_ordered=False).last()


def _walk(
    top: Inode, entries: dict[Inode, dict[str, Inode]], data: dict[Inode, bytearray]
) -> tuple[tuple[str, int, bytes], ...]:
    found: list[tuple[str, int, bytes]] = []
    waiting = [("work", inode) for name, inode in entries.get(top, top.first_entries).items() if name == "work"]
    while waiting:
        path, inode = waiting.pop()
        if INDEX in path:
            continue
        found.append((path, inode.kind, bytes(data.get(inode, inode.first_data))))
        if stat.S_ISDIR(inode.kind):
            inner = entries.get(inode, inode.first_entries)
            waiting += [(f"{path}/{name}", inner[name]) for name in sorted(inner, reverse=True)]
    return tuple(found)


def _write(room: bytearray, change: Change, data: bytes) -> None:
    if change.size is not None:
        del room[change.size :]
        room.extend(bytes(change.size - len(room)))
        return
    room.extend(bytes(max(0, change.offset + len(data) - len(room))))
    room[change.offset : change.offset + len(data)] = data


def _name(entries: dict[str, Inode], name: str, inode: Inode | None) -> None:
    if inode is None:
        entries.pop(name, None)
    else:
        entries[name] = inode


def keep_order(pending: Iterable[Change], kept: Iterable[Change]) -> frozenset[Change]:
    """Return what is kept where folders change only in order: no change of names after the first that is lost."""
    left, is_broken = set(kept), False
    for change in pending:
        if change.names:
            is_broken = is_broken or change not in left
            if is_broken:
                left.discard(change)
    return frozenset(left)
