"""Keep what was used lately, up to a number of bytes, and what is not durable yet for as long as that takes.

State: the pinned items, which are never dropped, and the others in the order of their last use.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from typing import Generic, TypeVar

Item = TypeVar("Item")


class Recent(Generic[Item]):
    """A bounded cache with pinned items.

    Parameters
    ----------
    limit : int
        Bytes of items that are not pinned.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._bytes = 0
        self._pinned: dict[str, Item] = {}
        self._kept: OrderedDict[str, tuple[Item, int]] = OrderedDict()

    def get(self, key: str) -> Item | None:
        """Return the item, or None if it is not here."""
        kept = self._kept.get(key)
        if kept is None:
            return self._pinned.get(key)
        self._kept.move_to_end(key)
        return kept[0]

    def missing(self, keys: Iterable[str]) -> set[str]:
        """Return those of the keys under which there is nothing."""
        return {key for key in keys if key not in self._kept and key not in self._pinned}

    def is_kept(self, key: str) -> bool:
        """Return whether an item is here that is not pinned."""
        return key in self._kept

    def pin(self, key: str, item: Item) -> None:
        """Keep an item until it is released."""
        self._pinned[key] = item

    def release(self, key: str, size: int) -> None:
        """Let a pinned item go when room is needed."""
        item = self._pinned.pop(key, None)
        if item is not None:
            self.keep(key, item, size)

    def drop(self, key: str) -> None:
        """Let a pinned item go at once."""
        self._pinned.pop(key, None)

    def keep(self, key: str, item: Item, size: int) -> None:
        """Keep an item while there is room."""
        if key in self._kept:
            return
        self._kept[key] = (item, size)
        self._bytes += size
        while self._bytes > self._limit and len(self._kept) > 1:
            _, (_, dropped) = self._kept.popitem(last=False)
            self._bytes -= dropped
