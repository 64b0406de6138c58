"""Make one value of many that are computed: what `gather` asks for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from holdfast.model.node import Node
from holdfast.runtime.places import Places
from holdfast.runtime.task import Task

if TYPE_CHECKING:
    from holdfast.runtime.scheduler import Scheduler


class GatherRun:
    """A gathered value; built when its members are computed."""

    def __init__(self, scheduler: Scheduler, task: Task) -> None:
        self._scheduler = scheduler
        self._task = task

    def begin(self) -> None:
        """Finish at once."""
        node = self._task.node
        assert isinstance(node, Node)
        places: Places = {}
        contents = self._scheduler.contents
        text = contents.gather(contents.elements(node.inputs["members"], places), places)
        self._scheduler.finish(self._task, text, places)
