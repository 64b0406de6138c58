"""Run a loop whose number of rounds is known when it begins: what `fori_loop` and `scan` ask for.

Each finished round is one row. A restart reads the last; what a scan gives for each element is read from the rows when all are there, so
that nothing is held meanwhile.

State: the number of finished rounds, and the references of the state after the last.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from holdfast.errors import GraphError
from holdfast.model.argument import as_input
from holdfast.model.content import write_mapping
from holdfast.model.control import FORI_LOOP
from holdfast.model.datatype import Null
from holdfast.model.graph import Graph
from holdfast.model.node import Node
from holdfast.model.reference import Input, references, select
from holdfast.runtime.contents import Contents
from holdfast.runtime.follow import finish_with, guard
from holdfast.runtime.places import Places
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
        self._lower = lower_bound(node, scheduler.contents)
        self._count = self._width() if self._is_scan else max(0, bound(node, "upper", scheduler.contents) - self._lower)

    def begin(self) -> None:
        """Go on after the last round that is finished."""
        self._task.loop = self
        number = min(self._rounds.last(), self._count)
        output = self._rounds.find(number)
        if output is not None:
            self._scheduler.counts.reused += 1
            self.number, self._state = number, round_state(self._node, output)
        self._step()

    def _step(self) -> None:
        if self.number < self._count:
            self._body.apply(self._take, *round_inputs(self._node, self._lower, self.number, self._state))
        elif self._is_scan:
            self._scheduler.ledger.resume(lambda: guard(self._scheduler, self._task, self._finish_scan))
        else:
            finish_with(self._scheduler, self._task, self._state)

    def _take(self, output: Input) -> None:
        self.number += 1
        self._state = round_state(self._node, self._rounds.keep(self.number, output))
        self._step()

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

    def _width(self) -> int:
        contents, inputs = self._scheduler.contents, self._node.inputs
        over = inputs.get("over")
        sequences = over if isinstance(over, Mapping) else {} if over is None else {"xs": over}
        widths = {label: contents.width(item) for label, item in sequences.items()}
        if "length" in inputs:
            widths["length"] = bound(self._node, "length", contents)
        if len(set(widths.values())) > 1:
            listed = ", ".join(f"{label!r} has {width}" for label, width in sorted(widths.items()))
            raise GraphError(f"its inputs are of unequal widths: {listed}")
        return next(iter(widths.values()))


def lower_bound(node: Node, contents: Contents) -> int:
    """Return the index of the first round."""
    return bound(node, "lower", contents) if node.scope == FORI_LOOP else 0


def bound(node: Node, label: str, contents: Contents) -> int:
    """Return a bound of a counted loop; GraphError if it is no integer."""
    found = contents.value_of(node.inputs[label])
    if isinstance(found, bool) or not isinstance(found, int):
        raise GraphError(f"its {label!r} bound is {found!r}, expected an integer")
    return found


def round_inputs(node: Node, lower: int, number: int, state: Input) -> tuple[Input, Input]:
    """Return what the body of a counted loop is applied to after so many rounds."""
    if node.scope == FORI_LOOP:
        return as_input(lower + number, "index"), state
    over = node.inputs.get("over")
    if isinstance(over, Mapping):
        return state, {label: select(sequence, (number,)) for label, sequence in over.items()}
    return state, Null(None) if over is None else select(over, (number,))


def round_state(node: Node, output: Input) -> Input:
    """Return the state in what a round of a counted loop gave."""
    return output if node.scope == FORI_LOOP else select(output, (0,))
