"""Go on with a node when what it has asked for is computed, and fail it if that cannot be."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from holdfast.errors import HoldfastError
from holdfast.model.graph import concrete
from holdfast.model.node import Node
from holdfast.model.reference import Input
from holdfast.runtime.places import Places
from holdfast.runtime.task import Failure, Requested, Task

if TYPE_CHECKING:
    from holdfast.runtime.scheduler import Scheduler


def follow(scheduler: Scheduler, task: Task, item: Input, then: Callable[[Input], None]) -> None:
    """Have `then` called with `item`, from the loop, when all that it refers to is computed; record that the node came down to it."""
    note_needs(scheduler, task.key, task.node, item)

    def settled(failure: Failure | None) -> None:
        if failure is not None:
            scheduler.fail(task, failure)
            return
        guard(scheduler, task, lambda: then(item))

    scheduler.require(item, scheduler.wait(settled))


def note_needs(scheduler: Scheduler, owner: bytes, node: Requested, item: Input) -> None:
    """Record the nodes that `item` consists of, as far as the inputs of `node`, of which the records lead on."""
    assert isinstance(node, Node)
    inputs = [reference.uid for reference in concrete(node.inputs, deep=False)]
    if needs := [bytes.fromhex(reference.uid) for reference in concrete(item, inputs)]:
        scheduler.ledger.add_needs(owner, needs)


def guard(scheduler: Scheduler, task: Task, act: Callable[[], None]) -> None:
    """Act on behalf of a node, which fails if that does."""
    try:
        act()
    except (HoldfastError, OSError) as error:
        where = Failure(task.operation, task.node.uid, "", type(error).__name__, str(error))
        scheduler.fail(task, where, row=True)


def finish_with(scheduler: Scheduler, task: Task, item: Input) -> None:
    """Give a node the value of `item`, which is computed."""
    places: Places = {}
    text = scheduler.contents.text_of(item, places)
    scheduler.finish(task, text, places)
