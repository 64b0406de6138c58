"""Run an ensemble, block by block: one node until it runs, one result when it is done.

Call keys are computed, looked up and committed a block at a time; only what is missing is dispatched. A body that is a single call needs
no nodes at all; any other body is bound for each missing member.

State: its members, the text of each finished member, the failures, how far the blocks went and what is under way.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from holdfast.errors import HoldfastError
from holdfast.model.node import Node
from holdfast.model.reference import Input
from holdfast.runtime.follow import note_needs
from holdfast.runtime.job import Call, Failed, Finished
from holdfast.runtime.members import Members, captured
from holdfast.runtime.places import Places
from holdfast.runtime.task import Failure, Task, failure_of
from holdfast.storage.rows import CallRow

if TYPE_CHECKING:
    from holdfast.runtime.scheduler import Scheduler

BLOCK = 4096
"""Members that are looked up with one query."""

CALLS_AHEAD = 2 * BLOCK
GRAPHS_AHEAD = 256
"""Missing members that are under way at once: calls of one operation, and graphs of nodes."""


class EnsembleRun:
    """An ensemble that is being computed; built when its inputs are."""

    def __init__(self, scheduler: Scheduler, task: Task) -> None:
        node = task.node
        assert isinstance(node, Node)
        self.scheduler = scheduler
        self.task = task
        self._node = node
        self._members = Members(node, scheduler.contents)
        self._call = self._members.call
        self._texts: list[bytes | None] = []
        self._failures: dict[int, Failure] = {}
        self._next = 0
        self._settled = 0
        self._under_way = 0
        self._has_staged = False
        self._is_begun = False
        self._is_due = False
        self._is_finished = False

    def begin(self) -> None:
        """Have the scheduler advance it, as soon as what a single call refers to besides its elements is computed."""
        self.scheduler.require(captured(self._node), self.scheduler.wait(self._captured))

    def _captured(self, failure: Failure | None) -> None:
        if failure is None:
            self.scheduler.advance_ensemble(self)
        else:
            self.scheduler.fail(self.task, failure)

    def advance(self) -> None:
        """Look up further blocks while there is room for what they miss; finish when all members are settled."""
        self._is_due = False
        try:
            if not self._is_begun:
                self._begin()
            ahead = CALLS_AHEAD - BLOCK if self._call is not None else GRAPHS_AHEAD - 1
            while self._next < len(self._texts) and self._under_way <= ahead:
                self._look_up_block()
        except (HoldfastError, OSError) as error:
            self._give_up(error)
            return
        if self._settled == len(self._texts) and not self._is_finished:
            self._is_finished = True
            self._finish_when_readable()

    def store_uid(self, index: int) -> str:
        """Return the uid of a member that is a single call, under which its store is named."""
        return self._members.uid(index)

    def reference(self, index: int) -> str:
        """Return the reference of a member."""
        return f"{self._node.uid}[{index}]"

    def started(self, index: int) -> None:
        """Take note that a member is with the engine; nothing to do for a single one."""

    def made_elsewhere(self, index: int) -> None:
        """Take note that another session makes a member; nothing to do for a single one."""

    def reuse(self, index: int, row: CallRow) -> None:
        """Take the result of a member that another session has made durable."""
        self._under_way -= 1
        self._reuse(index, row)

    def settled(self, index: int, outcome: Finished | Failed) -> None:
        """Take the outcome of a member that is a single call."""
        self._under_way -= 1
        if isinstance(outcome, Failed):
            self._fail_member(index, self._member_failure(index, outcome))
        else:
            self.scheduler.counts.done += 1
            self._has_staged |= not outcome.is_readable
            self._keep(index, outcome.text)

    def _begin(self) -> None:
        self._is_begun = True
        width = self._members.begin()
        self._texts = [None] * width
        self.scheduler.counts.waiting += width

    def _look_up_block(self) -> None:
        first, last = (
            self._next,
            min(self._next + (BLOCK if self._call is not None else GRAPHS_AHEAD), len(self._texts)),
        )
        self._next = last
        arguments = list(self._members.arguments(first, last))
        keys = self._members.keys(arguments)
        found = self._find(keys, arguments)
        self.scheduler.ledger.add_needs(self.task.key, (found[key].call_key if key in found else key for key in keys))
        missing: list[tuple[int, Call]] = []
        for index, key, text in zip(range(first, last), keys, arguments, strict=True):
            row = found.get(key)
            if row is None:
                missing.append((index, Call(key, text)))
                continue
            self._reuse(index, row)
        self._under_way += len(missing)
        if self._call is not None:
            self.scheduler.make_calls(self._call, missing, self._members.places, self)
        else:
            for index, call in missing:
                self._spawn(index, call.key)

    def _spawn(self, index: int, key: bytes) -> None:
        output = self._members.output(index)
        note_needs(self.scheduler, key, self._node, output)
        self.scheduler.require(
            output, self.scheduler.wait(lambda failure: self._member_computed(index, key, output, failure))
        )

    def _member_computed(self, index: int, key: bytes, output: Input, failure: Failure | None) -> None:
        self._under_way -= 1
        if failure is not None:
            self._fail_member(index, failure)
            return
        places: Places = {}
        try:
            text = self.scheduler.contents.text_of(output, places)
        except (HoldfastError, OSError) as error:
            name = f"{self._node.uid}[{index}]"
            self._fail_member(index, Failure(self._node.name, name, "", type(error).__name__, str(error)))
            return
        self._members.places.update(places)
        self.scheduler.ledger.add_value(text, places, key, key.hex(), self._node.name)
        self.scheduler.counts.done += 1
        self._keep(index, text)

    def _reuse(self, index: int, row: CallRow) -> None:
        self.scheduler.counts.reused += 1
        self._has_staged |= row.store is not None
        self._keep(index, row.text or b"")

    def _keep(self, index: int, text: bytes) -> None:
        self._texts[index] = text
        self._count_settled()

    def _fail_member(self, index: int, failure: Failure) -> None:
        self._failures[index] = failure
        self.scheduler.counts.failed += 1
        self._count_settled()

    def _count_settled(self) -> None:
        self._settled += 1
        self.scheduler.counts.waiting -= 1
        if not self._is_due:
            self._is_due = True
            self.scheduler.advance_ensemble(self)

    def _member_failure(self, index: int, outcome: Failed) -> Failure:
        assert self._call is not None
        arguments = next(self._members.arguments(index, index + 1))
        return failure_of(self._call.name, f"{self._node.uid}[{index}]", arguments, outcome)

    def _finish_when_readable(self) -> None:
        if self._failures:
            first = self._failures[min(self._failures)]
            self.scheduler.fail(self.task, replace(first, others=len(self._failures) - 1), row=True)
        elif self._has_staged:
            self.scheduler.ledger.resume(self._finish)
        else:
            self._finish()

    def _finish(self) -> None:
        try:
            texts = [self._texts[index] or self._text_from_store(index) for index in range(len(self._texts))]
            text = self.scheduler.contents.gather(texts, self._members.places)
            self._texts = []
            self._members.forget()
            self.scheduler.finish(self.task, text, self._members.places)
        except (HoldfastError, OSError) as error:
            self._give_up(error)

    def _text_from_store(self, index: int) -> bytes:
        arguments = list(self._members.arguments(index, index + 1))
        keys = self._members.keys(arguments)
        return self.scheduler.contents.read_call(self._find(keys, arguments)[keys[0]])

    def _find(self, keys: list[bytes], arguments: list[bytes]) -> dict[bytes, CallRow]:
        """Return the results of members that are finished, by key."""
        if self._call is None:
            return self.scheduler.ledger.find_calls(keys)
        return self.scheduler.ledger.find_results(self._call, keys, arguments)

    def _give_up(self, error: Exception) -> None:
        self._next = len(self._texts)
        failure = Failure(self._node.name, self._node.uid, "", type(error).__name__, str(error))
        self.scheduler.fail(self.task, failure, row=True)
