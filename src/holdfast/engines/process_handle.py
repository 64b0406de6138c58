"""Hold one worker process: start it, send it assignments, hear from it, take back what it has not begun, end it.

Never waits: what the socket does not take at once is kept until it does.
State: the process, its socket and pipe, what is assigned to it, and what of it was sent and received.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from holdfast.engines.process_messages import CLAIM, End, Forget, Frame, Knowledge, SearchPath, frame, pack, unpack
from holdfast.runtime.job import Code, Job, Report

BLOCK = 1 << 18
"""Bytes read at once."""

CODES_LIMIT = 256
"""How many codes a worker keeps."""

_START = (
    "import sys; sys.path[:] = sys.argv[3:]; "
    "from holdfast.engines.process_worker import main; main(*map(int, sys.argv[1:3]))"
)


@dataclass(frozen=True, slots=True)
class Numbered:
    """A code, and the number that stands for it."""

    number: int
    code: Code


@dataclass(eq=False, slots=True)
class Task:
    """A job that is under way or waits, ready to be sent."""

    job: Job
    report: Callable[[Report], None]
    code: Numbered
    body: bytes
    """The job as a packed `Parcel`."""
    is_cancelled: bool = False


@dataclass(eq=False, slots=True)
class Handle:
    """A worker process, seen from the coordinator."""

    process: subprocess.Popen[bytes]
    channel: socket.socket
    claims: tuple[int, int]
    """Both ends of the pipe with the numbers of what is assigned and not begun."""
    path: tuple[str, ...]
    """The `sys.path` that it has."""
    assigned: dict[int, Task] = field(default_factory=dict)
    is_ready: bool = False
    """Whether it was heard of."""
    is_heard: bool = True
    """Whether it may still be heard of."""
    is_ending: bool = False
    """Whether it was told to end, one way or another."""
    known: set[int] = field(default_factory=set)
    unsent: deque[memoryview] = field(default_factory=deque)
    received: bytearray = field(default_factory=bytearray)

    def assign(self, number: int, task: Task, path: tuple[str, ...]) -> None:
        """Send a task, after what the worker must know for it."""
        self.assigned[number] = task
        os.write(self.claims[1], CLAIM.pack(number))  # first the claim: without it the worker drops the assignment
        if path != self.path:
            self._send(frame(pack(SearchPath(path))))
            self.path = path
        if task.code.number not in self.known:
            self._tell(task.code)
        self._send(frame(task.body, number, task.code.number))

    def take_back(self) -> list[Task]:
        """Return the tasks that it has not begun, in order; it will not begin them any more."""
        try:
            claims = os.read(self.claims[0], 65536)
        except BlockingIOError:
            return []
        return [self.assigned.pop(number) for (number,) in CLAIM.iter_unpack(claims)]

    def end(self) -> None:
        """Let it end by itself."""
        self.is_ending = True
        self._send(frame(pack(End())))

    def kill(self, number: signal.Signals = signal.SIGKILL) -> None:
        """End it, and all that it has started."""
        self.is_ending = True
        try:
            os.killpg(self.process.pid, number)
        except (ProcessLookupError, PermissionError):  # all gone; macOS says so by the latter
            return

    def flush(self) -> None:
        """Send on, as far as the socket takes it."""
        while self.unsent:
            try:
                sent = self.channel.send(self.unsent[0])
            except BlockingIOError:
                return
            except OSError:  # it has ended, which is heard of in another way
                self.unsent.clear()
                return
            rest = self.unsent[0][sent:]
            if rest:
                self.unsent[0] = rest
            else:
                self.unsent.popleft()

    def receive(self) -> list[Frame]:
        """Return what has arrived; once it has hung up, `is_heard` is false."""
        frames: list[Frame] = []
        try:
            while self.is_heard:
                block = self.channel.recv(BLOCK)
                self.is_heard = bool(block)
                self.received += block
                frames.extend(unpack(self.received))
                if len(block) < BLOCK:
                    break
        except BlockingIOError:
            pass
        except Exception:  # a reset, or a user's function wrote into our socket: then nothing it says can be believed
            self.is_heard = False
        return frames

    def close(self) -> None:
        """Release socket and pipe of a process that has ended."""
        self.channel.close()
        for descriptor in self.claims:
            os.close(descriptor)

    def _tell(self, code: Numbered) -> None:
        if len(self.known) >= CODES_LIMIT:
            self._send(frame(pack(Forget())))
            self.known.clear()
        self.known.add(code.number)
        self._send(frame(pack(Knowledge(code.number, code.code))))

    def _send(self, data: bytes) -> None:
        self.unsent.append(memoryview(data))
        self.flush()


def start(path: tuple[str, ...], directory: str | None, environment: Mapping[str, str]) -> Handle:
    """Start a worker process.

    Parameters
    ----------
    path : tuple of str
        Its `sys.path`.
    directory : str, optional
        Where it runs; where the coordinator is if None.
    environment : mapping
        Its environment variables.

    Raises
    ------
    OSError
        The system does not let another process or file be opened.
    """
    ours, theirs = socket.socketpair()
    claims = os.pipe()
    try:
        for descriptor in claims:
            os.set_blocking(descriptor, False)
        ours.setblocking(False)
        process = subprocess.Popen(
            [*_interpreter(), "-P", "-c", _START, str(theirs.fileno()), str(claims[0]), *path],
            stdin=subprocess.DEVNULL,
            pass_fds=(theirs.fileno(), claims[0]),
            cwd=directory,
            env=environment,
            start_new_session=True,  # so Ctrl-C does not reach it, and it can be ended with all that it starts
        )
    except BaseException:
        ours.close()
        os.close(claims[0])
        os.close(claims[1])
        raise
    finally:
        theirs.close()
    return Handle(process, ours, claims, path)


def _interpreter() -> list[str]:
    """Return how to start another Python like this one."""
    switches = ["-O"] * sys.flags.optimize + ["-E"] * sys.flags.ignore_environment + ["-s"] * sys.flags.no_user_site
    options = [f"-X{name}" if value is True else f"-X{name}={value}" for name, value in sys._xoptions.items()]
    return [sys.executable, *switches, *options, *(f"-W{choice}" for choice in sys.warnoptions)]
