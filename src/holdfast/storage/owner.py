"""Say who a session or worker is, so that another process can tell whether it lives.

A process is known by host, boot, process id and start time, and by the namespaces in which these mean anything. What
cannot be known from here is not guessed. Changes nothing, and reads no clock.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, fields
from hashlib import sha256
from pathlib import Path

from holdfast.storage.workdir import now

_OWNER_LIMIT = 16 * 1024


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
    return Owner(os.uname().nodename, boot_id(), process, _started(process) or "", session, now(), _space())


def is_alive(owner: Owner) -> bool | None:
    """Return whether the process of an owner lives; None if that cannot be known from here."""
    is_same = (owner.host == os.uname().nodename, owner.boot == boot_id(), owner.space == _space())
    return _is_alive(*is_same, owner.process, lambda started: started == owner.started)


def owner_tag(owner: Owner) -> str:
    """Return a short name of the owner's process, for names of what it leaves if it dies."""
    return "-".join((*map(_short, (owner.host, owner.boot, owner.space, owner.started)), str(owner.process)))


def is_tag_alive(tag: str) -> bool | None:
    """Return the same as `is_alive`, for a name that `owner_tag` gave; None for any other name."""
    host, boot, space, started, process = tag.split("-") if tag.count("-") == 4 else ("", "", "", "", "")
    if not (process.isascii() and process.isdigit() and len(process) < 10):
        return None
    is_same = (host == _short(os.uname().nodename), boot == _short(boot_id()), space == _short(_space()))
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


def boot_id() -> str:
    """Return what changes with every start of the machine."""
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
