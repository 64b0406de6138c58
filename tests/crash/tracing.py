"""Stop a program at its system calls on one directory, and let each happen, fail, or be the last.

The program is a function that runs in a fork of this process, so that imports are paid once. A filter (seccomp) has the kernel
stop it at the calls of the table below and at no others, and this process (ptrace) looks at each of them, of all threads, in the order
in which they happen. What `entered` answers decides: a call at which the program is killed does not happen any more, and one that fails
does not happen either. Never changes anything else of the program. Linux on x86-64 only; nothing has to be installed, and no rights are
needed.

State: of one tracing, the threads that are known, and the calls that have begun and not ended.
"""

from __future__ import annotations

import ctypes
import errno
import os
import signal
import struct
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from enum import Enum
from functools import cached_property
from typing import Protocol

FD = "descriptor"
"""The first argument is a descriptor."""

CALLS: dict[str, tuple[int, tuple[object, ...]]] = {
    # name: number on x86-64, and where its arguments name files: FD, (place of a path), or (place of a folder, place of a path)
    "read": (0, (FD,)),
    "write": (1, (FD,)),
    "open": (2, ((0,),)),
    "close": (3, (FD,)),
    "mmap": (9, ()),
    "pread64": (17, (FD,)),
    "pwrite64": (18, (FD,)),
    "readv": (19, (FD,)),
    "writev": (20, (FD,)),
    "sendfile": (40, (FD,)),
    "fcntl": (72, (FD,)),
    "flock": (73, (FD,)),
    "fsync": (74, (FD,)),
    "fdatasync": (75, (FD,)),
    "truncate": (76, ((0,),)),
    "ftruncate": (77, (FD,)),
    "rename": (82, ((0,), (1,))),
    "mkdir": (83, ((0,),)),
    "rmdir": (84, ((0,),)),
    "creat": (85, ((0,),)),
    "link": (86, ((0,), (1,))),
    "unlink": (87, ((0,),)),
    "symlink": (88, ((1,),)),
    "chmod": (90, ((0,),)),
    "fchmod": (91, (FD,)),
    "mknod": (133, ((0,),)),
    "sync": (162, ()),
    "getdents64": (217, (FD,)),
    "openat": (257, ((0, 1),)),
    "mkdirat": (258, ((0, 1),)),
    "mknodat": (259, ((0, 1),)),
    "newfstatat": (262, ((0, 1),)),
    "unlinkat": (263, ((0, 1),)),
    "renameat": (264, ((0, 1), (2, 3))),
    "linkat": (265, ((0, 1), (2, 3))),
    "symlinkat": (266, ((1, 2),)),
    "fchmodat": (268, ((0, 1),)),
    "fallocate": (285, (FD,)),
    "pwritev": (296, (FD,)),
    "syncfs": (306, (FD,)),
    "renameat2": (316, ((0, 1), (2, 3))),
    "copy_file_range": (326, (FD,)),
    "pwritev2": (328, (FD,)),
    "io_uring_setup": (425, ()),
    "openat2": (437, ((0, 1),)),
}

READING = frozenset({"read", "pread64", "readv", "getdents64", "newfstatat", "close", "mmap"})
"""Calls that change no file; `open` and `openat` do if they create."""

CHANGING = frozenset(CALLS) - READING

LOCKS = frozenset({6, 7, 37, 38})
"""Commands of `fcntl` that lock a file."""

_NUMBERS = {number: name for name, (number, _) in CALLS.items()}
_AT_FDCWD = 0xFFFFFF9C
_EACH_THREAD = 0x40000000  # __WALL of waitpid

_TRACE_ME, _CONTINUE, _SET_OPTIONS, _TO_THE_END = 0, 7, 0x4200, 24
_GET_REGISTERS, _SET_REGISTERS = 12, 13
_OPTIONS = (
    0x1 | 0x2 | 0x4 | 0x8 | 0x80 | 0x100000
)  # good syscalls, fork, vfork, clone, seccomp, all die with the tracer
_REGISTERS = struct.Struct("<27Q")
_RESULT, _NUMBER, _ARGUMENTS = 10, 15, (14, 13, 12, 7, 9, 8)  # within user_regs_struct
_AT_CALL, _AT_END = 7, signal.SIGTRAP | 0x80

_LIBC = ctypes.CDLL(None, use_errno=True)
_LIBC.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
_LIBC.ptrace.restype = ctypes.c_long


def can_trace() -> bool:
    """Return whether system calls can be traced on this machine."""
    return sys.platform == "linux" and os.uname().machine == "x86_64"


class Fate(Enum):
    """What becomes of a call, besides failing with an errno."""

    HAPPENS = "happens"
    IS_SEEN = "happens, and `left` is told its result"
    KILLS = "does not happen: the program is killed"


@dataclass(frozen=True)
class Call:
    """A system call that is about to happen."""

    thread: int
    name: str
    arguments: tuple[int, ...]

    @cached_property
    def paths(self) -> tuple[str, ...]:
        """The files that it names, as they are called now; what is no file is left out."""
        return tuple(path for where in CALLS[self.name][1] if (path := self._path(where)))

    @property
    def changes(self) -> bool:
        """Whether it may change a file, a folder or a lock."""
        if self.name in ("open", "openat"):
            return bool(self.flags & (os.O_CREAT | os.O_TRUNC))
        return self.locks if self.name == "fcntl" else self.name not in READING

    @property
    def locks(self) -> bool:
        """Whether it takes or drops a lock."""
        return self.name == "flock" or (self.name == "fcntl" and self.arguments[1] in LOCKS)

    @property
    def takes_lock(self) -> bool:
        """Whether it takes a lock: `l_type` comes first in `struct flock`, and 2 is to unlock."""
        return self.name == "fcntl" and self.locks and self.bytes_at(2, 2) != b"\2\0"

    @property
    def flags(self) -> int:
        """The flags of `open` or `openat`."""
        return self.arguments[1 if self.name == "open" else 2]

    def bytes_at(self, argument: int, size: int) -> bytes:
        """Return what an argument points to."""
        with open(f"/proc/{self.thread}/mem", "rb", buffering=0) as memory:
            memory.seek(self.arguments[argument])
            return memory.read(size)

    def text_at(self, argument: int) -> str:
        """Return the path that an argument points to."""
        address, found = self.arguments[argument], b""
        with open(f"/proc/{self.thread}/mem", "rb", buffering=0) as memory:
            while b"\0" not in found:
                memory.seek(address + len(found))
                found += memory.read(4096 - (address + len(found)) % 4096)  # the next page may not be there
        return os.fsdecode(found.partition(b"\0")[0])

    def _path(self, where: object) -> str:
        if where == FD:
            return self.behind(self.arguments[0])
        assert isinstance(where, tuple)
        text = self.text_at(where[-1]) if self.arguments[where[-1]] else ""
        if text.startswith("/"):
            return os.path.normpath(text)
        folder = self.arguments[where[0]] & 0xFFFFFFFF if len(where) == 2 else _AT_FDCWD
        start = self._link("cwd") if folder == _AT_FDCWD else self.behind(folder)
        return os.path.normpath(os.path.join(start, text)) if start else ""

    def behind(self, descriptor: int) -> str:
        """Return the path of an open file; empty if it is none."""
        path = self._link(f"fd/{descriptor & 0xFFFFFFFF}").removesuffix(" (deleted)")
        return path if path.startswith("/") else ""

    def _link(self, name: str) -> str:
        try:
            return os.readlink(f"/proc/{self.thread}/{name}")
        except OSError:
            return ""


class Watcher(Protocol):
    """Whoever decides what becomes of the calls."""

    def entered(self, call: Call) -> Fate | int:
        """Return what becomes of a call that is about to happen; a number is the errno with which it fails."""

    def left(self, call: Call, result: int) -> None:
        """Hear the result of a call that was to be seen: negative is an errno."""


def run_traced(program: Callable[[], int], watcher: Watcher, *, calls: frozenset[str], seconds: float) -> int | None:
    """Run a program in a fork of this process and return its exit status; negative is the signal that ended it, None: it took too long.

    Parameters
    ----------
    program : callable
        Returns the exit status. An exception is printed, as Python does it.
    watcher : Watcher
    calls : frozenset of str
        Names in `CALLS`; at no others it is stopped.
    seconds : float
        After so many it is killed.
    """
    process = fork(lambda: _begin(program, calls))
    try:
        with _limit(seconds):
            os.waitpid(process, 0)  # it stopped itself
            _ptrace(_SET_OPTIONS, process, 0, _OPTIONS)
            _ptrace(_CONTINUE, process)
            return _follow(process, watcher)
    except TimeoutError:
        os.kill(process, signal.SIGKILL)
        _reap(process)
        return None


def fork(program: Callable[[], int]) -> int:
    """Run a function in a fork of this process, which ends with its status and does nothing else; return the process id."""
    process = os.fork()
    if process:
        return process
    status = 70
    try:
        status = program()
    except BaseException:
        traceback.print_exc()
    finally:
        with suppress(OSError, ValueError):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(status)


def _begin(program: Callable[[], int], calls: frozenset[str]) -> int:
    _ptrace(_TRACE_ME, 0)
    os.kill(os.getpid(), signal.SIGSTOP)
    _filter(sorted(CALLS[name][0] for name in calls))
    return program()


def _follow(process: int, watcher: Watcher) -> int:
    """Answer all stops until the process has ended."""
    known, begun = {process}, dict[int, Call]()
    while True:
        thread, status = os.waitpid(-1, _EACH_THREAD)
        if not os.WIFSTOPPED(status):
            if thread == process:
                return os.waitstatus_to_exitcode(status)
            continue
        stop, event = os.WSTOPSIG(status), status >> 16
        try:
            if event == _AT_CALL:
                _answer(thread, process, watcher, begun)
            elif stop == _AT_END:
                watcher.left(begun.pop(thread), _signed(_registers(thread)[_RESULT]))
                _ptrace(_CONTINUE, thread)
            else:
                is_ours = event != 0 or (stop == signal.SIGSTOP and thread not in known)
                known.add(thread)
                _ptrace(_CONTINUE, thread, 0, 0 if is_ours else stop)
        except ProcessLookupError:  # it was killed while it was stopped
            pass


def _answer(thread: int, process: int, watcher: Watcher, begun: dict[int, Call]) -> None:
    registers = _registers(thread)
    call = Call(thread, _NUMBERS[registers[_NUMBER]], tuple(registers[place] for place in _ARGUMENTS))
    fate = watcher.entered(call)
    if fate is Fate.KILLS:
        os.kill(process, signal.SIGKILL)
    elif fate is Fate.IS_SEEN:
        begun[thread] = call
        _ptrace(_TO_THE_END, thread)
    else:
        if isinstance(fate, int):
            registers[_NUMBER], registers[_RESULT] = 2**64 - 1, 2**64 - fate
            _ptrace(_SET_REGISTERS, thread, 0, _REGISTERS.pack(*registers))
        _ptrace(_CONTINUE, thread)


def _registers(thread: int) -> list[int]:
    room = ctypes.create_string_buffer(_REGISTERS.size)
    _ptrace(_GET_REGISTERS, thread, 0, room)
    return list(_REGISTERS.unpack(room))


def _signed(number: int) -> int:
    return number - 2**64 if number >= 2**63 else number


def _ptrace(request: int, thread: int, address: int = 0, data: object = 0) -> None:
    if _LIBC.ptrace(request, thread, address, data) < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"ptrace cannot be used here: {os.strerror(number)}")


def _reap(process: int) -> None:
    with suppress(ChildProcessError):
        while os.waitpid(-1, _EACH_THREAD)[0] != process:
            pass


@contextmanager
def _limit(seconds: float) -> Iterator[None]:
    def out_of_time(*_: object) -> None:
        raise TimeoutError(errno.ETIMEDOUT, "it took too long")

    before = signal.signal(signal.SIGALRM, out_of_time)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def _filter(numbers: list[int]) -> None:
    """Have the kernel stop this thread, and all that it starts, at calls of these numbers. Source: man 2 seccomp."""
    instructions = [(0x20, 0, 0, 0)]  # load the number of the call
    instructions += [(0x15, len(numbers) - place, 0, number) for place, number in enumerate(numbers)]  # jump if equal
    instructions += [(0x06, 0, 0, 0x7FFF0000), (0x06, 0, 0, 0x7FF00000)]  # allow; tell the tracer
    code = ctypes.create_string_buffer(b"".join(struct.pack("<HBBI", *line) for line in instructions))
    program = struct.pack("<HxxxxxxQ", len(instructions), ctypes.addressof(code))
    for arguments in ((38, 1, 0, 0, 0), (22, 2, program, 0, 0)):  # no new privileges; the filter
        if _LIBC.prctl(*arguments) < 0:
            raise OSError(ctypes.get_errno(), "system calls cannot be filtered here")
