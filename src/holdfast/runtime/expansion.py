"""Say which control flow there is: for each kind of node, what runs it and what must be computed before it starts.

A table, so that a new kind is one class and one line. Decides nothing about when a node runs; that is the scheduler's.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Protocol

from holdfast.model.control import GATHER, MAP, WHILE_LOOP
from holdfast.model.graph import Graph
from holdfast.model.node import Node
from holdfast.model.reference import Input
from holdfast.runtime.ensemble import EnsembleRun
from holdfast.runtime.gathering import GatherRun
from holdfast.runtime.iteration import LoopRun
from holdfast.runtime.task import Task

if TYPE_CHECKING:
    from holdfast.runtime.scheduler import Scheduler


class Expansion(Protocol):
    """A node that is turned into other nodes and calls while it runs."""

    def begin(self) -> None:
        """Start, now that what the node needs is computed; whatever is raised here fails the node."""


RUNS: Mapping[tuple[str, ...], Callable[[Scheduler, Task], Expansion]] = {
    GATHER: GatherRun,
    MAP: EnsembleRun,
    WHILE_LOOP: LoopRun,
}
"""What runs each kind of node that has no code of its own."""


def needed(node: Node) -> Mapping[str, Input]:
    """Return the inputs that must be computed before a node starts; bodies are not among them."""
    return {label: item for label, item in node.inputs.items() if not isinstance(item, Graph)}
