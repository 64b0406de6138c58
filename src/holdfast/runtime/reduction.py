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
from holdfast.runtime.follow import finish_with, follow
from holdfast.runtime.task import Task

if TYPE_CHECKING:
    from holdfast.runtime.scheduler import Scheduler


class ReduceRun:
    """A reduction that is being computed; built when its elements are."""

    def __init__(self, scheduler: Scheduler, task: Task) -> None:
        node = task.node
        assert isinstance(node, Node)
        body = node.inputs["body"]
        assert isinstance(body, Graph)
        self._scheduler = scheduler
        self._task = task
        self._body = body
        self._over = node.inputs["over"]

    def begin(self) -> None:
        """Combine the elements."""
        width = self._scheduler.contents.width(self._over)
        if not width:
            raise InvalidData("there are no elements to combine, and nothing to give instead. Check the width before.")
        self._combine([select(self._over, (index,)) for index in range(width)])

    def _combine(self, items: list[Input]) -> None:
        if len(items) == 1:
            finish_with(self._scheduler, self._task, items[0])
            return
        paired = len(items) - len(items) % 2
        level = map_node(self._body, {LEFT: items[0:paired:2], RIGHT: items[1:paired:2]})
        combined: list[Input] = [CommittedNode(level.uid)[index] for index in range(paired // 2)]
        follow(self._scheduler, self._task, level, lambda _: self._combine(combined + items[paired:]))
