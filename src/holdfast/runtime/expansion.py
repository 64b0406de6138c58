"""Say which control flow there is: for each kind of node, what runs it and what must be computed before it starts.

A table, so that a new kind is one class and one line. Decides nothing about when a node runs; that is the scheduler's.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Protocol

from holdfast.model.control import COND, DEFERRED, FORI_LOOP, GATHER, MAP, REDUCE, SCAN, WHILE_LOOP
from holdfast.model.fingerprint import call_key, call_prefix, uid_of
from holdfast.model.graph import Graph
from holdfast.model.node import Node
from holdfast.model.reference import Input, write_input
from holdfast.runtime.branch import BranchRun
from holdfast.runtime.counted import CountedRun
from holdfast.runtime.ensemble import EnsembleRun
from holdfast.runtime.gathering import GatherRun
from holdfast.runtime.iteration import LoopRun
from holdfast.runtime.reduction import ReduceRun
from holdfast.runtime.task import Task

if TYPE_CHECKING:
    from holdfast.runtime.scheduler import Scheduler


class Expansion(Protocol):
    """A node that is turned into other nodes and calls while it runs."""

    def begin(self) -> None:
        """Start, now that what the node needs is computed; whatever is raised here fails the node."""


RUNS: Mapping[tuple[str, ...], Callable[[Scheduler, Task], Expansion]] = {
    COND: BranchRun,
    FORI_LOOP: CountedRun,
    GATHER: GatherRun,
    MAP: EnsembleRun,
    REDUCE: ReduceRun,
    SCAN: CountedRun,
    WHILE_LOOP: LoopRun,
}
"""What runs each kind of node that has no code of its own."""


def needed(node: Node) -> Mapping[str, Input]:
    """Return the inputs that must be computed before a node starts; bodies are not among them."""
    if node.code is not None and Graph not in map(type, node.inputs.values()):
        return node.inputs
    later = DEFERRED.get(node.scope, ())
    return {label: item for label, item in node.inputs.items() if not isinstance(item, Graph) and label not in later}


def named(node: Node) -> tuple[str, ...]:
    """Return what else a node's call key depends on: its other inputs by their uids, since their contents may never be known."""
    wanted = needed(node)
    if len(wanted) == len(node.inputs):
        return ()
    others = {label: item for label, item in node.inputs.items() if label not in wanted}
    return tuple(
        f"{label}:{item.uid if isinstance(item, Graph) else uid_of(write_input(item))}"
        for label, item in others.items()
    )


def node_key(node: Node, arguments: bytes) -> bytes:
    """Return the call key of a node whose needed inputs have these contents."""
    return call_key(call_prefix(node.scope, node.depends + named(node)), arguments)
