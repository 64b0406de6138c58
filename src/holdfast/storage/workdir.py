"""Make or open a working directory, or refuse it untouched and say why.

A working directory is known by its `holdfast.json`, which appears last and whole: a directory without it is either
empty, or holds only the empty folders that an interrupted creation left. Never changes or removes what is not its
own, and follows no links below the directory itself.
"""

from __future__ import annotations

import json
import os
import stat
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from holdfast.errors import WorkingDirectoryError
from holdfast.storage.flush import flush_folder, write_new_file

FORMAT_VERSION = 1
"""Version of the layout on disk; a directory with a higher one is refused."""

MARKER = "holdfast.json"
_FOLDERS = ("tmp", "nodes")
_MARKER_LIMIT = 64 * 1024
_TOLERATED = {"lost+found"}  # a freshly made file system is an empty directory too


@dataclass(frozen=True, slots=True)
class WorkDirectory:
    """Where everything of one working directory stands.

    Parameters
    ----------
    path : Path
        Absolute path of the directory.
    identity : str
        Random, made once; 32 hex digits. Empty where only the path is known, as in a worker.
    settings : mapping of str to str
        What was chosen for this directory for good.
    """

    path: Path
    identity: str = ""
    settings: Mapping[str, str] = field(default_factory=dict, compare=False)

    @property
    def marker(self) -> Path:
        """The file that makes it a working directory."""
        return self.path / MARKER

    @property
    def tmp(self) -> Path:
        """Folder of stores under construction."""
        return self.path / "tmp"

    @property
    def nodes(self) -> Path:
        """Folder of published stores."""
        return self.path / "nodes"

    @property
    def checkpoints(self) -> Path:
        """Folder of the states of operations under way; there once one has written."""
        return self.path / "checkpoints"

    @property
    def catalog_path(self) -> Path:
        """The database."""
        return self.path / "catalog.db"

    @property
    def log_path(self) -> Path:
        """What was written to the database lately; there while somebody works, and after a kill."""
        return self.path / "catalog.db-wal"

    @property
    def reserve_path(self) -> Path:
        """Space that is kept back for a full disk."""
        return self.path / "reserve"

    @property
    def owner_path(self) -> Path:
        """Who has the directory alone; there only while somebody does."""
        return self.path / "owner.json"

    @property
    def sessions(self) -> Path:
        """Folder in which those say who they are that work beside each other, and of what they need for that; nothing in it lasts."""
        return self.path / "sessions"

    @property
    def lock_path(self) -> Path:
        """The file that everybody holds locked in part who is in the directory."""
        return self.path / "owner.lock"


def now() -> str:
    """Return the time of the wall clock, UTC, for people to read: nothing is decided by it."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


def open_workdir(path: str | os.PathLike[str], *, create: bool = True) -> WorkDirectory:
    """Open a working directory, and make it if there is none.

    Parameters
    ----------
    path : path
        An existing working directory, an empty directory, or a name that is free; missing parents are created.
    create : bool
        False: only open what is there, and write nothing, for those who only look.

    Raises
    ------
    WorkingDirectoryError
        It cannot be used; it was left as it is. The message gives the reason and the remedy.
    """
    place = Path(os.path.abspath(path))
    try:
        return _open_or_make(place) if create else _open(place)
    except WorkingDirectoryError:
        raise
    except OSError as error:
        raise _refusal(place, f"{error.strerror or error}", "Check path, permissions and free space") from error


def _open(place: Path) -> WorkDirectory:
    if not (place / MARKER).exists():
        raise _refusal(place, f"it has no {MARKER}", "Check the path, or run something in it first")
    return _read_marker(place)


def _open_or_make(place: Path) -> WorkDirectory:
    _make_folders(place)
    if not place.is_dir():
        raise _refusal(place, "it is a file", "Give the path of a directory, or of a name that is free")
    names = set(os.listdir(place))
    is_new = MARKER not in names and not (place / MARKER).exists()
    if is_new:
        _check_clean(place, names)
        workdir = WorkDirectory(place)
    else:
        workdir = _read_marker(place)
    if not os.access(place, os.W_OK | os.X_OK):
        raise _refusal(place, "it is not writable", "Change its permissions, or use another directory")
    for name in _FOLDERS:
        _make_own_folder(place / name)
    if is_new:
        flush_folder(place)  # so that the marker appears last after a power cut too
        _write_marker(workdir)
        workdir = _read_marker(place)
    # Always, not only when new: whoever made the entries may have been killed before they were flushed.
    flush_folder(place)
    return workdir


def _make_folders(place: Path) -> None:
    missing = [place] if not place.exists() else []
    while missing and not missing[-1].parent.exists():
        missing.append(missing[-1].parent)
    for folder in reversed(missing):
        folder.mkdir(exist_ok=True)
        flush_folder(folder.parent)


def _make_own_folder(folder: Path) -> None:
    try:
        folder.mkdir()
    except FileExistsError:
        if not stat.S_ISDIR(folder.lstat().st_mode):
            raise _refusal(
                folder.parent, f"{folder.name} in it is not a folder", "Remove it, or use another directory"
            ) from None


def _check_clean(place: Path, names: set[str]) -> None:
    foreign = sorted(name for name in names - _TOLERATED if not name.startswith(".") and not _is_leftover(place, name))
    if "catalog.db" in foreign:
        raise _refusal(place, f"it holds results but its {MARKER} is gone", f"Restore {MARKER} from a copy")
    if foreign:
        shown = ", ".join(foreign[:3]) + (f" and {len(foreign) - 3} more" if len(foreign) > 3 else "")
        raise _refusal(place, f"it holds other things: {shown}", "Use an empty directory or a new name")


def _is_leftover(place: Path, name: str) -> bool:
    """Whether an interrupted creation can have left this."""
    folder = place / name
    if name not in _FOLDERS or not stat.S_ISDIR(folder.lstat().st_mode):
        return False
    return all(name == "tmp" and inner.startswith(MARKER) for inner in os.listdir(folder))


def _write_marker(workdir: WorkDirectory) -> None:
    record = {"format": FORMAT_VERSION, "id": os.urandom(16).hex(), "created": now(), "settings": {}}
    scratch = workdir.tmp / f"{MARKER}.{os.urandom(8).hex()}"
    try:
        write_new_file(scratch, json.dumps(record, indent=2).encode() + b"\n")
        put_once(scratch, workdir.marker)
    finally:
        scratch.unlink(missing_ok=True)


def put_once(scratch: Path, target: Path) -> None:
    """Give the file its name unless the name is taken: of two who create at once, the first wins."""
    try:
        os.link(scratch, target)
    except FileExistsError:
        pass
    except OSError:  # no hard links here (FAT, some FUSE)
        if not target.exists():
            os.rename(scratch, target)


def _read_marker(place: Path) -> WorkDirectory:
    record = _parse_marker(place)
    version = record.get("format")
    if type(version) is int and version > FORMAT_VERSION:
        raise _refusal(
            place,
            f"a newer holdfast made it (format {version}, this one knows up to {FORMAT_VERSION})",
            "Upgrade holdfast: pip install -U holdfast",
        )
    identity, settings = record.get("id"), record.get("settings")
    if type(version) is not int or version < 1 or not isinstance(identity, str) or not isinstance(settings, dict):
        raise _damaged(place, "a member is missing or has the wrong type")
    return WorkDirectory(place, identity, {str(key): str(value) for key, value in settings.items()})


def _parse_marker(place: Path) -> dict[str, Any]:
    try:
        descriptor = os.open(place / MARKER, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError as error:
        raise _damaged(place, error.strerror or "it cannot be opened") from error
    with open(descriptor, "rb") as stream:
        facts = os.fstat(descriptor)
        if not stat.S_ISREG(facts.st_mode) or facts.st_size > _MARKER_LIMIT:
            raise _damaged(place, "it is no small file")
        data = stream.read(_MARKER_LIMIT)
    try:
        record = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise _damaged(place, str(error)) from error
    if not isinstance(record, dict):
        raise _damaged(place, "it is no JSON object")
    return record


def _damaged(place: Path, reason: str) -> WorkingDirectoryError:
    return _refusal(
        place, f"its {MARKER} is damaged ({reason})", f"Restore {MARKER} from a copy, or use another directory"
    )


def _refusal(place: Path, reason: str, remedy: str) -> WorkingDirectoryError:
    return WorkingDirectoryError(f"The working directory {place} cannot be used: {reason}. {remedy}.")
