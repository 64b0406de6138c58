"""Group the calls that are to be made into jobs, and keep the engine busy with them.

A call that is under way or queued is never queued again: whoever needs it joins. One that another session makes waits elsewhere. Jobs
are sized by what the operation's calls took so far, so that a message is worth sending and little is lost when a worker dies. Never
looks at a graph.

State: the queue of each operation, who waits for each call, the jobs that the engine has, and the mean time of each operation's calls.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from holdfast.errors import HoldfastError
from holdfast.runtime.code import describe
from holdfast.runtime.contents import Contents
from holdfast.runtime.elsewhere import Elsewhere
from holdfast.runtime.engine import Engine
from holdfast.runtime.events import Event, WorkerLost
from holdfast.runtime.job import Call, Code, Expanded, Failed, Finished, Job, Lost, Outcome, Report, Settled
from holdfast.runtime.places import Places
from holdfast.storage.rows import CallRow

JOB_SECONDS = 0.05
INLINE_SECONDS = 0.01
"""A job of short calls is filled up to about this time; less where Ctrl-C may interrupt it in the middle."""

JOB_CALLS = 2_000
"""A job never holds more calls."""

SHARED_CALLS = 250
"""The same beside other sessions, which can make none of them meanwhile."""

ATTEMPTS = 4
"""A call whose worker was lost so often is given up."""


class Consumer(Protocol):
    """Whoever needs the outcome of a call: a node, or an ensemble on behalf of a member."""

    def store_uid(self, index: int) -> str:
        """Return the name that a store for the result has."""

    def reference(self, index: int) -> str:
        """Return the reference of the node or member, for people."""

    def started(self, index: int) -> None:
        """Take note that the call is with the engine."""

    def made_elsewhere(self, index: int) -> None:
        """Take note that another session makes the call."""

    def reuse(self, index: int, row: CallRow) -> None:
        """Take the result that another session has made durable."""

    def settled(self, index: int, outcome: Finished | Failed) -> None:
        """Take the outcome of the call."""


@dataclass(slots=True)
class Pending:
    """A call that is queued or under way."""

    operation: Any
    identity: bytes
    """What tells operation and implementation apart from all others."""
    call: Call
    places: Places
    consumers: list[tuple[Consumer, int]]
    why: str = ""
    """In two words, why the call is made."""
    attempts: int = 0


@dataclass(slots=True)
class Queue:
    """The calls of one operation."""

    operation: Any
    code: Code | None = None
    waiting: deque[Pending] = field(default_factory=deque)
    mean: float | None = None
    """Seconds that a call took, as a moving mean; None before the first."""


class Dispatcher:
    """Hands calls to an engine."""

    def __init__(
        self,
        engine: Engine,
        contents: Contents,
        directory: str,
        report: Callable[[Report], None],
        tell: Callable[[Event], None],
        *,
        tickets: Iterator[int],
        keeps_results: bool = True,
        elsewhere: Elsewhere | None = None,
    ) -> None:
        self.elsewhere = elsewhere
        self._engine = engine
        self._contents = contents
        self._directory = directory
        self._report = report
        self._tell = tell
        self._queues: dict[bytes, Queue] = {}
        self._pending: dict[bytes, Pending] = {}
        self._jobs: dict[int, tuple[Queue, list[Pending]]] = {}
        self._tickets = tickets
        self._keeps_results = keeps_results

    @property
    def queued(self) -> int:
        """How many calls wait for a worker."""
        return sum(len(queue.waiting) for queue in self._queues.values())

    @property
    def running(self) -> int:
        """How many calls the engine has."""
        return sum(len(pendings) for _, pendings in self._jobs.values())

    @property
    def has_room(self) -> bool:
        """Whether the engine would take another job."""
        return len(self._jobs) < (1 if self._engine.is_inline else 2 * self._engine.slots)

    def join(self, key: bytes, consumer: Consumer, index: int) -> bool:
        """Let a consumer wait for a call that is queued or under way already; return whether there is one."""
        pending = self._pending.get(key)
        if pending is None:
            return False
        pending.consumers.append((consumer, index))
        return True

    def add(
        self, operation: Any, identity: bytes, call: Call, places: Places, consumer: Consumer, index: int, why: str = ""
    ) -> None:
        """Queue a call of an operation; `identity` tells operation and implementation apart from all others."""
        pending = Pending(operation, identity, call, places, [(consumer, index)], why)
        self._pending[call.key] = pending
        queue = self._queues.get(identity)
        if queue is None:
            queue = self._queues[identity] = Queue(operation)
        queue.waiting.append(pending)

    def hold(self, operation: Any, identity: bytes, call: Call, consumer: Consumer, index: int) -> Pending:
        """Return a call that need not be made, and let others join it until it is released."""
        pending = Pending(operation, identity, call, {}, [(consumer, index)])
        self._pending[call.key] = pending
        return pending

    def release(self, pending: Pending) -> None:
        """Let nobody join a call any more: its outcome is known."""
        self._pending.pop(pending.call.key, None)

    def disclaim(self, keys: Collection[bytes]) -> None:
        """Let other sessions make calls that have no result here."""
        if keys and self.elsewhere is not None:
            self.elsewhere.disclaim(keys)

    def fill(self) -> list[Job]:
        """Return the jobs that the engine has room for; an inline engine takes one at a time."""
        if self.elsewhere is not None:
            self.elsewhere.review()
        jobs: list[Job] = []
        while self.has_room:
            queue = self._longest()
            if queue is None:
                break
            job = self._next_job(queue)
            if job is not None:
                jobs.append(job)
        return jobs

    def take(self, report: Report) -> Iterator[tuple[Pending, Settled]]:
        """Yield the calls that a report settles; lost ones are queued again.

        Each may be joined until it is yielded, since what follows from one may need the next; expanded ones until they are released.
        """
        if report.ticket not in self._jobs:  # it was forgotten
            return
        queue, pendings = self._jobs.pop(report.ticket)
        reasons = sorted({outcome.reason for outcome in report.outcomes if isinstance(outcome, Lost)})
        if reasons:
            self._tell(WorkerLost(str(queue.operation.name), reasons[0]))
        for pending, outcome in zip(pendings, report.outcomes, strict=True):
            final = self._judge(queue, pending, outcome)
            if final is not None:
                if not isinstance(final, Expanded):
                    self.release(pending)
                if isinstance(final, Failed):
                    self.disclaim([pending.call.key])
                yield pending, final

    def forget(self) -> None:
        """Drop everything that is queued or under way; reports that still come are ignored."""
        self.disclaim([pending.call.key for _, pendings in self._jobs.values() for pending in pendings])
        if self.elsewhere is not None:
            self.elsewhere.forget()
        self._queues.clear()
        self._pending.clear()
        self._jobs.clear()

    def _judge(self, queue: Queue, pending: Pending, outcome: Outcome) -> Settled | None:
        if not isinstance(outcome, Lost):
            queue.mean = outcome.seconds if queue.mean is None else 0.7 * queue.mean + 0.3 * outcome.seconds
            return outcome
        if outcome.reason.startswith("cannot store"):
            return Failed(pending.call.key, "StoreFailure", outcome.reason, "")
        pending.attempts += 1
        if pending.attempts < ATTEMPTS:
            queue.waiting.appendleft(pending)
            return None
        return Failed(
            pending.call.key, "EngineFailure", f"its worker was lost {ATTEMPTS} times; last: {outcome.reason}", ""
        )

    def _longest(self) -> Queue | None:
        queue = max(self._queues.values(), key=lambda queue: len(queue.waiting), default=None)
        return queue if queue is not None and queue.waiting else None

    def _next_job(self, queue: Queue) -> Job | None:
        pendings = [queue.waiting.popleft() for _ in range(self._job_size(queue))]
        if self.elsewhere is not None:
            pendings = self.elsewhere.sift(queue, pendings)
        if not pendings:
            return None
        ticket = next(self._tickets)
        self._jobs[ticket] = (queue, pendings)
        try:
            job = self._job(ticket, queue, pendings)
        except HoldfastError as error:
            kind, reason = type(error).__name__, str(error)
            self._report(Report(ticket, tuple(Failed(pending.call.key, kind, reason, "") for pending in pendings)))
            return None
        for pending in pendings:
            for consumer, index in pending.consumers:
                consumer.started(index)
        return job

    def _job(self, ticket: int, queue: Queue, pendings: list[Pending]) -> Job:
        if queue.code is None:
            operation = queue.operation
            store_type = self._contents.store_type(operation.format)
            code = describe(
                operation.function,
                str(operation.name),
                positional=operation.positional,
                checkpoint=operation.checkpoint,
                in_memory=self._engine.shares_memory,
            )
            queue.code = replace(
                code, store_type=store_type, keeps_results=self._keeps_results, tables=operation.tables
            )
        sources: Places = {}
        for pending in pendings:
            sources.update(self._contents.sources(pending.call.arguments, pending.places))
        calls = tuple(pending.call for pending in pendings)
        return Job(ticket, queue.code, calls, sources, self._directory, self._engine.shares_memory)

    def _job_size(self, queue: Queue) -> int:
        if queue.mean is None or queue.waiting[0].attempts:  # a call that may have killed its worker travels alone
            return 1
        most = SHARED_CALLS if self.elsewhere is not None and self.elsewhere.is_shared else JOB_CALLS
        by_time = int((INLINE_SECONDS if self._engine.is_inline else JOB_SECONDS) / max(queue.mean, 1e-6))
        fair = len(queue.waiting) if self._engine.is_inline else -(-len(queue.waiting) // (2 * self._engine.slots))
        return max(1, min(by_time, fair, most, len(queue.waiting)))
