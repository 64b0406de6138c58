"""Say what the coordinating process and a worker process tell each other, and frame it.

A frame is a head of fixed size, with length and number, and a body. A frame with a number is an assignment, or the
outcomes of one; a frame without is a word about the conversation itself. Needs nothing but what a worker has loaded
anyway, so that workers start fast.
"""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from struct import Struct
from typing import Any, NamedTuple

from holdfast.runtime.job import ArraySource, Call, Code

HEAD = Struct("<QQQ")
"""Length of the body, number of the assignment or 0, number of its code or 0."""

CLAIM = Struct("<Q")
"""Number of an assignment, in the pipe from which worker and coordinator claim them."""


class Parcel(NamedTuple):
    """A job without its code, which each worker is told once."""

    ticket: int
    calls: tuple[Call, ...]
    sources: dict[str, ArraySource]
    directory: str


class Knowledge(NamedTuple):
    """A code that later assignments name by number."""

    code: int
    meaning: Code


class SearchPath(NamedTuple):
    """Where the coordinator imports modules from now."""

    entries: tuple[str, ...]


class Forget(NamedTuple):
    """Drop all codes that were told."""


class End(NamedTuple):
    """There will be no further assignments."""


class Ready(NamedTuple):
    """The worker waits for assignments."""


class Frame(NamedTuple):
    """What arrived."""

    number: int
    code: int
    body: Any


def pack(body: object) -> bytes:
    """Return the bytes of a body."""
    return pickle.dumps(body, pickle.HIGHEST_PROTOCOL)


def frame(body: bytes, number: int = 0, code: int = 0) -> bytes:
    """Return a whole frame."""
    return HEAD.pack(len(body), number, code) + body


def unpack(received: bytearray) -> Iterator[Frame]:
    """Take all whole frames from the front of `received`."""
    while len(received) >= HEAD.size:
        length, number, code = HEAD.unpack_from(received)
        end = HEAD.size + length
        if len(received) < end:
            return
        with memoryview(received) as whole, whole[HEAD.size : end] as body:
            content = pickle.loads(body)
        del received[:end]
        yield Frame(number, code, content)
