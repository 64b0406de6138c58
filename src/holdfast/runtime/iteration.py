"""Run a loop round by round, and keep each finished round as one row.

The rounds belong to the body and the contents of the first state; a second row per round says that a condition let the loop go on. So a
restart reads two rows, and a loop with another condition walks the rounds that exist before it runs new ones.

State: the number of finished rounds and the references of the state after the last.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from holdfast.errors import GraphError, HoldfastError
from holdfast.model.binding import bind
from holdfast.model.control import STATE
from holdfast.model.datatype import DataNode
from holdfast.model.graph import Graph
from holdfast.model.node import CommittedNode, Node
from holdfast.model.reference import Input, Part, Reference, parse_reference, write_input
from holdfast.runtime.contents import Places
from holdfast.runtime.events import RoundDone
from holdfast.runtime.task import Failure, Task
from holdfast.storage.rows import RoundRow

if TYPE_CHECKING:
    from holdfast.runtime.scheduler import Scheduler


class LoopRun:
    """A loop that is being computed; built when its first state is."""

    def __init__(self, scheduler: Scheduler, task: Task) -> None:
        node = task.node
        assert isinstance(node, Node)
        self.scheduler = scheduler
        self.task = task
        self.number = 0
        self._node = node
        condition, body = node.inputs["condition"], node.inputs["body"]
        assert isinstance(condition, Graph)
        assert isinstance(body, Graph)
        self._condition = condition
        self._body = body
        self._limit = self._max_iterations()
        self._state: Input = node.inputs["initial"]
        first = scheduler.contents.text_of(self._state, {})
        self._rounds_key = rounds_key(body, first)
        self._allowed_key = sha256(b"allowed" + bytes.fromhex(condition.uid) + self._rounds_key).digest()
        self._allowed = 0

    def begin(self) -> None:
        """Go on after the last round that is finished and that this condition allowed."""
        self.task.loop = self
        row = self.scheduler.catalog.last_round(self._allowed_key)
        if row is not None:
            self._allowed = row.number
            number = row.number if self._limit is None else min(row.number, self._limit)
            self._return_to(number)
        self._decide()

    def _return_to(self, number: int) -> bool:
        """Take the state after a finished round; return whether there is one."""
        row = self.scheduler.catalog.find_round(self._rounds_key, number) if number else None
        if row is None:
            return False
        self.number, self._state = number, read_state(row.state)
        self.scheduler.counts.reused += 1
        return True

    def _decide(self) -> None:
        """Evaluate the condition on the state, unless the answer is known."""
        if self._limit is not None and self.number >= self._limit:
            self._finish()
        elif self.number < self._allowed:
            self._step()
        else:
            self._require(bind(self._condition, {STATE: self._state}), self._take_answer)

    def _take_answer(self, output: Input) -> None:
        answer = self.scheduler.contents.value_of(output)
        if answer is True:
            self._step()
        elif answer is False:
            self._finish()
        else:
            raise GraphError(f"its condition gave {answer!r} after round {self.number}, expected True or False")

    def _step(self) -> None:
        """Compute the state after the next round."""
        self._allowed = max(self._allowed, self.number + 1)
        if self._return_to(self.number + 1):
            self.scheduler.ledger.add_rows([RoundRow(self._allowed_key, self.number, "")])
            self._require([], lambda _: self._decide())
        else:
            self._require(bind(self._body, {STATE: self._state}), self._take_state)

    def _take_state(self, output: Input) -> None:
        self.number += 1
        places: Places = {}
        self.scheduler.contents.text_of(output, places)  # every part that the state names exists
        self.scheduler.ledger.add_constants(output)
        state = write_input(output)
        rows = [RoundRow(self._rounds_key, self.number, state), RoundRow(self._allowed_key, self.number, "")]
        self.scheduler.ledger.add_rows(rows)
        self.scheduler.ledger.tell(RoundDone(self._node.uid, self._node.name, self.number))
        self._state = _without_history(output)
        self._decide()

    def _finish(self) -> None:
        places: Places = {}
        text = self.scheduler.contents.text_of(self._state, places)
        self.scheduler.finish(self.task, text, places)

    def _require(self, output: Input, then: Any) -> None:
        """Go on with `then` when `output` is computed; fail the loop if it cannot be."""

        def settled(failure: Failure | None) -> None:
            if failure is not None:
                self.scheduler.fail(self.task, failure)
                return
            try:
                then(output)
            except (HoldfastError, OSError) as error:
                kind = type(error).__name__
                self.scheduler.fail(self.task, Failure(self._node.name, self._node.uid, "", kind, str(error)), row=True)

        self.scheduler.require(output, self.scheduler.wait(settled))

    def _max_iterations(self) -> int | None:
        limit = self._node.inputs.get("max_iterations")
        return int(limit.data) if isinstance(limit, DataNode) else None


def rounds_key(body: Graph, first: bytes) -> bytes:
    """Return the key of a loop's rounds, from its body and the content text of its first state."""
    return sha256(b"rounds" + bytes.fromhex(body.uid) + first).digest()


def read_state(state: str) -> Input:
    """Return the references that a round's row holds."""
    return _read(json.loads(state))


def _read(written: Any) -> Input:
    if isinstance(written, str):
        uid, path = parse_reference(written)
        return Part(CommittedNode(uid), path) if path else CommittedNode(uid)
    if isinstance(written, dict):
        return {label: _read(member) for label, member in written.items()}
    return [_read(member) for member in written]


def _without_history(item: Input) -> Input:
    """Return the same references without the nodes that lie behind them, so that memory does not grow with the rounds."""
    if isinstance(item, Part):
        return item if isinstance(item.source, DataNode) else Part(CommittedNode(item.uid), item.path)
    if isinstance(item, Reference):
        return item if isinstance(item, DataNode) else CommittedNode(item.uid)
    if isinstance(item, Mapping):
        return {label: _without_history(member) for label, member in item.items()}
    return [_without_history(member) for member in item]
