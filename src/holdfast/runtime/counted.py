"""Run a loop whose number of rounds is known when it begins: what `fori_loop` and `scan` ask for.

Each finished round is one row. A restart reads the last; what a scan gives for each element is read from the rows when all are there, so
that nothing is held meanwhile.

State: the number of finished rounds, and the references of the state after the last.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from holdfast.errors import GraphError
from holdfast.model.content import write_mapping
from holdfast.model.control import FORI_LOOP
from holdfast.model.datatype import Null, as_input
from holdfast.model.graph import Graph
from holdfast.model.node import Node
from holdfast.model.reference import Input, references, select
from holdfast.runtime.contents import Places
from holdfast.runtime.follow import finish_with, guard
from holdfast.runtime.repeated import Repeated
from holdfast.runtime.rounds import KeptRounds, rounds_key, states
from holdfast.runtime.task import Task

if TYPE_CHECKING:
    from holdfast.runtime.scheduler import Scheduler


class CountedRun:
    """A counted loop that is being computed; built when its inputs are."""

    def __init__(self, scheduler: Scheduler, task: Task) -> None:
        node = task.node
        assert isinstance(node, Node)
        body = node.inputs["body"]
        assert isinstance(body, Graph)
        self.number = 0
        self._scheduler = scheduler
        self._task = task
        self._node = node
        self._body = Repeated(scheduler, task, body)
        self._is_scan = node.scope != FORI_LOOP
        self._state: Input = node.inputs["initial"]
        self._key = rounds_key(node, scheduler.contents)
        self._rounds = KeptRounds(scheduler, task, self._key)
        scheduler.ledger.add_needs(task.key, (self._key,))
        self._lower = 0 if self._is_scan else self._bound("lower")
        self._count = self._width() if self._is_scan else max(0, self._bound("upper") - self._lower)

    def begin(self) -> None:
        """Go on after the last round that is finished."""
        self._task.loop = self
        number = min(self._rounds.last(), self._count)
        output = self._rounds.find(number)
        if output is not None:
            self._scheduler.counts.reused += 1
            self.number, self._state = number, self._carried(output)
        self._step()

    def _step(self) -> None:
        if self.number < self._count:
            self._body.apply(self._take, *self._inputs())
        elif self._is_scan:
            self._scheduler.ledger.resume(lambda: guard(self._scheduler, self._task, self._finish_scan))
        else:
            finish_with(self._scheduler, self._task, self._state)

    def _inputs(self) -> tuple[Input, Input]:
        """Return what the body is applied to in the next round."""
        if not self._is_scan:
            return as_input(self._lower + self.number, "index"), self._state
        over = self._node.inputs.get("over")
        if isinstance(over, Mapping):
            return self._state, {label: select(sequence, (self.number,)) for label, sequence in over.items()}
        return self._state, Null(None) if over is None else select(over, (self.number,))

    def _take(self, output: Input) -> None:
        self.number += 1
        self._state = self._carried(self._rounds.keep(self.number, output))
        self._step()

    def _carried(self, output: Input) -> Input:
        return select(output, (0,)) if self._is_scan else output

    def _finish_scan(self) -> None:
        """Make one value of the last state and of what each round gave; all of them are durable."""
        contents = self._scheduler.contents
        places: Places = {}
        texts: list[bytes] = []
        for block in states(self._scheduler.catalog, self._key, self._count):
            outputs = [select(output, (1,)) for output in block]
            contents.load([reference.uid for output in outputs for reference in references(output)])
            texts += [contents.text_of(output, places) for output in outputs]
        carry = contents.text_of(self._state, places).decode("ascii")
        value = {"carry": carry, "ys": contents.gather(texts, places).decode("ascii")}
        self._scheduler.finish(self._task, write_mapping(value).encode("ascii"), places)

    def _bound(self, label: str) -> int:
        bound = self._scheduler.contents.value_of(self._node.inputs[label])
        if isinstance(bound, bool) or not isinstance(bound, int):
            raise GraphError(f"its {label!r} bound is {bound!r}, expected an integer")
        return bound

    def _width(self) -> int:
        contents, inputs = self._scheduler.contents, self._node.inputs
        over = inputs.get("over")
        sequences = over if isinstance(over, Mapping) else {} if over is None else {"xs": over}
        widths = {label: contents.width(item) for label, item in sequences.items()}
        if "length" in inputs:
            widths["length"] = self._bound("length")
        if len(set(widths.values())) > 1:
            listed = ", ".join(f"{label!r} has {width}" for label, width in sorted(widths.items()))
            raise GraphError(f"its inputs are of unequal widths: {listed}")
        return next(iter(widths.values()))
