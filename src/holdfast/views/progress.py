"""Show how far a session is: a live bar on a terminal, plain lines elsewhere.

Reads the session's counts a few times a second and listens to its events. May fail without the run noticing; never decides anything.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import monotonic
from typing import Protocol, TextIO

from holdfast.runtime.events import (
    CodeChanged,
    Counts,
    Event,
    MadeElsewhere,
    NodeFailed,
    ResultDiffers,
    RoundDone,
    WorkerLost,
)

LIVE_SECONDS = 0.2
LINES_SECONDS = 10.0


class Watched(Protocol):
    """What is watched: a session."""

    @property
    def counts(self) -> Counts:
        """How far it is."""

    def listen(self, listener: Callable[[Event], None]) -> None:
        """Send events."""


@contextmanager
def watch(session: Watched, *, show: bool = True, stream: TextIO | None = None) -> Iterator[None]:
    """Show the progress of a session while the block runs, and one line of summary after it.

    Parameters
    ----------
    session : Session
    show : bool
        Whether to show anything.
    stream : text stream, optional
        Where to; standard error by default.
    """
    if not show:
        yield
        return
    out = sys.stderr if stream is None else stream
    view = _LiveView(session, out) if out.isatty() else _LineView(session, out)
    session.listen(view.take)
    view.start()
    try:
        yield
    finally:
        view.stop()


def describe(event: Event) -> str | None:
    """Return the line for an event that a person wants to read; None for the many others."""
    if isinstance(event, CodeChanged):
        return f"{event.operation} runs again: its code has changed ({', '.join(event.parts)})"
    if isinstance(event, WorkerLost):
        return f"{event.operation}: a worker was lost ({event.reason}); its work is done again"
    if isinstance(event, ResultDiffers):
        what = f"{event.operation} {event.node[:8]}{event.node[64:]} gave another result than before"
        return f"{what}: {event.later[:16]}… instead of {event.earlier[:16]}…"
    if isinstance(event, MadeElsewhere):
        who = (
            f"session {event.session} of process {event.process} on {event.host}"
            if event.host
            else f"session {event.session}"
        )
        return f"{event.operation}: {who} makes calls that are needed here; their results are waited for"
    if isinstance(event, RoundDone):
        return f"{event.operation} {event.uid[:8]}: round {event.number} done"
    if isinstance(event, NodeFailed):
        return f"{event.operation} {event.uid[:8]} failed: {event.reason}"
    return None


def summary(counts: Counts, seconds: float) -> str:
    """Return how far it is, in one line."""
    parts = [f"{counts.done} done", f"{counts.reused} reused"]
    parts += [f"{counts.running} running"] if counts.running else []
    parts += [f"{counts.elsewhere} made elsewhere"] if counts.elsewhere else []
    parts += [f"{counts.failed} failed"] if counts.failed else []
    rate = counts.done / seconds if seconds > 0 else 0.0
    parts += [f"{rate:.1f}/s"] if counts.done else []
    if counts.waiting and rate:
        parts.append(f"{_duration(counts.waiting / rate)} left")
    why = ", ".join(f"{number} {reason}" for reason, number in list(counts.reasons.items()) if number)
    return ", ".join(parts) + (f"; made for: {why}" if why else "")


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


class _LineView:
    """Writes a line for each event that matters, and now and then how far it is."""

    def __init__(self, session: Watched, stream: TextIO) -> None:
        self._session = session
        self._stream = stream
        self._begun = monotonic()
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._report, name="holdfast progress", daemon=True)

    def take(self, event: Event) -> None:
        """Write the line of an event."""
        line = describe(event)
        if line is not None:
            print(f"holdfast: {line}", file=self._stream, flush=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """Write the last line."""
        self._stopped.set()
        self._thread.join(1.0)
        self._write()

    def _report(self) -> None:
        while not self._stopped.wait(LINES_SECONDS):
            self._write()

    def _write(self) -> None:
        print(f"holdfast: {summary(self._session.counts, monotonic() - self._begun)}", file=self._stream, flush=True)


class _LiveView:
    """Keeps a bar on the last line of a terminal."""

    def __init__(self, session: Watched, stream: TextIO) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

        self._session = session
        self._begun = monotonic()
        self._console = Console(file=stream, stderr=False)
        self._progress = Progress(
            TextColumn("holdfast"),
            BarColumn(),
            TextColumn("{task.description}"),
            TimeElapsedColumn(),
            console=self._console,
        )
        self._bar = self._progress.add_task("", total=None)
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._refresh, name="holdfast progress", daemon=True)

    def take(self, event: Event) -> None:
        """Write the line of an event above the bar."""
        line = describe(event)
        if line is not None:
            self._progress.console.print(line, highlight=False, markup=False)

    def start(self) -> None:
        """Show the bar."""
        self._progress.start()
        self._thread.start()

    def stop(self) -> None:
        """Leave the bar as it ended."""
        self._stopped.set()
        self._thread.join(1.0)
        self._update()
        self._progress.stop()

    def _refresh(self) -> None:
        while not self._stopped.wait(LIVE_SECONDS):
            self._update()

    def _update(self) -> None:
        counts = self._session.counts
        finished = counts.done + counts.reused
        total = finished + counts.failed + max(counts.waiting, counts.running)
        self._progress.update(
            self._bar, completed=finished, total=total or None, description=summary(counts, monotonic() - self._begun)
        )
