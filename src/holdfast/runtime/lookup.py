"""Find out which nodes are done of those that somebody waits for, and make tasks of the others.

What is asked for in one turn is looked up together. A node that the catalog knows gets no task: whoever waits for it goes on. Where nodes
are missing one behind the other, as in a chain, as many again are looked up with the next one.

State: the tasks of all nodes that are not settled, or that this session computed for a request; what is to be looked up; of what was looked
up ahead in this turn, whether it is done, and how many nodes were missing; how many requests there were.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping

from holdfast.model.lifecycle import NodeState
from holdfast.model.node import CommittedNode, Node
from holdfast.model.reference import Input, Part, references
from holdfast.runtime.audience import Audience
from holdfast.runtime.contents import AT_ONCE, Contents
from holdfast.runtime.events import Counts, NodeDone
from holdfast.runtime.expansion import needed
from holdfast.runtime.task import Failure, Requested, Task, Waiter, lower, operation_of

FEW = 64
"""As many nodes as one query finds without being slower for each; so many need none ahead."""

_Asked = tuple[Waiter, bool, list[Requested]]
"""Who waits, whether that is a request, which waits until all is durable, and for which nodes."""


class LookUp:
    """The nodes that are waited for.

    Parameters
    ----------
    contents, audience, counts
        What is known, who is told, what is counted.
    ready : callable
        Takes a task when all that it needs is settled.
    """

    def __init__(
        self,
        contents: Contents,
        audience: Audience,
        counts: Counts,
        ready: Callable[[Task], None],
    ) -> None:
        self.tasks: dict[str, Task] = {}
        self.requests = 0
        self._contents = contents
        self._audience = audience
        self._counts = counts
        self._ready = ready
        self._asked: list[_Asked] = []
        self._ahead: dict[str, bool] = {}
        self._missed = 0

    @property
    def is_due(self) -> bool:
        """Whether something is to be looked up."""
        return bool(self._asked)

    def ask(self, item: Input, waiter: Waiter, *, is_request: bool = False) -> None:
        """Let `waiter` proceed when all references of `item` are settled; at once if they are."""
        waiter.waits += 1
        unknown: list[Requested] = []
        for reference in references(item):
            source = reference.source if isinstance(reference, Part) else reference
            if not isinstance(source, (Node, CommittedNode)):
                continue
            task = self._standing(source.uid) if source.uid in self.tasks else None
            if task is not None:
                _await(task, waiter, is_request)
            elif source.uid in self._ahead or not self._is_settled(source.uid, is_request):
                unknown.append(source)
        if unknown:
            waiter.waits += len(unknown)
            self._asked.append((waiter, is_request, unknown))
        lower(waiter, None)

    def look_up(self) -> None:
        """Settle the waits for what is done, and have everything else computed, with all that it needs."""
        while self._asked:
            nodes = {source.uid: source for _, _, unknown in self._asked for source in unknown}
            known = self._find(nodes)  # an error leaves what was asked for where `forget` finds it
            asked, self._asked = self._asked, []
            self._counts.reused += len(known)
            if self._audience.is_listening:
                self._tell_reused(known, nodes)
            for waiter, is_request, unknown in asked:
                for source in unknown:
                    if source.uid not in known:
                        _await(self._standing(source.uid) or self._make(source), waiter, is_request)
                waiter.waits -= len(unknown) - 1
                lower(waiter, None)
        self._ahead.clear()
        self._missed = 0

    def drop(self, task: Task) -> None:
        """Leave a task that is done to the catalog, unless a request asked for it."""
        if not task.is_wanted and self.tasks.get(task.node.uid) is task:
            del self.tasks[task.node.uid]

    def forget(self, failure: Failure) -> None:
        """Look nothing up that was asked for, tell requests why, and let go of the tasks that were cancelled."""
        asked, self._asked = self._asked, []
        for waiter, is_request, unknown in asked:
            for _ in unknown if is_request else ():
                lower(waiter, failure)
        self.tasks = {uid: task for uid, task in self.tasks.items() if task.state is not NodeState.CANCELLED}

    def _is_settled(self, uid: str, is_request: bool) -> bool:
        """Return whether a node without a task is known to be done; whoever is no request may go on before it is durable."""
        return self._contents.is_durable(uid) if is_request else self._contents.is_known(uid)

    def _find(self, nodes: Mapping[str, Requested]) -> set[str]:
        """Return which nodes are done; where they are few, find the same out of as many behind them as were missing so far."""
        wanted = [node for uid, node in nodes.items() if uid not in self._ahead]
        behind = self._behind(wanted, min(self._missed, AT_ONCE)) if len(wanted) < FEW else {}
        known = self._contents.find([*[node.uid for node in wanted], *behind])
        if self._ahead or behind:
            self._ahead.update((uid, uid in known) for uid in behind)
            known = {uid for uid in nodes if self._ahead.pop(uid, uid in known)}
        self._missed += len(nodes) - len(known)
        return known

    def _behind(self, nodes: Iterable[Requested], count: int) -> dict[str, Requested]:
        """Return about so many nodes that are needed for these, the nearest first, as far as nothing is known of them."""
        found: dict[str, Requested] = {}
        waiting = deque(nodes)
        while waiting and len(found) < count:
            node = waiting.popleft()
            for reference in references(needed(node)) if isinstance(node, Node) else ():
                source = reference.source if isinstance(reference, Part) else reference
                if (
                    isinstance(source, (Node, CommittedNode))
                    and not self._has_met(source.uid)
                    and source.uid not in found
                ):
                    found[source.uid] = source
                    waiting.append(source)
        return found

    def _has_met(self, uid: str) -> bool:
        return uid in self._ahead or uid in self.tasks or self._contents.is_known(uid)

    def _tell_reused(self, known: Iterable[str], nodes: Mapping[str, Requested]) -> None:
        for uid in known:
            self._audience.tell(NodeDone(uid, operation_of(nodes[uid]), reused=True))

    def _standing(self, uid: str) -> Task | None:
        """Return the task of a node; None if there is none, or one that failed and that a later request tries again."""
        task = self.tasks.get(uid)
        is_over = task is not None and task.state is NodeState.FAILED and task.failed_at < self.requests
        return None if is_over else task

    def _make(self, source: Requested) -> Task:
        task = self.tasks[source.uid] = Task(source, self._ready)
        self._counts.waiting += task.is_call
        self.ask(needed(source) if isinstance(source, Node) else (), task)
        return task


def _await(task: Task, waiter: Waiter, is_request: bool) -> None:
    """Have a waiter wait for a task: a request for its end, all others for its value."""
    if is_request:
        task.is_wanted = True
        if not task.state.is_final:
            task.await_end(waiter)
            return
    elif not task.is_computed and task.failure is None:
        task.await_value(waiter)
        return
    waiter.failure = waiter.failure or task.failure
