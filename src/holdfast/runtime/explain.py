"""Find out why a node ran, was reused, waits or failed, by comparing it with the nearest earlier node.

The nearest earlier node is one of the same operation, done in an earlier session or with other code, whose recipe has the same form
(as far as `FORM` nodes upstream), then the one with the most inputs in common, then the latest. Where the contents of an input are the
same as before, what changed behind it is no reason for a run and is not followed; of a node that was reused it is told. Reads the
catalog; runs nothing and writes nothing.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from holdfast.errors import NotFound
from holdfast.model.comparison import (
    ELEMENTS_SHOWN,
    Change,
    changed_elements,
    changed_inputs,
    changed_parts,
    shared_inputs,
)
from holdfast.model.datatype import DataNode
from holdfast.model.explanation import Cause, Explanation, Outcome, Reason
from holdfast.model.graph import GRAPH, parts_of, reachable
from holdfast.model.lifecycle import NodeState
from holdfast.model.node import Node
from holdfast.model.operation import full_name
from holdfast.model.reference import Reference, parse_reference
from holdfast.runtime.task import Failure, Task
from holdfast.storage.catalog import Catalog
from holdfast.storage.rows import AcceptanceRow, FailureRow, NodeRow
from holdfast.storage.target import find_uid

CANDIDATES = 200
"""So many earlier nodes of the operation are looked at."""

CLOSE_CANDIDATES = 20
"""The recipes of so many are compared."""

FORM = 100
"""So many nodes of a recipe are compared to find the nearest."""

FOLLOWED = 10_000
"""So many pairs of nodes that differ are followed upstream."""

REASONS_SHOWN = 50

Record = Mapping[str, Any]


def explain(
    catalog: Catalog,
    uid: str,
    *,
    records: Mapping[str, Record] | None = None,
    outcome: Outcome = "not asked for",
    failure: FailureRow | None = None,
) -> Explanation:
    """Return why a node is where it is.

    Parameters
    ----------
    catalog : Catalog
    uid : str
    records : mapping of uid to record, optional
        What is known of nodes that the catalog does not know.
    outcome : str
        Where the node stands, if it has no result.
    failure : FailureRow, optional
        Why, if it failed in this session.

    Raises
    ------
    NotFound
        Nothing is known of it.
    """
    inquiry = _Inquiry(catalog, records or {})
    row = inquiry.node(uid)
    if row is not None:
        return inquiry.explain_done(row)
    failure = failure or catalog.find_failures([bytes.fromhex(uid)]).get(bytes.fromhex(uid))
    record = inquiry.record(uid)
    if failure is None and record is None:
        raise NotFound(f"Nothing is known of node {uid[:16]}….")
    return inquiry.explain_missing(uid, record, "failed" if failure else outcome, failure)


def explain_task(catalog: Catalog, tasks: Mapping[str, Task], node: Reference | str) -> Explanation:
    """Return why a node is where it is in a session; see `Session.explain`."""
    uid = find_uid(catalog, node) if isinstance(node, str) else node.uid
    task = tasks.get(uid)
    records = {} if isinstance(node, str) else _records_behind(node)
    failure = _failure_row(uid, task.failure) if task is not None and task.failure is not None else None
    outcome = OUTCOMES[NodeState.DECLARED if task is None else task.state]
    return explain(catalog, uid, records=records, outcome=outcome, failure=failure)


class _Inquiry:
    """What was read for one explanation."""

    def __init__(self, catalog: Catalog, records: Mapping[str, Record]) -> None:
        self.catalog = catalog
        self._records = dict(records)
        self._nodes: dict[str, NodeRow | None] = {}

    def node(self, uid: str) -> NodeRow | None:
        """Return a node that is done."""
        if uid not in self._nodes:
            key = bytes.fromhex(uid)
            self._nodes[uid] = self.catalog.find_nodes([key]).get(key)
        return self._nodes[uid]

    def record(self, uid: str) -> Record | None:
        """Return a record: of a node, a constant, or a part of a body."""
        if uid not in self._records:
            key, row = bytes.fromhex(uid), self.node(uid)
            referent = None if row else self.catalog.find_referents([key]).get(key)
            text = row.record if row else referent.record if referent else None
            if text is None:
                return None
            self._records[uid] = json.loads(text)
        return self._records[uid]

    def explain_done(self, row: NodeRow) -> Explanation:
        """Explain a node that has a result."""
        uid, record = row.uid.hex(), json.loads(row.record)
        nearest = self._nearest(uid, row.operation, record, row.session)
        reasons = list(self._reuse(row, record)) if row.reused else []
        for failure in self.catalog.find_overcome(row.uid):
            text = f"it failed before, at {failure.at}: {failure.kind}: {failure.reason}"
            reasons.append(Reason("failed before", text, row.operation, uid))
        reasons += self._compared(uid, nearest, row.operation, ran=not row.reused)
        session = self.catalog.find_session(row.session)
        return Explanation(
            uid,
            row.operation,
            "reused" if row.reused else "ran",
            tuple(reasons),
            nearest or "",
            row.session,
            session.started if session else "",
        )

    def explain_missing(
        self, uid: str, record: Record | None, outcome: Outcome, failure: FailureRow | None
    ) -> Explanation:
        """Explain a node that has no result."""
        operation = ".".join(record["operation"]) if record else failure.operation if failure else ""
        reasons = [_failed(uid, failure)] if failure else []
        nearest = None
        if record is not None:
            nearest = self._nearest(uid, operation, record, None)
            reasons += [] if failure else self._missing(uid, operation, record)
            reasons += self._compared(uid, nearest, operation, ran=not failure)
        return Explanation(uid, operation, outcome, tuple(reasons), nearest or "")

    def _reuse(self, row: NodeRow, record: Record) -> Iterator[Reason]:
        first = self.catalog.first_node(row.call_key)
        uid = row.uid.hex()
        if first is None or first.uid == row.uid:
            text = "the same call, with the same code and contents of its inputs, had been made in an ensemble"
            yield Reason("same call", text, row.operation, uid)
            return
        earlier = json.loads(first.record)["depends"]
        if earlier != record["depends"]:
            yield from self._accepted(row, record["depends"], earlier)
        text = f"the same call, with the same code and contents of its inputs, had been made by node {first.uid.hex()[:12]}"
        if earlier != record["depends"]:
            text = f"its result is that of node {first.uid.hex()[:12]}, whose inputs have the same contents"
        yield Reason("same call", text, row.operation, uid)

    def _accepted(self, row: NodeRow, depends: list[str], earlier: list[str]) -> Iterator[Reason]:
        """Yield the acceptances that lead from the code of a node back to the code that made its result."""
        later = depends[0] if depends else ""
        known = {
            found.later.hex(): found for found in self.catalog.find_acceptances() if found.operation == row.operation
        }
        while later not in earlier and (found := known.pop(later, None)) is not None:
            yield Reason(
                "accepted", _acceptance(found), row.operation, row.uid.hex(), old=found.earlier.hex(), new=later
            )
            later = found.earlier.hex()

    def _missing(self, uid: str, operation: str, record: Record) -> list[Reason]:
        found: list[Reason] = []
        for path, reference in _references(record["input"]):
            source, _ = parse_reference(reference)
            child = self.record(source)
            if child is None or "data" in child["input"] or child["operation"] == list(GRAPH):
                continue
            if self.node(source) is None:
                text = f"its input {path!r} is not there yet: {'.'.join(child['operation'])} {source[:12]}"
                found.append(Reason("missing", text, operation, uid, path=path))
        return found[:REASONS_SHOWN]

    def _compared(self, uid: str, nearest: str | None, operation: str, *, ran: bool) -> list[Reason]:
        if nearest is None:
            return [Reason("first run", "it is the first of its kind here", operation, uid)] if ran else []
        return list(self._differences(uid, nearest, ran=ran))

    # the nearest earlier node

    def _nearest(self, uid: str, operation: str, record: Record, session: str | None) -> str | None:
        """Return the uid of the nearest earlier node."""
        rows = self.catalog.earlier_nodes(operation, bytes.fromhex(uid), CANDIDATES)
        candidates: list[tuple[int, str]] = []
        for row in rows:
            found = json.loads(row.record)
            if row.uid.hex() != uid and (row.session != session or found["depends"] != record["depends"]):
                candidates.append((-shared_inputs(record, found), row.uid.hex()))
        candidates.sort(key=lambda candidate: candidate[0])  # stable: the latest stay first
        close = [candidate for _, candidate in candidates[:CLOSE_CANDIDATES]]
        return min(close, key=lambda candidate: self._unlikeness(uid, candidate), default=None)

    def _unlikeness(self, new: str, old: str) -> int:
        """Return in how many places the forms of two recipes differ."""
        different = 0
        pairs, seen = [(new, old)], {(new, old)}
        while pairs and len(seen) < FORM:
            first, second = map(self.record, pairs.pop())
            if first is None or second is None or first["operation"] != second["operation"]:
                different += first is not None or second is not None
                continue
            if "data" in first["input"]:
                continue
            for change in changed_inputs(first, second):
                if change.old is None or change.new is None:
                    different += 1
                    continue
                pair = change.new[:64], change.old[:64]
                if pair not in seen:
                    seen.add(pair)
                    pairs.append(pair)
        return different

    # what differs

    def _differences(self, uid: str, nearest: str, *, ran: bool) -> Iterator[Reason]:
        """Yield what differs, the node's own first, and then upstream, the nearest first."""
        pairs, seen, shown = [(uid, nearest)], {(uid, nearest)}, 0
        for new, old in pairs:
            if len(seen) > FOLLOWED or shown >= REASONS_SHOWN:
                return
            first, second = self.record(new), self.record(old)
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
        first, second = self.record(new), self.record(old)
        if first is None or second is None or first["operation"] != second["operation"] or "data" in first["input"]:
            return False
        return not (ran and self._has_same_contents(new, old))

    def _has_same_contents(self, new: str, old: str) -> bool:
        rows = [row for row in (self.node(new), self.node(old)) if row is not None]
        calls = self.catalog.find_calls([row.call_key for row in rows])
        digests = [calls[row.call_key].digest for row in rows if row.call_key in calls]
        return len(digests) == 2 and digests[0] == digests[1]

    def _own(self, explained: str, uid: str, new: Record, old: Record) -> Iterator[Reason]:
        """Yield what differs in two records themselves."""
        operation, upstream = ".".join(new["operation"]), uid != explained
        if new["depends"] != old["depends"]:
            for cause, text, change, place, diff in self._code_changes(new["depends"], old["depends"], operation):
                yield Reason(cause, text, operation, uid, upstream, change.path, change.old, change.new, place, diff)
        for change in changed_inputs(new, old):
            for cause, text, found in self._input_changes(change):
                yield Reason(cause, text, operation, uid, upstream, found.path, found.old, found.new)

    def _input_changes(self, change: Change) -> Iterator[tuple[Cause, str, Change]]:
        """Yield what is to be said of an input that refers to something else; nothing if it has to be followed."""
        if change.new is None or change.old is None:
            text = f"its input {change.path!r} is " + ("new" if change.old is None else "gone")
            yield "input", text, change
            return
        new, old = self.record(change.new[:64]), self.record(change.old[:64])
        if self._has_same_contents(change.new[:64], change.old[:64]) and change.new[64:] == change.old[64:]:
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

    def _code_changes(
        self, new: list[str], old: list[str], operation: str
    ) -> Iterator[tuple[Cause, str, Change, str, str]]:
        """Yield what changed in the code: cause, sentence, part, place and diff."""
        rows = [self.catalog.find_implementation(bytes.fromhex(found[0])) if found else None for found in (new, old)]
        if rows[0] is None or rows[1] is None:
            yield "code", "its code changed", Change("", "".join(old), "".join(new)), "", ""
            return
        for change in changed_parts(rows[0].parts, rows[1].parts):
            if change.path == "version":
                yield "version", f"its version word changed from {change.old!r} to {change.new!r}", change, "", ""
            elif change.path.startswith("package "):
                text = f"{change.path} changed from {change.old or 'nothing'} to {change.new or 'nothing'}"
                yield "package", text, change, "", ""
            else:
                yield self._part_change(change, operation)

    def _part_change(self, change: Change, operation: str) -> tuple[Cause, str, Change, str, str]:
        sources = [self.catalog.find_source(digest) if digest else None for digest in (change.old, change.new)]
        place = next((source.place for source in reversed(sources) if source is not None and source.place), "")
        verb = "is new" if change.old is None else "is gone" if change.new is None else "changed"
        text = f"its code changed: {full_name(change.path, operation)} {verb}" + (f", in {place}" if place else "")
        before, after = (source.text if source else "" for source in sources)
        return "code", text, change, place, unified(before, after) if change.old and change.new else ""


def unified(before: str, after: str) -> str:
    """Return the lines that changed between two texts, with two lines around them."""
    from difflib import unified_diff

    lines = unified_diff(before.splitlines(), after.splitlines(), "before", "after", lineterm="", n=2)
    return "\n".join(lines)


def _records_behind(node: Reference) -> dict[str, Record]:
    """Return the records of a node and of all that it depends on."""
    records: dict[str, Record] = {}
    for found in reachable(node):
        if isinstance(found, (Node, DataNode)):
            records[found.uid] = found.record
        if isinstance(found, Node):
            records.update((part.uid, part.record) for part in parts_of(found) if part.uid not in records)
    return records


def _failure_row(uid: str, failure: Failure) -> FailureRow:
    """Return what this session knows of a failure in the form in which the catalog keeps it."""
    told = (failure.kind, failure.reason, failure.traceback)
    return FailureRow(bytes.fromhex(uid), failure.operation, failure.node, *told, failure.arguments)


OUTCOMES: Mapping[NodeState, Outcome] = {
    NodeState.DECLARED: "not asked for",
    NodeState.WAITING: "waits",
    NodeState.READY: "waits",
    NodeState.RUNNING: "running",
    NodeState.SUSPENDED: "waits",
    NodeState.DONE: "ran",
    NodeState.FAILED: "failed",
    NodeState.CANCELLED: "cancelled",
}
"""Where a node without a result stands."""


def _references(item: Any) -> Iterator[tuple[str, str]]:
    waiting = [("", item)]
    while waiting:
        path, found = waiting.pop()
        if isinstance(found, dict):
            waiting += [(f"{path}.{label}" if path else label, found[label]) for label in sorted(found, reverse=True)]
        elif isinstance(found, list):
            waiting += [(f"{path}[{index}]", found[index]) for index in reversed(range(len(found)))]
        elif isinstance(found, str) and len(found) >= 64:
            yield path, found


def _named(record: Record | None, reference: str) -> str:
    name = ".".join(record["operation"]) if record else "something"
    return f"{name} {reference[:12]}{reference[64:]}"


def _acceptance(row: AcceptanceRow) -> str:
    return f"{row.who} accepted at {row.at} that the change of its code from {row.earlier.hex()[:12]} does not matter: {row.why}"


def _failed(uid: str, failure: FailureRow) -> Reason:
    node = failure.member.partition("[")[0] or uid
    given = f", with the input {failure.arguments}" if failure.arguments else ""
    where = f" in {failure.operation} {failure.member[:12]}{failure.member[64:]}" if failure.operation else ""
    return Reason(
        "failure", f"{failure.kind}: {failure.reason}{where}{given}", failure.operation, node, upstream=node != uid
    )
