"""Hold what the scheduler knows of one node, and of those that wait for it.

A task is computed when its value may be used, and final when its result is durable or it failed. Plain state; the scheduler decides.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from holdfast.model.lifecycle import NodeState, advance
from holdfast.model.node import CommittedNode, Node
from holdfast.runtime.job import Failed

ARGUMENTS_SHOWN = 300
"""Characters of an operation's input that an error message shows."""

Requested = Node | CommittedNode


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a node has no result: its own operation, or one that it depends on."""

    operation: str
    node: str
    """Reference of the node or ensemble member where it happened."""
    arguments: str
    """Its input, shortened."""
    kind: str
    reason: str
    traceback: str = ""
    others: int = 0
    """How many more members of the same ensemble failed."""
    cause: Exception | None = None
    """What to raise instead, if it is not the operation that failed."""


class Waiter(Protocol):
    """Something that goes on when all that it waits for is computed or failed."""

    waits: int
    failure: Failure | None

    def proceed(self) -> None:
        """Go on; `failure` tells whether something failed."""


class HasRounds(Protocol):
    """A loop that is being computed."""

    number: int
    """Rounds finished so far."""


class Task:
    """The standing of one node in this session."""

    __slots__ = (
        "arguments",
        "dependents",
        "failed_at",
        "failure",
        "is_computed",
        "is_wanted",
        "key",
        "loop",
        "node",
        "ready",
        "reused",
        "state",
        "waits",
        "watchers",
    )

    def __init__(self, node: Requested, ready: Callable[[Task], None]) -> None:
        self.node = node
        self.ready = ready
        self.state = NodeState.WAITING
        self.waits = 0
        self.failure: Failure | None = None
        self.failed_at = 0
        self.is_computed = False
        self.is_wanted = False
        self.reused = False
        self.key = b""
        self.arguments = b""
        self.loop: HasRounds | None = None
        self.dependents: list[Waiter] | None = None
        self.watchers: list[Waiter] | None = None

    @property
    def is_call(self) -> bool:
        """Whether it is one call of an operation, and nothing that is expanded."""
        return isinstance(self.node, Node) and self.node.code is not None

    @property
    def operation(self) -> str:
        """Dotted name of the operation, for people."""
        return operation_of(self.node)

    def await_value(self, waiter: Waiter) -> None:
        """Let `waiter` wait until the value may be used."""
        waiter.waits += 1
        if self.dependents is None:
            self.dependents = [waiter]
        else:
            self.dependents.append(waiter)

    def await_end(self, waiter: Waiter) -> None:
        """Let `waiter` wait until the result is durable."""
        waiter.waits += 1
        if self.watchers is None:
            self.watchers = [waiter]
        else:
            self.watchers.append(waiter)

    def proceed(self) -> None:
        """Tell the scheduler that everything this node depends on is settled."""
        self.ready(self)

    def become(self, state: NodeState) -> None:
        """Change the state, as the table of transitions allows."""
        self.state = advance(self.state, state)


class Wait:
    """A wait of a loop, an ensemble member or a request for several nodes at once."""

    __slots__ = ("enqueue", "failure", "then", "waits")

    def __init__(self, then: Callable[[Failure | None], None], enqueue: Callable[[Wait], None]) -> None:
        self.then = then
        self.enqueue = enqueue
        self.waits = 0
        self.failure: Failure | None = None

    def proceed(self) -> None:
        """Have the scheduler call back: not from here, or a long loop would recurse."""
        self.enqueue(self)


def operation_of(node: Requested) -> str:
    """Return the dotted name of a node's operation, for people."""
    return node.name if isinstance(node, Node) else "data"


def lower(waiter: Waiter, failure: Failure | None) -> None:
    """Take one off what `waiter` waits for, and let it proceed after the last."""
    if failure is not None and waiter.failure is None:
        waiter.failure = failure
    waiter.waits -= 1
    if waiter.waits == 0:
        waiter.proceed()


def failure_of(operation: str, node: str, arguments: bytes, outcome: Failed) -> Failure:
    """Return the failure of a call, with its input shortened; or of the node that it returned and that failed."""
    if outcome.node:
        where = (outcome.operation, outcome.node, outcome.arguments)
        return Failure(*where, outcome.kind, outcome.reason, outcome.traceback)
    return Failure(operation, node, shorten(arguments), outcome.kind, outcome.reason, outcome.traceback)


def shorten(arguments: bytes) -> str:
    """Return the input of a call as messages show it."""
    shown = arguments.decode("ascii")
    return shown if len(shown) <= ARGUMENTS_SHOWN else shown[: ARGUMENTS_SHOWN - 1] + "…"
