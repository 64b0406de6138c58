"""Make the one call of a loop's body in each round, without a node or a task for any of them.

A body that is a single call gives the same record and the same arguments each time, with other references and contents in them; so only
their texts are written, as for the members of an ensemble. What becomes durable is what a node would leave: its row and that of its call.
Decides nothing about rounds.

State: the call that is under way, with uid and record of its node, what stands for the placeholders, and who goes on with the output.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from holdfast.model.binding import apply, fill
from holdfast.model.datatype import DataNode
from holdfast.model.fingerprint import call_key, call_prefix, node_text, uid_of
from holdfast.model.graph import Graph, sole_call
from holdfast.model.node import CommittedNode, Node
from holdfast.model.reference import Input, references, write_input
from holdfast.runtime.follow import follow, guard
from holdfast.runtime.job import Call, Failed, Finished
from holdfast.runtime.places import Places
from holdfast.runtime.task import Task, failure_of
from holdfast.storage.rows import CallRow

if TYPE_CHECKING:
    from holdfast.runtime.scheduler import Scheduler

Then = Callable[[Input], None]


class Repeated:
    """A graph that a loop applies to its state in every round: its body, or its condition.

    Parameters
    ----------
    scheduler : Scheduler
    task : Task
        The loop; it fails if an application does.
    graph : Graph
        One that is more than a single call is bound anew each time.
    """

    def __init__(self, scheduler: Scheduler, task: Task, graph: Graph) -> None:
        self._scheduler = scheduler
        self._task = task
        self._graph = graph
        call = sole_call(graph)
        self._call = None if call is None else RepeatedCall(scheduler, task, graph, call)

    def apply(self, then: Then, *values: Input) -> None:
        """Have `then` called, from the loop, with the output for these values when it is computed."""
        if self._call is None:
            follow(self._scheduler, self._task, apply(self._graph, *values), then)
        else:
            self._call.apply(then, values)


@dataclass(slots=True)
class Application:
    """One application of a graph that is a single call."""

    then: Then
    filled: dict[str, Input]
    """What stands for the placeholders, by their uid."""
    inputs: Mapping[str, Input]
    """Those of the node that it would be."""
    record: str
    uid: str
    call: Call


class RepeatedCall:
    """The single call of a graph; one application is under way at a time."""

    def __init__(self, scheduler: Scheduler, task: Task, graph: Graph, call: Node) -> None:
        self._scheduler = scheduler
        self._task = task
        self._graph = graph
        self._node = call
        self._prefix = call_prefix(call.scope, call.depends)
        self._captured = [item for item in references([graph.output, list(call.inputs.values())]) if not item.free]
        self._now: Application | None = None

    def apply(self, then: Then, values: tuple[Input, ...]) -> None:
        """Apply the graph as soon as what it takes from outside is computed: after the first time it is."""
        if self._captured:
            captured, self._captured = self._captured, []
            follow(self._scheduler, self._task, captured, lambda _: self._begin(then, values))
        else:
            self._begin(then, values)

    def store_uid(self, index: int) -> str:
        """Return the uid of the node that it would be, under which its store is named."""
        return self._current.uid

    def reference(self, index: int) -> str:
        """Return the node that it would be."""
        return self._current.uid

    def started(self, index: int) -> None:
        """Take note that the call is with the engine; nothing to do."""

    def made_elsewhere(self, index: int) -> None:
        """Take note that another session makes the call; nothing to do."""

    def reuse(self, index: int, row: CallRow) -> None:
        """Take the result that another session has made durable."""
        self._scheduler.counts.waiting -= 1
        guard(self._scheduler, self._task, lambda: self._take(row))

    def settled(self, index: int, outcome: Finished | Failed) -> None:
        """Take the outcome of the call."""
        scheduler, now = self._scheduler, self._current
        scheduler.counts.waiting -= 1
        if isinstance(outcome, Failed):
            scheduler.counts.failed += 1
            failure = failure_of(self._node.name, now.uid, now.call.arguments, outcome)
            scheduler.ledger.add_failure(now.uid, failure)
            scheduler.fail(self._task, failure)
            return
        scheduler.counts.done += 1
        self._record(now.call.key, reused=False)
        if outcome.is_readable:
            self._note(outcome.text)
            self._go_on()
        else:
            scheduler.ledger.resume(self._read)

    @property
    def _current(self) -> Application:
        assert self._now is not None, "an outcome comes after its call"
        return self._now

    def _begin(self, then: Then, values: tuple[Input, ...]) -> None:
        """Write record and call, and look whether the call was made before."""
        scheduler, places = self._scheduler, Places()
        now = self._now = self._form(then, values, places)
        scheduler.ledger.add_needs(self._task.key, (bytes.fromhex(now.uid),))
        row = scheduler.ledger.find_results(self._node, [now.call.key], [now.call.arguments]).get(now.call.key)
        if row is None:
            scheduler.counts.waiting += 1
            scheduler.make_call(self._node, now.call, places, self, 0)
        else:
            self._take(row)

    def _take(self, row: CallRow) -> None:
        """Go on with the result that the call has already."""
        scheduler = self._scheduler
        scheduler.counts.reused += 1
        self._record(row.call_key, reused=True)
        if scheduler.ledger.is_readable(row):
            self._note(scheduler.contents.read_call(row))
            follow(scheduler, self._task, [], lambda _: self._go_on())  # not from here, or many rounds would recurse
        else:
            scheduler.ledger.resume(self._read)

    def _form(self, then: Then, values: tuple[Input, ...], places: Places) -> Application:
        node = self._node
        filled = {hole.uid: value for hole, value in zip(self._graph.placeholders, values, strict=True)}
        inputs = {label: fill(item, filled) for label, item in node.inputs.items()}
        node.code.declaration.check(inputs)
        record = node_text(node.scope, node.depends, write_input(inputs))
        arguments = self._scheduler.contents.text_of(inputs, places)
        call = Call(call_key(self._prefix, arguments), arguments)
        return Application(then, filled, inputs, record, uid_of(record), call)

    def _record(self, key: bytes, *, reused: bool) -> None:
        """Have the catalog know the node with the next commitment; its result is that of a call, by earlier code if that was accepted."""
        now, ledger = self._current, self._scheduler.ledger
        ledger.add_record(now.uid, self._node.name, now.record, key, reused=reused)
        ledger.keep_referents(item for item in references(now.inputs) if isinstance(item, DataNode))

    def _note(self, text: bytes) -> None:
        self._scheduler.contents.note_result(self._current.uid, text)
        self._scheduler.ledger.release(self._current.uid)

    def _read(self) -> None:
        """Go on with a result that was under construction, and is durable now."""
        guard(self._scheduler, self._task, lambda: self._scheduler.contents.load([self._current.uid]))
        self._go_on()

    def _go_on(self) -> None:
        if self._task.state.is_final:  # the session was interrupted meanwhile
            return
        now = self._current
        output = fill(self._graph.output, {self._node.uid: CommittedNode(now.uid), **now.filled})
        guard(self._scheduler, self._task, lambda: now.then(output))
