"""Compare two records: which input, which element of it, and which part of the code is not the same.

Pure. Looks at one pair of records at a time; whoever compares whole graphs follows the pairs that differ. Never decides what a
difference means.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from holdfast.model.fingerprint import compact_json

SHOWN = 60
"""Characters of a value that are shown."""

ELEMENTS_SHOWN = 3

ABSENT = "nothing"


@dataclass(frozen=True, slots=True)
class Change:
    """One thing that is not the same in two records."""

    path: str
    """Where: an input such as `start` or `over.seed[2]`, an element of data, or the name of a part of the code."""
    old: str | None
    """None if it is new."""
    new: str | None
    """None if it is gone."""


def changed_inputs(new: Mapping[str, Any], old: Mapping[str, Any]) -> list[Change]:
    """Return the inputs of two records that refer to different things, in the order of their names."""
    return _changes(dict(_leaves(new["input"])), dict(_leaves(old["input"])))


def shared_inputs(new: Mapping[str, Any], old: Mapping[str, Any]) -> int:
    """Return how many inputs of two records refer to the same."""
    return len(set(_leaves(new["input"])) & set(_leaves(old["input"])))


def changed_elements(new: Any, old: Any) -> list[Change]:
    """Return the elements of the data of two data nodes that differ, with their shortened values.

    Examples
    --------
    >>> changed_elements([1, 2, 3], [1, 5, 3])
    [Change(path='[1]', old='5', new='2')]
    """
    changes = _changes(dict(_leaves(new, data=True)), dict(_leaves(old, data=True)))
    return [Change(change.path, _shortened(change.old), _shortened(change.new)) for change in changes]


def changed_parts(new: Mapping[str, str], old: Mapping[str, str]) -> list[Change]:
    """Return the parts of two implementations that differ."""
    return _changes(dict(new), dict(old))


def _changes(new: Mapping[str, str], old: Mapping[str, str]) -> list[Change]:
    paths = [path for path in {**new, **old} if new.get(path) != old.get(path)]
    return [Change(path, old.get(path), new.get(path)) for path in paths]


def _leaves(value: Any, *, data: bool = False) -> Iterator[tuple[str, str]]:
    """Yield the path and the text of each leaf; in data an array that stands by its digest is one."""
    waiting: list[tuple[str, Any]] = [("", value)]
    while waiting:
        path, item = waiting.pop()
        if data and isinstance(item, dict) and "$dataset" in item:
            item = item["$dataset"]
        if isinstance(item, dict) and item and not (data and next(iter(item))[:1] == "$"):
            waiting += [(f"{path}.{label}" if path else label, item[label]) for label in sorted(item, reverse=True)]
        elif isinstance(item, list) and item:
            waiting += [(f"{path}[{index}]", item[index]) for index in reversed(range(len(item)))]
        else:
            yield path, _leaf_text(item) if data else str(item)


def _leaf_text(item: Any) -> str:
    """Return the text of an element of data; of a table what a person wants to know first."""
    table = item.get("$table") if isinstance(item, dict) else None
    if table is None:
        return compact_json(item)
    names = ", ".join(column["name"] for column in table["columns"])
    return f"table {table['data']['$array'][2][:8]} of {table['library']}, {table['rows']} rows: {names}"


def _shortened(text: str | None) -> str | None:
    if text is None or len(text) <= SHOWN:
        return text
    return text[: SHOWN - 1] + "…"
