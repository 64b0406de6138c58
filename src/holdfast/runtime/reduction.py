"""Combine neighbours until one is left: what `reduce` asks for.

Each level of the tree is an ensemble over the pairs of the level before. So what was combined once is found again by its contents, also
when there are more elements than before.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from holdfast.errors import InvalidData
from holdfast.model.control import LEFT, RIGHT, map_node
from holdfast.model.graph import Graph
from holdfast.model.node import CommittedNode, Node
from holdfast.model.reference import Input, select
from holdfast.runtime.contents import Contents
from holdfast.runtime.follow import finish_with, follow
from holdfast.runtime.task import Task

if TYPE_CHECKING:
    from holdfast.runtime.scheduler import Scheduler


class ReduceRun:
    """A reduction that is being computed; built when its elements are."""

    def __init__(self, scheduler: Scheduler, task: Task) -> None:
        assert isinstance(task.node, Node)
        self._scheduler = scheduler
        self._task = task
        self._node = task.node

    def begin(self) -> None:
        """Combine the elements."""
        items = elements(self._node, self._scheduler.contents)
        if not items:
            raise InvalidData("there are no elements to combine, and nothing to give instead. Check the width before.")
        self._combine(items)

    def _combine(self, items: list[Input]) -> None:
        if len(items) == 1:
            finish_with(self._scheduler, self._task, items[0])
            return
        level, combined = combine(self._node, items)
        follow(self._scheduler, self._task, level, lambda _: self._combine(combined))


def elements(node: Node, contents: Contents) -> list[Input]:
    """Return the elements that a reduction combines."""
    over = node.inputs["over"]
    return [select(over, (index,)) for index in range(contents.width(over))]


def combine(node: Node, items: list[Input]) -> tuple[Node, list[Input]]:
    """Return the ensemble that combines neighbours, and what is left after it."""
    body = node.inputs["body"]
    assert isinstance(body, Graph)
    paired = len(items) - len(items) % 2
    level = map_node(body, {LEFT: items[0:paired:2], RIGHT: items[1:paired:2]})
    return level, [*(CommittedNode(level.uid)[index] for index in range(paired // 2)), *items[paired:]]
