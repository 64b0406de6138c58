"""Let one session at a time own a working directory, and know a dead owner from a living one.

Two things together are ownership: a POSIX lock on `owner.lock`, which the kernel drops when its process dies and
which no child inherits, and `owner.json`, which says who it is. A lock that could be had is proof that an owner on
this machine is dead; of an owner on another machine it proves nothing, because locks do not reach everywhere. Never
decides anything by the wall clock.

State: the open, locked file of each `Ownership`; and, for the whole process, which directories it owns. POSIX locks
leave no other way: they do not keep two sessions of one process apart, and closing any descriptor of the file would
drop the lock of the other.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, fields, replace
from hashlib import sha256
from pathlib import Path

from holdfast.errors import HoldfastError, OwnershipError, StoreFailure, WorkingDirectoryError
from holdfast.storage.flush import flush_folder, replace_file
from holdfast.storage.workdir import WorkDirectory, now

PATIENCE = 2.0
"""Seconds that a lock may stay with a process that was just killed, while the kernel takes it down."""

_PATIENT = "Wait until it ends, end that session, or use another directory."
_OWNER_LIMIT = 16 * 1024
_HELD = {errno.EACCES, errno.EAGAIN}
_ONE_AT_A_TIME = threading.Lock()
_OWNED_HERE: set[tuple[int, int, int]] = set()
"""Process, device and inode of each directory that this process owns: a forked child owns nothing."""


@dataclass(frozen=True, slots=True)
class Owner:
    """One session, so described that another process can tell whether it lives."""

    host: str
    """Name of the machine."""
    boot: str
    """Changes with every start of the machine."""
    process: int
    """Process id."""
    started: str
    """When the process started, by the kernel; compared, never calculated with."""
    session: str
    """Id of the session; empty for a worker."""
    since: str
    """When the session began, by the wall clock, for people."""
    space: str = ""
    """Process and time namespaces, within which process ids and start times mean anything."""


def current_owner(session: str) -> Owner:
    """Return who this process is."""
    process = os.getpid()
    return Owner(os.uname().nodename, _boot_id(), process, _started(process) or "", session, now(), _space())


def is_alive(owner: Owner) -> bool | None:
    """Return whether the process of an owner lives; None if that cannot be known from here."""
    is_same = (owner.host == os.uname().nodename, owner.boot == _boot_id(), owner.space == _space())
    return _is_alive(*is_same, owner.process, lambda started: started == owner.started)


def owner_tag(owner: Owner) -> str:
    """Return a short name of the owner's process, for names of what it leaves if it dies."""
    return "-".join((*map(_short, (owner.host, owner.boot, owner.space, owner.started)), str(owner.process)))


def is_tag_alive(tag: str) -> bool | None:
    """Return the same as `is_alive`, for a name that `owner_tag` gave; None for any other name."""
    host, boot, space, started, process = tag.split("-") if tag.count("-") == 4 else ("", "", "", "", "")
    if not (process.isascii() and process.isdigit() and len(process) < 10):
        return None
    is_same = (host == _short(os.uname().nodename), boot == _short(_boot_id()), space == _short(_space()))
    return _is_alive(*is_same, int(process), lambda text: _short(text) == started)


def _is_alive(
    same_host: bool, same_boot: bool, same_space: bool, process: int, is_start: Callable[[str], bool]
) -> bool | None:
    if not same_boot:
        return False if same_host else None
    if not same_space:
        return None
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # it lives, and belongs to somebody else
        pass
    started = _started(process)
    return None if started is None else is_start(started)


class Ownership:
    """The right to write to a working directory, from `acquire` to `release`.

    Parameters
    ----------
    workdir : WorkDirectory
    owner : Owner
    lock : int
        Descriptor of the locked file.
    place : tuple of int
        Process, device and inode of the directory.
    """

    def __init__(self, workdir: WorkDirectory, owner: Owner, lock: int, place: tuple[int, int, int]) -> None:
        self.workdir = workdir
        self.owner = owner
        self._lock = lock
        self._place = place

    @classmethod
    def acquire(cls, workdir: WorkDirectory, owner: Owner) -> Ownership:
        """Take ownership; at once if nobody holds it, or if its holder is dead.

        Raises
        ------
        OwnershipError
            Somebody else holds it, or it cannot be known whether he is dead. Says who, since when and what to do.
        WorkingDirectoryError
            The file system cannot lock.
        """
        with _ONE_AT_A_TIME, _translated(workdir):
            place = _refuse_own(workdir)
            lock = _lock(workdir, owner)
            _OWNED_HERE.add(place)
        return cls(workdir, owner, lock, place)

    def confirm(self) -> None:
        """Return if the directory still names this owner; one that was thought dead may find that it has lost it.

        Raises
        ------
        OwnershipError
            It names another one, or none.
        StoreFailure
            It cannot be read.
        """
        with _translated(self.workdir):
            holder = read_owner(self.workdir.owner_path)
        if holder == self.owner:
            return
        taken = f"The working directory {self.workdir.path} was taken from session {self.owner.session}"
        remedy = "Nothing more is written to it from here. What was committed is kept; run the same again."
        if holder is None:
            raise OwnershipError(f"{taken}, by `holdfast unlock` or by hand. {remedy}")
        message = f"{taken} by session {holder.session} {_whereabouts(holder)}, since {holder.since}. {remedy}"
        raise OwnershipError(message, host=holder.host, process=holder.process, since=holder.since)

    def release(self) -> None:
        """Give ownership back; a second time does nothing."""
        with _ONE_AT_A_TIME:
            if self._lock < 0:
                return
            lock, self._lock = self._lock, -1
            try:
                # A forked child that leaves the session's block must not take away what is its parent's.
                if os.getpid() == self.owner.process and read_owner(self.workdir.owner_path) == self.owner:
                    self.workdir.owner_path.unlink(missing_ok=True)
            except OSError as error:
                message = (
                    f"{self.workdir.owner_path} cannot be removed: {error.strerror}. Remove it before the next session."
                )
                raise StoreFailure(message) from error
            finally:
                os.close(lock)
                _OWNED_HERE.discard(self._place)


def read_owner(path: Path) -> Owner | None:
    """Return the owner that a file names; None if there is no such file, or it is damaged."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except FileNotFoundError:
        return None
    with open(descriptor, "rb") as stream:
        data = stream.read(_OWNER_LIMIT)
    try:
        members = json.loads(data)
        owner = Owner(**{field.name: members[field.name] for field in fields(Owner)})
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    is_sound = type(owner.process) is int and all(
        isinstance(text, str) for text in (owner.host, owner.boot, owner.started)
    )
    return owner if is_sound and 0 < owner.process < 2**31 else None


def unlock(workdir: WorkDirectory) -> Owner | None:
    """Take a working directory from an owner of which the user knows that it is dead.

    Only needed for an owner on another machine: one that died on this machine is followed without it.

    Returns
    -------
    Owner or None
        Who was named as the owner; None if nobody held the directory.

    Raises
    ------
    OwnershipError
        The owner lives on this machine, or its lock is held.
    WorkingDirectoryError
        The file system cannot lock.
    StoreFailure
        The name of the owner cannot be removed.
    """
    with _ONE_AT_A_TIME, _translated(workdir):
        _refuse_own(workdir)
        lock = os.open(workdir.lock_path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o666)
        try:
            _wait_for_lock(workdir, lock)
            holder = read_owner(workdir.owner_path)
            if holder is not None and is_alive(holder):
                raise _refusal(workdir, holder, _whereabouts(holder) + ", which is alive", _PATIENT)
            workdir.owner_path.unlink(missing_ok=True)
            flush_folder(workdir.path)
        finally:
            os.close(lock)
    return holder


@contextmanager
def _translated(workdir: WorkDirectory) -> Iterator[None]:
    try:
        yield
    except HoldfastError:
        raise
    except OSError as error:
        message = f"{workdir.path} cannot be locked: {error.strerror}. Check space and permissions."
        raise StoreFailure(message) from error


def _refuse_own(workdir: WorkDirectory) -> tuple[int, int, int]:
    """Refuse what this process owns already; to open and close the lock's file would drop the lock."""
    place = _identify(workdir)
    if place in _OWNED_HERE:
        remedy = "Leave that session first, or use another directory."
        raise _refusal(workdir, read_owner(workdir.owner_path), "of this same process", remedy)
    return place


def _identify(workdir: WorkDirectory) -> tuple[int, int, int]:
    facts = os.stat(workdir.path)
    return os.getpid(), facts.st_dev, facts.st_ino


def _lock(workdir: WorkDirectory, owner: Owner) -> int:
    """Return the descriptor of the locked file, after writing down who holds it."""
    lock = os.open(workdir.lock_path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o666)
    try:
        _wait_for_lock(workdir, lock)
        _refuse_unproven(workdir, owner)
        scratch = workdir.tmp / f"owner.json.{os.urandom(8).hex()}"
        replace_file(workdir.owner_path, json.dumps(asdict(owner), indent=2).encode() + b"\n", scratch)
    except BaseException:
        os.close(lock)
        raise
    return lock


def _wait_for_lock(workdir: WorkDirectory, lock: int) -> None:
    """Lock, or refuse. A holder that may be dead is waited for: it keeps its locks until it is taken down."""
    deadline = time.monotonic() + PATIENCE
    brief = time.monotonic() + PATIENCE / 10
    while not _try_lock(workdir, lock):
        holder = read_owner(workdir.owner_path)
        if time.monotonic() > (brief if holder is not None and is_alive(holder) else deadline):
            raise _refusal(workdir, holder, _whereabouts(holder), _PATIENT)
        time.sleep(0.01)


def _try_lock(workdir: WorkDirectory, lock: int) -> bool:
    try:
        fcntl.lockf(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return True
    except OSError as error:
        if error.errno in _HELD:
            return False
        raise WorkingDirectoryError(
            f"The working directory {workdir.path} cannot be used: its file system cannot lock files "
            f"({error.strerror}), so nothing would keep two sessions apart. Use a directory on a local disk."
        ) from error


def _refuse_unproven(workdir: WorkDirectory, owner: Owner) -> None:
    """Refuse, though the lock is ours, if whoever wrote `owner.json` may be alive: locks do not reach everywhere."""
    holder = read_owner(workdir.owner_path)
    if holder is None:
        return
    if replace(holder, session=owner.session, since=owner.since) == owner:  # this process, before it replaced itself
        return
    alive = is_alive(holder)
    if alive or (alive is None and holder.boot != _boot_id()):
        known = f"If you know that it has ended: holdfast unlock --work {workdir.path}. Else wait, or use another directory."
        remedy = _PATIENT if alive else known
        raise _refusal(workdir, holder, _whereabouts(holder) + ", whose end cannot be proven from here", remedy)


def _whereabouts(holder: Owner | None) -> str:
    return (
        f"of process {holder.process} on {holder.host}"
        if holder is not None
        else "of a process that has not said who it is"
    )


def _refusal(workdir: WorkDirectory, holder: Owner | None, where: str, remedy: str) -> OwnershipError:
    if holder is None:
        return OwnershipError(f"The working directory {workdir.path} is held by a session {where}. {remedy}")
    held = f"is held by session {holder.session} {where}, since {holder.since}"
    message = f"The working directory {workdir.path} {held}. {remedy}"
    return OwnershipError(message, host=holder.host, process=holder.process, since=holder.since)


def _boot_id() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return _ask("sysctl", "-n", "kern.boottime") or ""


def _space() -> str:
    found = []
    for kind in ("pid", "time"):  # old kernels have no time namespaces, other systems neither
        with suppress(OSError):
            found.append(os.readlink(f"/proc/self/ns/{kind}"))
    return " ".join(found)


def _started(process: int) -> str | None:
    """Return when a process started; empty if it is dead and not yet reaped, None if that may not be known."""
    try:
        # Field 22, counted behind the name, which may hold blanks and brackets. Source: man 5 proc.
        rest = Path(f"/proc/{process}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
    except OSError:
        return None if sys.platform == "linux" else _ask("ps", "-o", "lstart=", "-p", str(process))
    return rest[19] if rest[0] not in "ZX" else ""


def _ask(*command: str) -> str | None:
    # Only where there is no /proc: the module is slow to import.
    import subprocess

    answer = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False)
    return answer.stdout.strip() or None


def _short(text: str) -> str:
    return sha256(text.encode()).hexdigest()[:10]
