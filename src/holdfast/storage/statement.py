"""Find the statements of `queries.sql` by name, and fill in how many keys or rows they are for. Runs none."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path

_BLOCKS = (1, 8, 64)
"""Keys per statement: few sizes, so that few are compiled, and none that SQLite has to sort for long."""


def read_sql(name: str) -> str:
    """Return the text of one of the `.sql` files."""
    return Path(__file__).with_name(name).read_text(encoding="utf-8")


@lru_cache(maxsize=1)
def _queries() -> dict[str, str]:
    parts = read_sql("queries.sql").split("-- name: ")[1:]
    return {name.strip(): statement.strip() for name, _, statement in (part.partition("\n") for part in parts)}


@lru_cache(maxsize=256)
def query(name: str, keys: int = 0) -> str:
    """Return a statement, with a mark for each of its keys."""
    return _queries()[name].replace("$keys", ", ".join("?" * keys))


@lru_cache(maxsize=64)
def insertion(name: str, width: int, count: int) -> str:
    """Return a statement that inserts rows of so many columns."""
    row = f"({', '.join('?' * width)})"
    return _queries()[name].replace("$rows", ", ".join([row] * count))


def blocks(keys: Sequence[bytes]) -> Iterator[Sequence[bytes]]:
    """Return the keys in blocks of few sizes; the last one is filled up with its own last key."""
    for start in range(0, len(keys), _BLOCKS[-1]):
        block = keys[start : start + _BLOCKS[-1]]
        size = next(size for size in _BLOCKS if size >= len(block))
        yield block if len(block) == size else [*block, *[block[-1]] * (size - len(block))]
