"""Run an ensemble, block by block: one node until it runs, one result when it is done.

Call keys are computed, looked up and committed a block at a time; only what is missing is dispatched. A body that is a single call needs
no nodes at all; any other body is bound for each missing member.

State: the elements of each input, the text of each finished member, the failures, how far the blocks went and what is under way.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from holdfast.errors import HoldfastError
from holdfast.model.binding import bind
from holdfast.model.content import write_mapping
from holdfast.model.control import common_width
from holdfast.model.fingerprint import call_key, call_prefix, node_text, operation_text, uid_of
from holdfast.model.graph import Graph, only_call
from holdfast.model.node import Node
from holdfast.model.operation import BUILT_IN
from holdfast.model.placeholder import Placeholder
from holdfast.model.reference import Input, Part, Reference, references, select, write_input
from holdfast.runtime.contents import Places
from holdfast.runtime.job import Call, Failed, Finished
from holdfast.runtime.task import Failure, Task, failure_of

if TYPE_CHECKING:
    from holdfast.runtime.scheduler import Scheduler

MEMBER = (BUILT_IN, "member")
"""What the call keys of members are made with whose body is a graph."""

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
        body, over = node.inputs["body"], node.inputs["over"]
        assert isinstance(body, Graph)
        assert isinstance(over, Mapping)
        self._body = body
        self._over = over
        self._single = only_call(body)
        self._places: Places = {}
        self._texts: list[bytes | None] = []
        self._elements: dict[str, list[bytes]] = {}
        self._failures: dict[int, Failure] = {}
        self._next = 0
        self._settled = 0
        self._under_way = 0
        self._has_staged = False
        self._is_begun = False
        self._is_finished = False

    def begin(self) -> None:
        """Have the scheduler advance it, as soon as what a single call refers to besides its elements is computed."""
        captured = [] if self._single is None else [item for item in references(self._single[1]) if not item.free]
        self.scheduler.require(captured, self.scheduler.wait(self._captured))

    def _captured(self, failure: Failure | None) -> None:
        if failure is None:
            self.scheduler.advance_ensemble(self)
        else:
            self.scheduler.fail(self.task, failure)

    def advance(self) -> None:
        """Look up further blocks while there is room for what they miss; finish when all members are settled."""
        try:
            if not self._is_begun:
                self._begin()
            ahead = CALLS_AHEAD - BLOCK if self._single else GRAPHS_AHEAD - 1
            while self._next < len(self._texts) and self._under_way <= ahead:
                self._look_up_block()
        except (HoldfastError, OSError) as error:
            self._give_up(error)
            return
        if self._settled == len(self._texts) and not self._is_finished:
            self._is_finished = True
            self._finish_when_readable()

    def started(self, index: int) -> None:
        """Take note that a member is with the engine; nothing to do for a single one."""

    def settled(self, index: int, outcome: Finished | Failed) -> None:
        """Take the outcome of a member that is a single call."""
        self._under_way -= 1
        if isinstance(outcome, Failed):
            self._fail_member(index, self._member_failure(index, outcome))
        else:
            self.scheduler.counts.done += 1
            self._has_staged |= bool(outcome.staged)
            self._keep(index, outcome.text)

    def store_uid(self, index: int) -> str:
        """Return the uid of a member that is a single call, under which its store is named."""
        assert self._single is not None
        call, inputs = self._single
        replaced = {label: self._written(item, index) for label, item in inputs.items()}
        listed = ",".join(f'"{label}":{text}' for label, text in sorted(replaced.items()))
        return uid_of(node_text(operation_text(call.scope), "{" + listed + "}", call.depends))

    def _begin(self) -> None:
        self._is_begun = True
        contents = self.scheduler.contents
        self._elements = {label: contents.elements(item, self._places) for label, item in self._over.items()}
        width = common_width({label: len(elements) for label, elements in self._elements.items()})
        self._texts = [None] * width
        self.scheduler.counts.waiting += width

    def _look_up_block(self) -> None:
        first, last = self._next, min(self._next + (BLOCK if self._single else GRAPHS_AHEAD), len(self._texts))
        self._next = last
        arguments = list(self._arguments(first, last))
        prefix = self._prefix()
        keys = [call_key(prefix, text) for text in arguments]
        found = self.scheduler.ledger.find_calls(keys)
        for index, key, text in zip(range(first, last), keys, arguments, strict=True):
            row = found.get(key)
            if row is not None:
                self.scheduler.counts.reused += 1
                self._has_staged |= row.store is not None
                self._keep(index, row.text or b"")
            elif self._single is not None:
                self._dispatch(index, key, text)
            else:
                self._spawn(index, key)

    def _prefix(self) -> bytes:
        if self._single is not None:
            call, _ = self._single
            return call_prefix(operation_text(call.scope), call.depends)
        return call_prefix(operation_text(MEMBER), (self._body.uid,))

    def _arguments(self, first: int, last: int) -> Iterator[bytes]:
        """Yield the arguments of each member of a block as content text."""
        if self._single is None:
            labels = {label: Placeholder(label) for label in self._over}
            yield from self._compose({label: label for label in labels}, {}, first, last)
            return
        _, inputs = self._single
        direct = {label: item.name for label, item in inputs.items() if isinstance(item, Placeholder)}
        constant = {label: item for label, item in inputs.items() if isinstance(item, Reference) and not item.free}
        if len(direct) + len(constant) == len(inputs):
            texts = {label: self.scheduler.contents.text_of(item, self._places) for label, item in constant.items()}
            yield from self._compose(direct, texts, first, last)
            return
        for index in range(first, last):
            bound = {label: self._bound_text(item, index).decode("ascii") for label, item in inputs.items()}
            yield write_mapping(bound).encode("ascii")

    def _compose(
        self, direct: Mapping[str, str], constant: Mapping[str, bytes], first: int, last: int
    ) -> Iterator[bytes]:
        """Join prepared pieces: the label of each argument and its element or constant."""
        columns: list[list[bytes]] = []
        pieces: list[bytes] = []
        for label in sorted([*direct, *constant]):
            pieces.append(write_mapping({label: ""}).encode("ascii")[1:-1])
            if label in constant:
                columns.append([constant[label]] * (last - first))
            else:
                elements = self._elements[direct[label]]
                columns.append(elements * (last - first) if len(elements) == 1 else elements[first:last])
        template = b"{" + b",".join(piece.replace(b"%", b"%%") + b"%b" for piece in pieces) + b"}"
        for row in zip(*columns, strict=True):
            yield template % row

    def _bound_text(self, item: Input, index: int) -> bytes:
        """Return the text of an argument that is made of elements in some other way."""
        contents = self.scheduler.contents
        if isinstance(item, Placeholder):
            return self._element(item.name, index)
        if isinstance(item, Part) and isinstance(item.source, Placeholder):
            return contents.part(self._element(item.source.name, index), item.path, item, self._places)
        if isinstance(item, Reference):
            return contents.text_of(item, self._places)
        if isinstance(item, Mapping):
            return write_mapping(
                {label: self._bound_text(member, index).decode("ascii") for label, member in item.items()}
            ).encode("ascii")
        return b"[" + b",".join(self._bound_text(member, index) for member in item) + b"]"

    def _element(self, name: str, index: int) -> bytes:
        elements = self._elements[name]
        return elements[0 if len(elements) == 1 else index]

    def _written(self, item: Input, index: int) -> str:
        """Return an input of a member as its record would write it."""
        return write_input(self._member_input(item, index))

    def _member_input(self, item: Input, index: int) -> Input:
        if isinstance(item, Placeholder):
            return self._reference(item.name, index)
        if isinstance(item, Part) and isinstance(item.source, Placeholder):
            return select(self._reference(item.source.name, index), item.path)
        if isinstance(item, Reference):
            return item
        if isinstance(item, Mapping):
            return {label: self._member_input(member, index) for label, member in item.items()}
        return [self._member_input(member, index) for member in item]

    def _reference(self, name: str, index: int) -> Input:
        elements = self._elements[name]
        return select(self._over[name], (0 if len(elements) == 1 else index,))

    def _dispatch(self, index: int, key: bytes, arguments: bytes) -> None:
        self._under_way += 1
        assert self._single is not None
        call, _ = self._single
        self.scheduler.make_call(call, Call(key, arguments), self._places, self, index)

    def _spawn(self, index: int, key: bytes) -> None:
        self._under_way += 1
        values = {name: self._reference(name, index) for name in self._over}
        output = bind(self._body, values)
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
        self._places.update(places)
        self.scheduler.ledger.add_value(text, places, key, key.hex())
        self.scheduler.counts.done += 1
        self._keep(index, text)

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
        self.scheduler.advance_ensemble(self)

    def _member_failure(self, index: int, outcome: Failed) -> Failure:
        assert self._single is not None
        call, _ = self._single
        arguments = next(self._arguments(index, index + 1))
        return failure_of(call.name, f"{self._node.uid}[{index}]", arguments, outcome)

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
            text = self.scheduler.contents.gather(texts, self._places)
            self._texts, self._elements = [], {}
            self.scheduler.finish(self.task, text, self._places)
        except (HoldfastError, OSError) as error:
            self._give_up(error)

    def _text_from_store(self, index: int) -> bytes:
        key = call_key(self._prefix(), next(self._arguments(index, index + 1)))
        return self.scheduler.contents.read_call(self.scheduler.ledger.find_calls([key])[key])

    def _give_up(self, error: Exception) -> None:
        self._next = len(self._texts)
        failure = Failure(self._node.name, self._node.uid, "", type(error).__name__, str(error))
        self.scheduler.fail(self.task, failure, row=True)
