"""Let sessions into a working directory, several beside each other or one alone, and know the dead from the living.

Whoever is in says so in a file, and holds locks that the kernel drops when its process dies: one on the door, shared
by all sessions or had alone, and a session one on a byte of its own. A session is dead if that byte can be locked and
its process is gone; of a session on another machine nothing can be proven, because neither locks nor the database
reach there. Nobody is let in beside such a one. Never decides anything by the wall clock.

State: the lock file of each `Ownership`; and, for the whole process, which directories it has entered. POSIX locks
leave no other way: they do not keep two sessions of one process apart.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from hashlib import sha256
from pathlib import Path
from threading import Lock

from holdfast.errors import HoldfastError, OwnershipError, StoreFailure
from holdfast.storage.confine import list_within, make_folder
from holdfast.storage.flush import flush_folder, replace_file
from holdfast.storage.lockfile import LockFile
from holdfast.storage.owner import Owner, boot_id, is_alive, owner_tag, read_owner
from holdfast.storage.workdir import WorkDirectory

PATIENCE = 2.0
"""Seconds that a lock may stay with a process that was just killed, while the kernel takes it down."""

DOOR_SECONDS = 30.0
"""How long a session waits at the door while somebody has the directory alone, or has stopped in it."""

_PATIENT = "Wait until it ends, end that session, or use another directory."
_DOOR, _ENTRANCE = 0, 1
_LIVES = 256
_GUARD = Lock()
_ENTERED_HERE: set[tuple[int, int, int]] = set()
"""Process, device and inode of each directory that this process is in: a forked child is in none."""


class Ownership:
    """The right to write to a working directory, from `acquire` to `release`; built by `acquire`."""

    def __init__(
        self, workdir: WorkDirectory, owner: Owner, lock: LockFile, place: tuple[int, int, int], path: Path
    ) -> None:
        self.workdir = workdir
        self.owner = owner
        self._lock: LockFile | None = lock
        self._place = place
        self._path = path

    @classmethod
    def acquire(cls, workdir: WorkDirectory, owner: Owner, *, exclusive: bool = True) -> Ownership:
        """Enter a directory: at once if nobody is in the way, or if those who are there are dead.

        Parameters
        ----------
        workdir : WorkDirectory
        owner : Owner
        exclusive : bool
            Have the directory alone: refused while a session works there, and none comes in. Else work beside other sessions,
            and wait up to `DOOR_SECONDS` for one who has it alone.

        Raises
        ------
        OwnershipError
            Somebody else is there, or it cannot be known whether he is dead. Says who, since when and what to do.
        WorkingDirectoryError
            The file system cannot lock.
        """
        with _translated(workdir):
            place = _reserve(workdir)
            try:
                lock = LockFile(workdir.lock_path)
                try:
                    path = (_enter_alone if exclusive else _enter_beside)(workdir, owner, lock)
                except BaseException:
                    lock.close()
                    raise
            except BaseException:
                _ENTERED_HERE.discard(place)
                raise
        return cls(workdir, owner, lock, place, path)

    def confirm(self) -> None:
        """Return if the directory still names this owner; one that was thought dead may find that it does not.

        Raises
        ------
        OwnershipError
            It was released, or the directory names another one, or none.
        StoreFailure
            It cannot be read.
        """
        if self._lock is None:
            raise OwnershipError(
                f"The working directory {self.workdir.path} was released by session {self.owner.session}."
            )
        with _translated(self.workdir):
            holder = read_owner(self._path)
        if holder == self.owner:
            return
        taken = f"The working directory {self.workdir.path} was taken from session {self.owner.session}"
        remedy = "Nothing more is written to it from here. What was committed is kept; run the same again."
        if holder is None:
            raise OwnershipError(f"{taken}, by `holdfast unlock` or by hand. {remedy}")
        message = f"{taken} by session {holder.session} {_whereabouts(holder)}, since {holder.since}. {remedy}"
        raise OwnershipError(message, host=holder.host, process=holder.process, since=holder.since)

    def others(self) -> list[Owner]:
        """Return the other sessions that are in the directory and not proven dead, and have said who they are."""
        with _translated(self.workdir):
            found = {name: read_owner(entry_path(self.workdir, name)) for name in entries(self.workdir)}
        return [
            holder
            for name, holder in found.items()
            if holder is not None and name != self.owner.session and not self.is_dead(name)
        ]

    def is_dead(self, session: str) -> bool:
        """Return whether another session is proven dead, or has left."""
        if self._lock is None or session == self.owner.session or self._lock.is_held(_life(session)):
            return False
        with _translated(self.workdir):
            holder = read_owner(entry_path(self.workdir, session))
        return holder is None or not _may_live(holder, self.owner)

    def release(self) -> None:
        """Leave the directory; a second time does nothing."""
        with _GUARD:
            lock, self._lock = self._lock, None
        if lock is None:
            return
        try:
            # A forked child that leaves the session's block must not take away what is its parent's.
            if os.getpid() == self.owner.process and read_owner(self._path) == self.owner:
                self._path.unlink(missing_ok=True)
        except OSError as error:
            raise StoreFailure(
                f"{self._path} cannot be removed: {error.strerror}. Remove it before the next session."
            ) from error
        finally:
            lock.close()
            _ENTERED_HERE.discard(self._place)


def unlock(workdir: WorkDirectory) -> list[Owner]:
    """Take a working directory from owners of which the user knows that they are dead.

    Only needed for those on another machine: one that died on this machine is followed without it.

    Returns
    -------
    list of Owner
        Who was named as being in the directory.

    Raises
    ------
    OwnershipError
        One of them lives on this machine.
    WorkingDirectoryError
        The file system cannot lock.
    StoreFailure
        The name of an owner cannot be removed.
    """
    with _translated(workdir):
        place = _reserve(workdir)
        try:
            lock = LockFile(workdir.lock_path)
            try:
                _wait_for_door(workdir, lock, shared=False, seconds=PATIENCE / 10)
                found = list(named(workdir))
                for _, holder in found:
                    if is_alive(holder):
                        raise _refusal(workdir, holder, _whereabouts(holder) + ", which is alive", _PATIENT)
                for path, _ in found:
                    path.unlink(missing_ok=True)
                    flush_folder(path.parent)
            finally:
                lock.close()
        finally:
            _ENTERED_HERE.discard(place)
    return [holder for _, holder in found]


def entries(workdir: WorkDirectory) -> list[str]:
    """Return the ids of the sessions that have entered and not left; the dead are among them."""
    try:
        names = list_within(workdir.path, (workdir.sessions.name,))
    except (
        FileNotFoundError,
        NotADirectoryError,
    ):  # nobody was here, or somebody put a link there, through which nobody goes
        return []
    except OSError as error:
        raise StoreFailure(
            f"{workdir.sessions} cannot be read: {error.strerror}. Try again when that is over."
        ) from error
    return sorted(name.removesuffix(".json") for name in names if name.endswith(".json"))


def named(workdir: WorkDirectory) -> Iterator[tuple[Path, Owner]]:
    """Yield who is said to be in a directory, with the file that says so; the dead are among them."""
    for path in (workdir.owner_path, *(entry_path(workdir, name) for name in entries(workdir))):
        holder = read_owner(path)
        if holder is not None:
            yield path, holder


def entry_path(workdir: WorkDirectory, session: str) -> Path:
    """Return where a session says who it is."""
    return workdir.sessions / f"{session}.json"


@contextmanager
def _translated(workdir: WorkDirectory) -> Iterator[None]:
    try:
        yield
    except HoldfastError:
        raise
    except OSError as error:
        message = f"{workdir.path} cannot be locked: {error.strerror}. Check space and permissions."
        raise StoreFailure(message) from error


def _reserve(workdir: WorkDirectory) -> tuple[int, int, int]:
    """Refuse what this process is in already; to open and close the lock file again would drop the locks."""
    facts = os.stat(workdir.path)
    place = os.getpid(), facts.st_dev, facts.st_ino
    with _GUARD:
        if place in _ENTERED_HERE:
            remedy = "Leave that session first, or use another directory."
            names = (workdir.owner_path, *(entry_path(workdir, name) for name in entries(workdir)))
            holders = (read_owner(path) for path in names)
            mine = next((holder for holder in holders if holder and holder.process == os.getpid()), None)
            raise _refusal(workdir, mine, "of this same process", remedy)
        _ENTERED_HERE.add(place)
    return place


# entering


def _enter_alone(workdir: WorkDirectory, owner: Owner, lock: LockFile) -> Path:
    _wait_for_door(workdir, lock, shared=False, seconds=PATIENCE / 10)
    _refuse_unproven(workdir, owner, lock)
    scratch = workdir.tmp / f"{owner_tag(owner)}.{os.urandom(8).hex()}"
    replace_file(workdir.owner_path, _write(owner), scratch)
    return workdir.owner_path


def _enter_beside(workdir: WorkDirectory, owner: Owner, lock: LockFile) -> Path:
    """Enter one after the other, so that of two newcomers one sees the other."""
    deadline = time.monotonic() + DOOR_SECONDS
    while not lock.take(_ENTRANCE):
        if time.monotonic() > deadline:
            raise OwnershipError(
                f"Another session has stopped while it entered {workdir.path}. Let it go on, or end it."
            )
        time.sleep(0.01)
    _wait_for_door(workdir, lock, shared=True, seconds=DOOR_SECONDS)
    _refuse_unproven(workdir, owner, lock)
    make_folder(workdir.sessions)
    _sweep(workdir, lock)
    if not lock.take(_life(owner.session)):
        raise _refusal(workdir, owner, "that has the same id", "Session ids are random: try again.")
    # Not flushed: after a power cut nobody lives who is named here.
    path = entry_path(workdir, owner.session)
    path.write_bytes(_write(owner))
    lock.give(_ENTRANCE)
    return path


def _wait_for_door(workdir: WorkDirectory, lock: LockFile, *, shared: bool, seconds: float) -> None:
    """Come through the door, or refuse. A holder that may be dead is waited for: it keeps its locks until it is taken down."""
    begun = time.monotonic()
    while not lock.take(_DOOR, shared=shared):
        alive = [holder for _, holder in named(workdir) if is_alive(holder)]
        if time.monotonic() - begun > (seconds if alive else max(seconds, PATIENCE)):
            holder = next(iter(alive), None)
            raise _refusal(workdir, holder, _whereabouts(holder), _PATIENT)
        time.sleep(0.01)


def _refuse_unproven(workdir: WorkDirectory, owner: Owner, lock: LockFile) -> None:
    """Refuse, though the locks are ours, if somebody named may be alive who holds none: locks do not reach everywhere."""
    deadline = time.monotonic() + PATIENCE
    while True:
        unproven = next((found for _, found in named(workdir) if _is_unproven(found, owner, lock)), None)
        if unproven is None:
            return
        alive = is_alive(unproven)
        if alive is None or time.monotonic() > deadline:  # one that is being taken down has no locks already
            known = f"If you know that it has ended: holdfast unlock --work {workdir.path}. Else wait, or use another directory."
            remedy = _PATIENT if alive else known
            raise _refusal(workdir, unproven, _whereabouts(unproven) + ", whose end cannot be proven from here", remedy)
        time.sleep(0.01)


def _is_unproven(holder: Owner, owner: Owner, lock: LockFile) -> bool:
    return not lock.is_held(_life(holder.session)) and _may_live(holder, owner)


def _may_live(holder: Owner, owner: Owner) -> bool:
    """Return whether one that holds no lock may be alive nevertheless."""
    if replace(holder, session=owner.session, since=owner.since) == owner:  # this process, before it replaced itself
        return False
    alive = is_alive(holder)
    return alive is True or (alive is None and holder.boot != boot_id())


def _sweep(workdir: WorkDirectory, lock: LockFile) -> None:
    """Remove what the dead left; if nobody lives, all that is in `sessions/`."""
    workdir.owner_path.unlink(missing_ok=True)
    live = {name for name in entries(workdir) if lock.is_held(_life(name))}
    for name in list_within(workdir.path, (workdir.sessions.name,)):
        if not live or name.partition(".")[0] not in {*live, "claims"}:
            (workdir.sessions / name).unlink(missing_ok=True)


def _life(session: str) -> int:
    """Return the byte of the lock file that a session holds as long as it lives."""
    return _LIVES + int.from_bytes(sha256(session.encode()).digest()[:7])


def _write(owner: Owner) -> bytes:
    return json.dumps(asdict(owner), indent=2).encode() + b"\n"


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
