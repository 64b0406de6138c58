"""Pass events on to whoever listens: views to all of them, subscribers to those of one node.

State: the listeners, and the queues of the subscribers by uid.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from queue import SimpleQueue

from holdfast.runtime.events import Event, NodeDone, NodeFailed

_ENDS = (NodeDone, NodeFailed)


class Audience:
    """Whoever wants to know what happens in a session."""

    def __init__(self) -> None:
        self._listeners: list[Callable[[Event], None]] = []
        self._subscribers: dict[str, list[SimpleQueue[Event | None]]] = {}

    @property
    def is_listening(self) -> bool:
        """Whether anybody would hear an event; if not, none need be made."""
        return bool(self._listeners or self._subscribers)

    def listen(self, listener: Callable[[Event], None]) -> None:
        """Call `listener` with every event from now on."""
        self._listeners.append(listener)

    def subscribe(self, uid: str, past: Iterable[Event]) -> Iterator[Event]:
        """Return an iterator over what has happened to a node and what will, up to its end."""
        queue: SimpleQueue[Event | None] = SimpleQueue()
        is_over = False
        for event in past:
            queue.put(event)
            is_over = isinstance(event, _ENDS)
        if is_over:
            queue.put(None)
        else:
            self._subscribers.setdefault(uid, []).append(queue)
        return iter(queue.get, None)

    def tell(self, event: Event) -> None:
        """Pass an event on; a listener that fails is not called again."""
        for listener in list(self._listeners):
            try:
                listener(event)
            except Exception:  # a view never stops a run
                self._listeners.remove(listener)
        uid = getattr(event, "uid", "")
        for queue in self._subscribers.get(uid, ()):
            queue.put(event)
        if isinstance(event, _ENDS):
            for queue in self._subscribers.pop(uid, ()):
                queue.put(None)

    def dismiss(self) -> None:
        """End all subscriptions."""
        for queues in self._subscribers.values():
            for queue in queues:
                queue.put(None)
        self._subscribers.clear()
