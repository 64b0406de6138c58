"""Decide what happens next: the one loop of a session.

The loop sleeps on one queue; engines, the committing thread and requests put what happens there. In each turn it has everything looked up
that is asked for, started that is missing, and settled that is computed, until nothing more follows. It runs in one thread at a time: in
its own for engines that work elsewhere, in the caller's for the in-process engine.

State: the waits and ensembles that may go on, the calls that were made and are not durable, the counts, and the error that broke it, if
one did.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from queue import Empty, SimpleQueue

from holdfast.errors import SessionClosed
from holdfast.model.node import Node
from holdfast.model.reference import Input
from holdfast.runtime.audience import Audience
from holdfast.runtime.commitment import Commitment
from holdfast.runtime.contents import Contents
from holdfast.runtime.dispatch import Consumer, Dispatcher, Pending
from holdfast.runtime.elsewhere import Elsewhere
from holdfast.runtime.ensemble import EnsembleRun
from holdfast.runtime.events import Counts, Event, ResultDiffers
from holdfast.runtime.generated import GeneratedNodes
from holdfast.runtime.happening import Broken, Differing, Happening, Request, Rung
from holdfast.runtime.job import Call, Expanded, Finished, Job, Report, Settled
from holdfast.runtime.known import settle_known
from holdfast.runtime.launch import Launch
from holdfast.runtime.ledger import Ledger
from holdfast.runtime.lookup import LookUp
from holdfast.runtime.places import Places
from holdfast.runtime.settlement import Settlement
from holdfast.runtime.task import Failure, Task, Wait, Waiter, lower, shorten
from holdfast.storage.catalog import Catalog
from holdfast.storage.rows import CallRow

_INTERRUPTED = "It was stopped before the result was there. Ask again; what is finished is kept."


class Scheduler:
    """Runs what is missing for what is requested."""

    def __init__(
        self,
        catalog: Catalog,
        ledger: Ledger,
        contents: Contents,
        dispatcher: Dispatcher,
        elsewhere: Elsewhere,
        inbox: SimpleQueue[Happening],
        audience: Audience,
    ) -> None:
        self.catalog = catalog
        self.ledger = ledger
        self.contents = contents
        self.dispatcher = dispatcher
        self.elsewhere = elsewhere
        self.audience = audience
        self.counts = Counts()
        self.is_stopped = False
        self.broken: Exception | None = None
        self._inbox = inbox
        self._launch = Launch(self)
        self._lookup = LookUp(contents, audience, self.counts, self._launch.add)
        self._settlement = Settlement(self._lookup, ledger, contents, audience)
        self._waits: list[Wait] = []
        self._ensembles: dict[int, EnsembleRun] = {}
        self._made: dict[bytes, Pending] = {}

    @property
    def tasks(self) -> Mapping[str, Task]:
        """The tasks of all nodes that are not settled, or that this session computed for a request, by uid."""
        return self._lookup.tasks

    # what the loop does

    def next_happening(self, wait: float) -> Happening | None:
        """Return what happened, sleeping up to `wait` seconds if there is nothing else to do; needs no lock."""
        try:
            return self._inbox.get_nowait()
        except Empty:
            if self.dispatcher.has_room and self.dispatcher.queued:
                return None
            self.ledger.urge()
        try:
            return self._inbox.get(timeout=min(wait, self.elsewhere.patience))
        except Empty:
            return None

    def turn(self, happening: Happening | None) -> list[Job]:
        """Take what has happened, do all that follows from it, and return the jobs to submit."""
        try:
            self._take_all(happening)
            self._follow_all()
            jobs = self.dispatcher.fill()
            while settle_known(self):
                self._follow_all()
                jobs += self.dispatcher.fill()
            self.ledger.send()
        except Exception as error:  # a damaged catalog, a full disk, a bug: nobody may wait for ever
            self.break_off(error)
            return []
        self.counts.running = self.dispatcher.running
        self.counts.elsewhere = len(self.elsewhere)
        return jobs

    def abandon(self) -> None:
        """Cancel everything that is under way, and commit what is finished: the session ends, or was interrupted."""
        if self.broken is None:
            self.ledger.send()
        failure = Failure("holdfast", "", "", "SessionClosed", _INTERRUPTED, cause=SessionClosed(_INTERRUPTED))
        for task in list(self.tasks.values()):
            self._settlement.cancel(task, failure)
        self._lookup.forget(failure)
        for wait in self._waits:
            wait.then(failure)
        self._launch.forget()
        self._waits, self._ensembles = [], {}
        self.dispatcher.forget()
        self.counts.waiting = self.counts.running = self.counts.elsewhere = 0
        while (late := self._late_request()) is not None:
            late.settled(failure)

    def _follow_all(self) -> None:
        while self._lookup.is_due or self._launch.is_due or self._waits or self._ensembles:
            self._lookup.look_up()
            self._launch.start()
            self._advance_waits()
            self._advance_ensembles()

    def _take_all(self, happening: Happening | None) -> None:
        while happening is not None:
            self._take(happening)
            try:
                happening = self._inbox.get_nowait()
            except Empty:
                return

    def _take(self, happening: Happening) -> None:
        if isinstance(happening, Report):
            for pending, outcome in self.dispatcher.take(happening):
                self._settle_call(pending, outcome)
        elif isinstance(happening, Commitment):
            self._settlement.acknowledge(happening)
            for key in happening.calls:
                self._made.pop(key, None)
        elif isinstance(happening, Request):
            self._take_request(happening)
        elif isinstance(happening, Differing):
            self._tell_differences(happening)
        elif isinstance(happening, Broken):
            self.break_off(happening.error)
        elif not isinstance(happening, Rung):
            self.is_stopped = True

    def _take_request(self, request: Request) -> None:
        self._lookup.requests += 1
        watch = self.wait(request.settled)
        watch.waits = 1
        if self.broken is not None:
            watch.failure = _breakage(self.broken)
        else:
            self._lookup.ask(request.items, watch, is_request=True)
        lower(watch, None)

    def _late_request(self) -> Request | None:
        try:
            while not isinstance(happening := self._inbox.get_nowait(), Request):
                continue
        except Empty:
            return None
        return happening

    # what loops, ensembles and calls ask for

    def require(self, item: Input, waiter: Waiter) -> None:
        """Let `waiter` proceed when all references of `item` are computed or failed; at once if they are."""
        self._lookup.ask(item, waiter)

    def wait(self, then: Callable[[Failure | None], None]) -> Wait:
        """Return a wait that calls back from the loop."""
        return Wait(then, self._enqueue_wait)

    def advance_ensemble(self, run: EnsembleRun) -> None:
        """Let an ensemble go on in this turn."""
        self._ensembles[id(run)] = run

    def finish(self, task: Task, text: bytes, places: Places) -> None:
        """Give a loop, an ensemble or a gathered value its result."""
        self._settlement.finish(task, text, places)

    def compute(self, task: Task, text: bytes) -> None:
        """Let dependents use a value that will be durable with the next commitment."""
        self._settlement.compute(task, text)

    def fail(self, task: Task, failure: Failure, *, row: bool = False) -> None:
        """Settle a task without a result, and tell those that depend on it."""
        self._settlement.fail(task, failure, row=row)

    def make_call(self, node: Node, call: Call, places: Places, consumer: Consumer, index: int) -> None:
        """Have a call made, unless it is under way or returned nodes earlier."""
        self._launch.make_calls(node, [(index, call)], places, consumer)

    def make_calls(self, node: Node, calls: Iterable[tuple[int, Call]], places: Places, consumer: Consumer) -> None:
        """Have calls of one operation made, each of which the consumer knows by a number."""
        self._launch.make_calls(node, calls, places, consumer)

    def reuse(self, task: Task, row: CallRow) -> None:
        """Give a node the result that its call has already."""
        self._launch.reuse(task, row)

    def tell(self, event: Event) -> None:
        """Tell whoever listens."""
        self.audience.tell(event)

    def _enqueue_wait(self, wait: Wait) -> None:
        self._waits.append(wait)

    def _advance_waits(self) -> None:
        waits, self._waits = self._waits, []
        for wait in waits:
            wait.then(wait.failure)

    def _advance_ensembles(self) -> None:
        runs, self._ensembles = self._ensembles, {}
        for run in runs.values():
            run.advance()

    def _settle_call(self, pending: Pending, outcome: Settled) -> None:
        if isinstance(outcome, Expanded):
            for consumer, index in pending.consumers:
                self.ledger.add_needs(bytes.fromhex(consumer.store_uid(index)), (pending.call.key,))
            GeneratedNodes(self, pending, outcome.document, outcome.seconds).keep()
            return
        if isinstance(outcome, Finished):
            consumer, index = pending.consumers[0]
            store = consumer.store_uid(index) if outcome.staged else ""
            self.ledger.add_call(pending.operation.name.text, outcome, store)
            self._made[outcome.key] = pending
        for consumer, index in pending.consumers:
            consumer.settled(index, outcome)

    def _tell_differences(self, differing: Differing) -> None:
        """Tell of calls; what is composed of their results is another too, and no news."""
        for key, earlier, later, is_lost in differing.conflicts:
            pending = self._made.get(key)
            if pending is not None:
                consumer, index = pending.consumers[0]
                where, arguments = consumer.reference(index), shorten(pending.call.arguments)
                codes = key.hex(), earlier.hex(), later.hex()
                self.tell(ResultDiffers(pending.operation.name.text, where, arguments, *codes, is_lost))

    def break_off(self, error: Exception) -> None:
        """Fail everything that is under way, and all that is asked for later."""
        self.broken = error
        failure = _breakage(error)
        self._lookup.forget(failure)
        self._launch.forget()
        self._ensembles = {}
        self.dispatcher.forget()
        for task in list(self.tasks.values()):
            self.fail(task, failure)
        waits, self._waits = self._waits, []
        for wait in waits:
            wait.then(failure)


def _breakage(error: Exception) -> Failure:
    """Return the failure of all that was under way when a session broke."""
    return Failure("holdfast", "", "", type(error).__name__, str(error), cause=error)
