"""Follow the nodes that a running operation returned, and give their value to whoever waits for its call.

What was returned is a document of records, which is committed before anything of it; so a restart follows it without running the operation
again. Its operations are those in reach of the one that returned it: nothing is imported, and no pickle is read.

State: the call, and what was returned for it.
"""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING

from holdfast.errors import GraphError, HoldfastError
from holdfast.model.graph import Graph
from holdfast.model.reference import Input, references
from holdfast.model.workgraph import GENERATED, WorkGraph
from holdfast.runtime.job import Failed, Finished
from holdfast.runtime.places import Places
from holdfast.runtime.task import Failure

if TYPE_CHECKING:
    from holdfast.runtime.dispatch import Pending
    from holdfast.runtime.scheduler import Scheduler


class GeneratedNodes:
    """The nodes that stand for the result of a call."""

    def __init__(self, scheduler: Scheduler, pending: Pending, document: str, seconds: float = 0.0) -> None:
        self._scheduler = scheduler
        self._pending = pending
        self._document = document
        self._seconds = seconds
        self._output: Input = []

    def keep(self) -> None:
        """Commit what was returned, unless it cannot be followed."""
        if self.follow():
            self._scheduler.ledger.add_expansion(self._pending.identity, self._pending.call.key, self._document)
        else:
            self._scheduler.dispatcher.disclaim([self._pending.call.key])

    def follow(self) -> bool:
        """Have the nodes computed; return whether they can be."""
        try:
            self._output = WorkGraph.from_json(self._document, self._pending.operation)[GENERATED]
            if any(isinstance(reference, Graph) for reference in references(self._output)):
                raise GraphError(
                    "it returned an abstract graph. Call the function on values or nodes, and return that."
                )
        except HoldfastError as error:
            self._settle(Failed(self._pending.call.key, type(error).__name__, str(error), ""))
            return False
        self._scheduler.require(self._output, self._scheduler.wait(self._computed))
        return True

    def _computed(self, failure: Failure | None) -> None:
        key = self._pending.call.key
        if failure is not None:
            where = (failure.operation, failure.node, failure.arguments)
            self._settle(Failed(key, failure.kind, failure.reason, failure.traceback, self._seconds, *where))
            return
        places: Places = {}
        try:
            text = self._scheduler.contents.text_of(self._output, places)
            self._scheduler.ledger.add_value(text, places, key, key.hex(), str(self._pending.operation.name))
        except (HoldfastError, OSError) as error:
            self._settle(Failed(key, type(error).__name__, str(error), ""))
            return
        self._settle(Finished(key, text, sha256(text).digest(), {}, None, self._seconds))

    def _settle(self, outcome: Finished | Failed) -> None:
        self._scheduler.dispatcher.release(self._pending)
        for consumer, index in self._pending.consumers:
            consumer.settled(index, outcome)
