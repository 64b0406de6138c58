"""Run a loop as long as its condition holds: what `while_loop` asks for.

The rounds belong to the body and the contents of the first state; a second row per round says that a condition let the loop go on. So a
restart reads two rows, and a loop with another condition walks the rounds that exist before it runs new ones. A row for a round beyond the
limit says that the loop was ended by it.

State: the number of finished rounds, the references of the state after the last, and how many rounds the condition is known to allow.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from holdfast.errors import GraphError, IterationLimit
from holdfast.model.graph import Graph
from holdfast.model.node import Node
from holdfast.model.reference import Input
from holdfast.runtime.follow import finish_with, follow
from holdfast.runtime.repeated import Repeated
from holdfast.runtime.rounds import KeptRounds, allowed_key, limit_of, rounds_key
from holdfast.runtime.task import Failure, Task
from holdfast.storage.rows import RoundRow

if TYPE_CHECKING:
    from holdfast.runtime.scheduler import Scheduler


class LoopRun:
    """A loop that is being computed; built when its first state is."""

    def __init__(self, scheduler: Scheduler, task: Task) -> None:
        node = task.node
        assert isinstance(node, Node)
        self.number = 0
        self._scheduler = scheduler
        self._task = task
        self._node = node
        condition, body = node.inputs["condition"], node.inputs["body"]
        assert isinstance(condition, Graph)
        assert isinstance(body, Graph)
        self._condition = Repeated(scheduler, task, condition)
        self._body = Repeated(scheduler, task, body)
        self._limit = limit_of(node)
        self._state: Input = node.inputs["initial"]
        key = rounds_key(node, scheduler.contents)
        self._rounds = KeptRounds(scheduler, task, key)
        self._allowed_key = allowed_key(node, key)
        scheduler.ledger.add_needs(task.key, (key, self._allowed_key))
        self._allowed = 0

    def begin(self) -> None:
        """Go on after the last round that is finished and that this condition allowed."""
        self._task.loop = self
        row = self._scheduler.catalog.last_round(self._allowed_key)
        self._allowed = 0 if row is None else row.number
        number = self._allowed if self._limit is None else min(self._allowed, self._limit)
        if not self._return_to(number):
            self._return_to(number - 1)  # the last one was allowed, and then there was a limit
        self._decide()

    def _return_to(self, number: int) -> bool:
        """Take the state after a finished round; return whether there is one."""
        state = self._rounds.find(number) if number > 0 else None
        if state is None:
            return False
        self.number, self._state = number, state
        self._scheduler.counts.reused += 1
        return True

    def _decide(self) -> None:
        """Evaluate the condition on the state, unless the answer is known."""
        if self.number < self._allowed:
            self._go_on()
        else:
            self._condition.apply(self._take_answer, self._state)

    def _take_answer(self, output: Input) -> None:
        answer = self._scheduler.contents.value_of(output)
        if answer is True:
            self._go_on()
        elif answer is False:
            finish_with(self._scheduler, self._task, self._state)
        else:
            raise GraphError(f"its condition gave {answer!r} after round {self.number}, expected True or False")

    def _go_on(self) -> None:
        """Compute the state after the next round, unless there may be no more."""
        self._allowed = max(self._allowed, self.number + 1)
        if self._limit is not None and self.number >= self._limit:
            self._end_by_limit()
        elif self._return_to(self.number + 1):
            self._scheduler.ledger.add_rows([RoundRow(self._allowed_key, self.number, "")])
            follow(self._scheduler, self._task, [], lambda _: self._decide())
        else:
            self._body.apply(self._take_state, self._state)

    def _take_state(self, output: Input) -> None:
        self.number += 1
        allowed = RoundRow(self._allowed_key, self.number, "")
        self._state = self._rounds.keep(self.number, output, beside=[allowed])
        self._decide()

    def _end_by_limit(self) -> None:
        self._scheduler.ledger.add_rows([RoundRow(self._allowed_key, self.number + 1, "")])
        if "on_max" not in self._node.inputs:
            finish_with(self._scheduler, self._task, self._state)
            return
        error = IterationLimit(self._node.uid, self.number)
        failure = Failure(self._node.name, self._node.uid, "", "IterationLimit", str(error), cause=error)
        self._scheduler.fail(self._task, failure, row=True)
