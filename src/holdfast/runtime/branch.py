"""Take one of two branches, as a value decides: what `cond` asks for. What only the other one needs is never asked for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from holdfast.errors import GraphError
from holdfast.model.binding import apply
from holdfast.model.graph import Graph
from holdfast.model.node import Node
from holdfast.model.reference import Input
from holdfast.runtime.contents import Contents
from holdfast.runtime.follow import finish_with, follow
from holdfast.runtime.task import Task

if TYPE_CHECKING:
    from holdfast.runtime.scheduler import Scheduler


class BranchRun:
    """A branch that is being computed; built when the value that decides is."""

    def __init__(self, scheduler: Scheduler, task: Task) -> None:
        self._scheduler = scheduler
        self._task = task

    def begin(self) -> None:
        """Choose, and have what was chosen computed."""
        assert isinstance(self._task.node, Node)
        output = chosen_output(self._task.node, self._scheduler.contents)
        follow(self._scheduler, self._task, output, lambda item: finish_with(self._scheduler, self._task, item))


def chosen_output(node: Node, contents: Contents) -> Input:
    """Return what the branch that was chosen comes to; GraphError if the value does not choose."""
    chosen = contents.value_of(node.inputs["pred"])
    if chosen is not True and chosen is not False:
        raise GraphError(f"its predicate is {chosen!r}, expected True or False")
    branch, operands = node.inputs["true_fun" if chosen else "false_fun"], node.inputs["operands"]
    assert isinstance(branch, Graph)
    assert isinstance(operands, Sequence)
    return apply(branch, *operands)
