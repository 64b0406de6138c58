"""Say what differs between a node and an earlier one: its code, with the diff, its inputs, with the elements, and what lies upstream.

Where the contents of an input are the same as before, what changed behind it is no reason for a run and is not followed; of a node that
was reused it is told. A change of code that was accepted is told as that. Reads the catalog; runs nothing and writes nothing.
"""

from __future__ import annotations

from collections.abc import Iterator

from holdfast.model.comparison import ELEMENTS_SHOWN, Change, changed_elements, changed_inputs, changed_parts
from holdfast.model.explanation import Cause, Reason
from holdfast.model.operation import full_name
from holdfast.runtime.acceptance import path_between
from holdfast.runtime.nearest import Recipes, Record
from holdfast.storage.rows import AcceptanceRow

FOLLOWED = 10_000
"""So many pairs of nodes that differ are followed upstream."""

REASONS_SHOWN = 50


class Differences:
    """What differs between two nodes, and behind them."""

    def __init__(self, recipes: Recipes) -> None:
        self._recipes = recipes

    def between(self, uid: str, nearest: str, *, ran: bool) -> Iterator[Reason]:
        """Yield what differs, the node's own first, and then upstream, the nearest first."""
        pairs, seen, shown = [(uid, nearest)], {(uid, nearest)}, 0
        for new, old in pairs:
            if len(seen) > FOLLOWED or shown >= REASONS_SHOWN:
                return
            first, second = self._recipes.record(new), self._recipes.record(old)
            if first is None or second is None:
                continue
            for reason in self._own(uid, new, first, second):
                shown += 1
                yield reason
            for change in changed_inputs(first, second):
                pair = (change.new or "")[:64], (change.old or "")[:64]
                if all(pair) and pair not in seen and self._is_followed(*pair, ran=ran):
                    seen.add(pair)
                    pairs.append(pair)

    def _is_followed(self, new: str, old: str, *, ran: bool) -> bool:
        """Return whether two references lead to nodes of the same operation, whose contents can be a reason for a run."""
        first, second = self._recipes.record(new), self._recipes.record(old)
        if first is None or second is None or first["operation"] != second["operation"] or "data" in first["input"]:
            return False
        return not (ran and self._recipes.has_same_contents(new, old))

    def _own(self, explained: str, uid: str, new: Record, old: Record) -> Iterator[Reason]:
        """Yield what differs in two records themselves."""
        operation, upstream = ".".join(new["operation"]), uid != explained
        if new["depends"] != old["depends"]:
            codes = "".join(new["depends"]), "".join(old["depends"])
            path = path_between(self._recipes.catalog.find_acceptances(), operation, codes[1], codes[0])
            row = self._recipes.node(uid)
            if row is not None and row.reused and path:
                pass  # told with what it stands by
            else:
                accepted = path if row is None else []
                yield from accepted_reasons(accepted, uid, upstream=upstream)
                if not accepted or any(found.withdrawn for found in accepted):
                    yield from code_reasons(self._recipes, operation, *codes, node=uid, upstream=upstream)
        for change in changed_inputs(new, old):
            for cause, text, found in self._input_changes(change):
                yield Reason(cause, text, operation, uid, upstream, found.path, found.old, found.new)

    def _input_changes(self, change: Change) -> Iterator[tuple[Cause, str, Change]]:
        """Yield what is to be said of an input that refers to something else; nothing if it has to be followed."""
        if change.new is None or change.old is None:
            text = f"its input {change.path!r} is " + ("new" if change.old is None else "gone")
            yield "input", text, change
            return
        new, old = self._recipes.record(change.new[:64]), self._recipes.record(change.old[:64])
        if self._recipes.has_same_contents(change.new[:64], change.old[:64]) and change.new[64:] == change.old[64:]:
            return
        if new and old and new["operation"] == old["operation"] and "data" in new["input"]:
            changes = changed_elements(new["input"]["data"], old["input"]["data"])
            for found in changes[:ELEMENTS_SHOWN]:
                path = change.path + found.path
                text = f"its input {path!r} changed from {found.old or 'nothing'} to {found.new or 'nothing'}"
                yield "input", text, Change(path, found.old, found.new)
            if len(changes) > ELEMENTS_SHOWN:
                text = f"{len(changes) - ELEMENTS_SHOWN} more elements of its input {change.path!r} changed"
                yield "input", text, Change(change.path, None, None)
        elif new is None or old is None or new["operation"] != old["operation"] or change.new[:64] == change.old[:64]:
            text = f"its input {change.path!r} is {_named(new, change.new)} and was {_named(old, change.old)}"
            yield "input", text, change


def accepted_reasons(path: list[AcceptanceRow], node: str, *, upstream: bool = False) -> list[Reason]:
    """Return what is to be said of the acceptances that lead from one code to another."""
    return [
        Reason("accepted", _acceptance(row), row.operation, node, upstream, "", row.earlier.hex(), row.later.hex())
        for row in path
    ]


def code_reasons(
    recipes: Recipes, operation: str, new: str, old: str, *, node: str = "", upstream: bool = False
) -> Iterator[Reason]:
    """Yield what changed between two codes of an operation, given their uids."""
    parts = recipes.parts(new), recipes.parts(old)
    if parts[0] is None or parts[1] is None:
        yield Reason("code", "its code changed", operation, node, upstream, "", old, new)
        return
    changes = changed_parts(parts[0], parts[1])
    stated = [change for change in changes if change.path == "version"]  # in the place of all that the code reaches
    for change in stated or changes:
        cause, text, place, diff = _part_change(recipes, change, operation)
        yield Reason(cause, text, operation, node, upstream, change.path, change.old, change.new, place, diff)


def _part_change(recipes: Recipes, change: Change, operation: str) -> tuple[Cause, str, str, str]:
    """Return cause, sentence, place and diff of what changed in one part of the code."""
    if change.path == "version":
        return "version", f"its version word changed from {change.old!r} to {change.new!r}", "", ""
    if change.path.startswith("package "):
        text = f"{change.path} changed from {change.old or 'nothing'} to {change.new or 'nothing'}"
        return "package", text, "", ""
    sources = [recipes.source(digest) if digest else None for digest in (change.old, change.new)]
    place = next((source.place for source in reversed(sources) if source is not None and source.place), "")
    verb = "is new" if change.old is None else "is gone" if change.new is None else "changed"
    text = f"its code changed: {full_name(change.path, operation)} {verb}" + (f", in {place}" if place else "")
    before, after = (source.text if source else "" for source in sources)
    return "code", text, place, unified(before, after) if change.old and change.new else ""


def unified(before: str, after: str) -> str:
    """Return the lines that changed between two texts, with two lines around them."""
    from difflib import unified_diff

    lines = unified_diff(before.splitlines(), after.splitlines(), "before", "after", lineterm="", n=2)
    return "\n".join(lines)


def _named(record: Record | None, reference: str) -> str:
    name = ".".join(record["operation"]) if record else "something"
    return f"{name} {reference[:12]}{reference[64:]}"


def _acceptance(row: AcceptanceRow) -> str:
    code = row.earlier.hex()[:12]
    told = f"{row.who} accepted at {row.at} that the change of its code from {code} does not matter: {row.why}"
    return f"{told} (withdrawn since, by {row.withdrawn})" if row.withdrawn else told
