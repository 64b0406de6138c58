"""Say what may happen to a session's loop: what its queue carries. Plain data."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from holdfast.model.reference import Input
from holdfast.runtime.commitment import Commitment
from holdfast.runtime.job import Report
from holdfast.runtime.task import Failure
from holdfast.storage.rows import Conflict


@dataclass(frozen=True, slots=True)
class Request:
    """Somebody wants results."""

    items: tuple[Input, ...]
    settled: Callable[[Failure | None], None]
    """Called when all are durable or failed."""


@dataclass(frozen=True, slots=True)
class Differing:
    """Calls that were made again gave other results than before; told before the commitment that they belong to."""

    conflicts: tuple[Conflict, ...]


@dataclass(frozen=True, slots=True)
class Broken:
    """The store refuses to write; nothing more can be promised."""

    error: Exception


@dataclass(frozen=True, slots=True)
class Rung:
    """It is time to look at what other sessions make."""


@dataclass(frozen=True, slots=True)
class Stop:
    """The loop is to end."""


Happening = Request | Report | Commitment | Differing | Broken | Rung | Stop
