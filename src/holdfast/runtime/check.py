"""Make finished calls again, and compare what they give with what is stored, which stays.

Only digests come back from the workers, so nothing is written and no checkpoint is read: each call begins anew. What follows from a call is
made with its stored result, so that one call that differs does not hide those behind it.

State: the calls that are queued or under way, and what was found.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from hashlib import sha256
from heapq import nsmallest
from math import ceil
from operator import itemgetter
from queue import Empty, SimpleQueue
from typing import Any

from holdfast.errors import GraphError
from holdfast.model.reference import Input
from holdfast.runtime.contents import Contents
from holdfast.runtime.dispatch import Dispatcher, Pending
from holdfast.runtime.engine import Engine
from holdfast.runtime.events import Event, ResultDiffers
from holdfast.runtime.finished import FinishedCall, FinishedCalls, identity_of
from holdfast.runtime.job import Expanded, Failed, Finished, Report, Settled
from holdfast.runtime.task import shorten
from holdfast.storage.catalog import Catalog
from holdfast.storage.rows import CallRow
from holdfast.storage.workdir import WorkDirectory

AHEAD = 2_000
"""Calls that are queued at once."""

PATIENCE = 3600.0
"""Seconds between two reports of an engine; a call that takes longer is waited for again."""


@dataclass(frozen=True, slots=True)
class Check:
    """What came of making finished calls again."""

    calls: int
    """Calls that were made again."""
    finished: int
    """Calls that have a result."""
    unfinished: int
    """Calls, and nodes that stand for calls, that have no result to compare with, and were not made."""
    differences: tuple[ResultDiffers, ...]
    """Calls that gave another result, or failed."""

    def to_json(self) -> dict[str, Any]:
        """Return plain dictionaries and lists, for `json.dumps`."""
        return {**asdict(self), "differences": [asdict(difference) for difference in self.differences]}

    def __str__(self) -> str:
        """Return it in lines, for people."""
        made = f"{self.calls} of {self.finished} finished calls were made again"
        lines = [f"{made}; {len(self.differences) or 'none'} gave another result than before"]
        lines += [f"not made, since there is no result yet: {self.unfinished}"] if self.unfinished else []
        return "\n".join([*lines, *map(str, self.differences)])


def check(
    workdir: WorkDirectory,
    items: Iterable[Input],
    engine: Engine,
    tickets: Iterator[int],
    tell: Callable[[Event], None],
    *,
    sample: float | None = None,
    seed: str = "",
) -> Check:
    """Make the finished calls behind a request again.

    Parameters
    ----------
    workdir : WorkDirectory
    items : iterable of input
    engine : Engine
        Where the calls are made; may have other jobs too.
    tickets : iterator of int
        Gives numbers that no other job of the engine has.
    tell : callable
        Told of each difference.
    sample : int or float, optional
        How many of the calls, or, below 1, which part of them; all by default.
    seed : str
        Chooses which ones.

    Raises
    ------
    GraphError
        The sample is neither a number of calls nor a part of them.
    """
    if sample is not None and (isinstance(sample, bool) or sample <= 0 or (isinstance(sample, float) and sample > 1)):
        raise GraphError(
            f"{sample!r} is no sample. Give a number of calls, such as 100, or a part of them, such as 0.1."
        )
    wanted = list(items)
    with Catalog.open(workdir, read_only=True) as catalog:
        contents = Contents(workdir, catalog, shares_memory=engine.shares_memory, store_type="numpy")
        checker = _Checker(engine, contents, tickets, tell)
        found = FinishedCalls(catalog, contents)
        calls: Iterable[FinishedCall] = found.behind(wanted)
        if isinstance(sample, float):
            sample = ceil(sample * sum(1 for _ in FinishedCalls(catalog, contents).behind(wanted)))
        if sample is not None:  # those of which seed and key together have the least digests
            calls = nsmallest(sample, calls, key=lambda each: sha256(seed.encode() + each.call.key).digest())
        checker.make(calls)
    return Check(checker.made, found.finished, found.unfinished + checker.skipped, checker.differences)


class _Checker:
    """Makes calls on an engine, and compares."""

    def __init__(
        self, engine: Engine, contents: Contents, tickets: Iterator[int], tell: Callable[[Event], None]
    ) -> None:
        self.made = 0
        self.skipped = 0
        self._taken = 0
        self._found: list[tuple[int, ResultDiffers]] = []
        self._engine = engine
        self._tell = tell
        self._inbox: SimpleQueue[Report] = SimpleQueue()
        self._dispatcher = Dispatcher(engine, contents, "", self._inbox.put, tell, tickets=tickets, keeps_results=False)

    @property
    def differences(self) -> tuple[ResultDiffers, ...]:
        """The calls that gave another result, in the order in which they were met."""
        return tuple(difference for _, difference in sorted(self._found, key=itemgetter(0)))

    def make(self, calls: Iterable[FinishedCall]) -> None:
        """Make calls, no more than `AHEAD` ahead of the engine."""
        for each in calls:
            node = each.node
            self._dispatcher.add(node.code, identity_of(node), each.call, each.places, _Expected(each), self._taken)
            self._taken += 1
            while self._dispatcher.queued >= AHEAD:
                self._go_on()
        while self._dispatcher.queued or self._dispatcher.running:
            self._go_on()

    def _go_on(self) -> None:
        for job in self._dispatcher.fill():
            self._engine.submit(job, self._inbox.put)
        try:
            report = self._inbox.get(timeout=PATIENCE)
        except Empty:
            return
        for pending, outcome in self._dispatcher.take(report):
            self._dispatcher.release(pending)
            self._compare(pending, outcome)

    def _compare(self, pending: Pending, outcome: Settled) -> None:
        ((expected, position),) = pending.consumers
        assert isinstance(expected, _Expected)
        call = expected.finished
        if isinstance(outcome, Expanded) and call.is_accepted:  # the nodes name the code that returned them
            self.skipped += 1
            return
        self.made += 1
        found = _found(outcome)
        if found != call.digest.hex():
            name, shown = str(pending.operation.name), shorten(call.call.arguments)
            difference = ResultDiffers(name, call.where, shown, call.call.key.hex(), call.digest.hex(), found)
            self._found.append((position, difference))
            self._tell(difference)


class _Expected:
    """What a call gave before; takes part in its being made again."""

    def __init__(self, finished: FinishedCall) -> None:
        self.finished = finished

    def store_uid(self, index: int) -> str:
        """Return nothing: no result is stored."""
        return ""

    def reference(self, index: int) -> str:
        """Return the reference of the node or member."""
        return self.finished.where

    def started(self, index: int) -> None:
        """Take note of nothing: nobody waits."""

    def made_elsewhere(self, index: int) -> None:
        """Nothing: a check claims nothing, and makes again what is there."""

    def reuse(self, index: int, row: CallRow) -> None:
        """Nothing, for the same reason."""

    def settled(self, index: int, outcome: Finished | Failed) -> None:
        """Take note of nothing: outcomes are compared where they come in."""


def _found(outcome: Settled) -> str:
    if isinstance(outcome, Failed):
        return f"{outcome.kind}: {outcome.reason}"
    return outcome.digest.hex() if isinstance(outcome, Finished) else sha256(outcome.document.encode()).hexdigest()
