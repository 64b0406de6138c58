"""Tell other sessions that there is something to look at, and be told, without looking again and again.

Each session listens at a local socket that has a name and no file (Linux only); who has something to tell sends a byte to those of the
others. A ring says nothing else, may come without a reason and from anybody, and several may be heard as one. Where there are no such
sockets, waiting ends by itself now and then. Never proves that somebody lives.

State: the socket.
"""

from __future__ import annotations

import socket
import sys
from collections.abc import Iterable
from contextlib import suppress
from threading import Event

HAS_NAMES = sys.platform == "linux"
"""Whether sockets can have names without files. Source: man 7 unix, "abstract"."""

LOOK_SECONDS = 1.0
"""How often is looked where nobody can ring."""


class Doorbell:
    """The bell of one session; heard by one thread."""

    def __init__(self, session: str) -> None:
        self._session = session
        self._closing = Event()
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) if HAS_NAMES else None
        if self._socket is not None:
            self._socket.bind(_name(session))

    def wait(self) -> bool:
        """Return when somebody rang; False when the bell is to be closed."""
        if self._socket is None:
            return not self._closing.wait(LOOK_SECONDS)
        self._socket.recv(1)
        return not self._closing.is_set()

    def ring(self, sessions: Iterable[str]) -> None:
        """Ring at sessions, but not at this one; who cannot hear it is left out."""
        for session in sessions:
            if session != self._session:
                self._ring(session)

    def stop(self) -> None:
        """Have `wait` return for good."""
        self._closing.set()
        self._ring(self._session)

    def close(self) -> None:
        """Take the bell away; nobody waits any more."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _ring(self, session: str) -> None:
        if self._socket is not None:
            with suppress(OSError):  # nobody listens, or many rings were not heard yet
                self._socket.sendto(b"!", socket.MSG_DONTWAIT, _name(session))


def _name(session: str) -> str:
    return f"\0holdfast/{session}"
