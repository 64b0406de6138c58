"""Find out why a node ran, was reused, waits or failed, by comparing it with the nearest earlier node.

Says which node that is (`nearest`), and what differs (`difference`). Reads the catalog; runs nothing and writes nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from holdfast.errors import NotFound
from holdfast.model.datatype import DataNode
from holdfast.model.explanation import Explanation, Outcome, Reason
from holdfast.model.graph import GRAPH, Graph, parts_of, reachable
from holdfast.model.lifecycle import NodeState
from holdfast.model.node import Node
from holdfast.model.record import parse_record
from holdfast.model.reference import Reference, parse_reference
from holdfast.runtime.acceptance import path_between
from holdfast.runtime.difference import FOLLOWED, REASONS_SHOWN, Differences, accepted_reasons
from holdfast.runtime.nearest import Recipes, Record
from holdfast.runtime.task import Failure, Task
from holdfast.storage.catalog import Catalog
from holdfast.storage.rows import FailureRow, NodeRow
from holdfast.storage.target import find_uid


def explain(
    catalog: Catalog,
    uid: str,
    *,
    records: Mapping[str, Record] | None = None,
    codes: Iterable[Any] = (),
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
    codes : iterable of implementations
        The same of codes.
    outcome : str
        Where the node stands, if it has no result.
    failure : FailureRow, optional
        Why, if it failed in this session.

    Raises
    ------
    NotFound
        Nothing is known of it.
    """
    recipes = Recipes(catalog, records or {}, codes)
    inquiry = _Inquiry(recipes)
    row = recipes.node(uid)
    if row is not None:
        return inquiry.explain_done(row)
    failure = failure or catalog.find_failures([bytes.fromhex(uid)]).get(bytes.fromhex(uid))
    record = recipes.record(uid)
    if failure is None and record is None:
        raise NotFound(f"Nothing is known of node {uid[:16]}….")
    return inquiry.explain_missing(uid, record, "failed" if failure else outcome, failure)


def explain_task(catalog: Catalog, tasks: Mapping[str, Task], node: Reference | str) -> Explanation:
    """Return why a node is where it is in a session; see `Session.explain`."""
    uid = find_uid(catalog, node) if isinstance(node, str) else node.uid
    task = tasks.get(uid)
    behind = {} if isinstance(node, str) else _behind(node)
    records = {found: source.record for found, source in behind.items()}
    codes = [source.code.implementation for source in behind.values() if isinstance(source, Node) and source.code]
    failure = _failure_row(uid, task.failure) if task is not None and task.failure is not None else None
    outcome = OUTCOMES[NodeState.DECLARED if task is None else task.state]
    return explain(catalog, uid, records=records, codes=codes, outcome=outcome, failure=failure)


class _Inquiry:
    """One explanation."""

    def __init__(self, recipes: Recipes) -> None:
        self.catalog = recipes.catalog
        self._recipes = recipes
        self._differences = Differences(recipes)

    def explain_done(self, row: NodeRow) -> Explanation:
        """Explain a node that has a result."""
        uid, record = row.uid.hex(), parse_record(row.record)
        nearest = self._recipes.nearest(uid, row.operation, record, row.session) or self._before_an_edit(row, record)
        reasons = [*self._standing(uid), *(self._reuse(row, record) if row.reused else ())]
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
            nearest = self._recipes.nearest(uid, operation, record, None)
            reasons += [] if failure else self._missing(uid, operation, record)
            reasons += self._compared(uid, nearest, operation, ran=not failure)
        return Explanation(uid, operation, outcome, tuple(reasons), nearest or "")

    def _before_an_edit(self, row: NodeRow, record: Record) -> str | None:
        """Return an earlier node of the same session, as in a notebook, if the code upstream was edited since."""
        uid = row.uid.hex()
        nearest = self._recipes.nearest(uid, row.operation, record, None)
        reasons = self._differences.between(uid, nearest, ran=not row.reused) if nearest else ()
        return (
            nearest if any(reason.cause in ("code", "version", "package", "accepted") for reason in reasons) else None
        )

    def _standing(self, uid: str) -> Iterator[Reason]:
        """Yield the acceptances by which the results of a node and of nodes upstream stand."""
        rows = self.catalog.find_acceptances()
        waiting, seen = [uid], {uid}
        for found in waiting if rows else ():
            row, record = self._recipes.node(found), self._recipes.record(found)
            if record is None or len(seen) > FOLLOWED:
                continue
            if row is not None and row.reused and (first := self.catalog.first_node(row.call_key)) is not None:
                codes = "".join(parse_record(first.record)["depends"]), "".join(record["depends"])
                yield from accepted_reasons(path_between(rows, row.operation, *codes), found, upstream=found != uid)
            sources = [parse_reference(reference)[0] for _, reference in _references(record["input"])]
            waiting += [source for source in dict.fromkeys(sources) if source not in seen]
            seen.update(sources)

    def _reuse(self, row: NodeRow, record: Record) -> Iterator[Reason]:
        first = self.catalog.first_node(row.call_key)
        uid = row.uid.hex()
        if first is None or first.uid == row.uid:
            text = "the same call, with the same code and contents of its inputs, had been made in an ensemble"
            yield Reason("same call", text, row.operation, uid)
            return
        earlier, later = "".join(parse_record(first.record)["depends"]), "".join(record["depends"])
        text = f"the same call, with the same code and contents of its inputs, had been made by node {first.uid.hex()[:12]}"
        if earlier != later:
            text = f"its result is that of node {first.uid.hex()[:12]}, whose inputs have the same contents"
        yield Reason("same call", text, row.operation, uid)

    def _missing(self, uid: str, operation: str, record: Record) -> list[Reason]:
        found: list[Reason] = []
        for path, reference in _references(record["input"]):
            source, _ = parse_reference(reference)
            child = self._recipes.record(source)
            if child is None or "data" in child["input"] or child["operation"] == list(GRAPH):
                continue
            if self._recipes.node(source) is None:
                text = f"its input {path!r} is not there yet: {'.'.join(child['operation'])} {source[:12]}"
                found.append(Reason("missing", text, operation, uid, path=path))
        return found[:REASONS_SHOWN]

    def _compared(self, uid: str, nearest: str | None, operation: str, *, ran: bool) -> list[Reason]:
        if nearest is None:
            return [Reason("first run", "it is the first of its kind here", operation, uid)] if ran else []
        return list(self._differences.between(uid, nearest, ran=ran))


def _behind(node: Reference) -> dict[str, Node | DataNode | Graph]:
    """Return a node and all that it depends on, by uid."""
    behind: dict[str, Node | DataNode | Graph] = {}
    for found in reachable(node):
        if isinstance(found, (Node, DataNode)):
            behind[found.uid] = found
        if isinstance(found, Node):
            behind.update((part.uid, part) for part in parts_of(found) if part.uid not in behind)
    return behind


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


def _failed(uid: str, failure: FailureRow) -> Reason:
    node = failure.member.partition("[")[0] or uid
    given = f", with the input {failure.arguments}" if failure.arguments else ""
    where = f" in {failure.operation} {failure.member[:12]}{failure.member[64:]}" if failure.operation else ""
    return Reason(
        "failure", f"{failure.kind}: {failure.reason}{where}{given}", failure.operation, node, upstream=node != uid
    )
