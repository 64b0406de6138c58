"""Work out what a request would run, from what the catalog knows.

The graph is walked as the scheduler would walk it, level by level: what has a result by its uid or its call key ends the walk. Of the
rest, nodes whose inputs are all known would run for certain; what stands behind them is counted apart, because equal results would be
reused. Runs nothing and writes nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from graphlib import TopologicalSorter
from typing import Any

from holdfast.errors import HoldfastError
from holdfast.model.control import COND, GATHER, LOOPS, common_width, known_width
from holdfast.model.node import CommittedNode, Node
from holdfast.model.plan import Plan, PlannedCalls
from holdfast.model.reference import Input, Part, Reference, references
from holdfast.runtime.accept import acceptance_row, look_at
from holdfast.runtime.acceptance import Acceptances
from holdfast.runtime.contents import Contents
from holdfast.runtime.ensemble import BLOCK
from holdfast.runtime.expansion import needed, node_key
from holdfast.runtime.ledger import read_expansion
from holdfast.runtime.members import Members, captured, member_call
from holdfast.runtime.places import Places
from holdfast.runtime.request import requested
from holdfast.storage.catalog import Catalog
from holdfast.storage.inventory import open_to_look
from holdfast.storage.rows import CallRow
from holdfast.storage.workdir import WorkDirectory


@dataclass(slots=True)
class _Operation:
    """What was found of one operation so far."""

    calls: set[bytes] = field(default_factory=set)
    depending: int = 0
    reasons: Counter[str] = field(default_factory=Counter)


def plan_in(working_directory: str, node: Any, accepting: Iterable[Any] = ()) -> Plan:
    """Return what asking for nodes would run in a working directory, which need not exist and may be in use; see `plan`.

    Raises
    ------
    WorkingDirectoryError
        It cannot be used; says why.
    """
    item = requested(node)
    workdir, catalog = open_to_look(working_directory)
    with catalog:
        return plan(workdir, catalog, [item], accepting)


def plan(workdir: WorkDirectory, catalog: Catalog, items: Sequence[Input], accepting: Iterable[Any] = ()) -> Plan:
    """Return what a request would run.

    Parameters
    ----------
    workdir : WorkDirectory
    catalog : Catalog
    items : sequence of input
        Concrete: without placeholders.
    accepting : iterable of operations
        Whose last change of code is taken to be accepted, besides what is.

    Raises
    ------
    NotFound
        Of one of these no other code has run.
    """
    assumed = [acceptance_row(look_at(catalog, operation, why="taken to be accepted")) for operation in accepting]
    planner = _Planner(workdir, catalog, Acceptances([*catalog.find_acceptances(), *assumed]))
    missing = planner.find_missing([reference for item in items for reference in references(item)])
    sorter = TopologicalSorter({uid: [source.uid for source in _sources(node)] for uid, node in missing.items()})
    sorter.prepare()
    while sorter.is_active():
        level = sorter.get_ready()
        planner.look_at([missing[uid] for uid in level if uid in missing])
        sorter.done(*level)
    return planner.made()


class _Planner:
    """What is known of one request."""

    def __init__(self, workdir: WorkDirectory, catalog: Catalog, acceptances: Acceptances) -> None:
        self._catalog = catalog
        self._acceptances = acceptances
        self._contents = Contents(workdir, catalog, shares_memory=True, store_type="numpy")
        self._operations: dict[str, _Operation] = {}
        self._pending: set[str] = set()
        self._reused = 0
        self._unknown: Counter[str] = Counter()
        self._why: dict[tuple[str, tuple[str, ...]], str] = {}

    def find_missing(self, wanted: Iterable[Reference]) -> dict[str, Node]:
        """Return the nodes that have no result by their uid, as far as the request needs them."""
        missing: dict[str, Node] = {}
        seen: set[str] = set()
        level = [_source(reference) for reference in wanted]
        while level:
            nodes = {source.uid: source for source in level if source.uid not in seen}
            nodes = {uid: source for uid, source in nodes.items() if isinstance(source, (Node, CommittedNode))}
            seen.update(nodes)
            found = self._catalog.find_call_keys([bytes.fromhex(uid) for uid in nodes])
            self._reused += len(found)
            level = []
            for uid, source in nodes.items():
                if bytes.fromhex(uid) in found:
                    continue
                if isinstance(source, Node):
                    missing[uid] = source
                    level += _sources(source)
                else:
                    self._unknown[f"node {uid[:12]} is not in this working directory, so it would fail"] += 1
                    self._pending.add(uid)
        return missing

    def look_at(self, nodes: list[Node]) -> None:
        """Decide about nodes whose inputs were all looked at before."""
        ready: list[tuple[Node, bytes, bytes]] = []
        for node in nodes:
            if any(source.uid in self._pending for source in _sources(node)):
                self._wait(node)
                continue
            try:
                arguments = self._contents.text_of(needed(node), {})
                ready.append((node, node_key(node, arguments), arguments))
            except (HoldfastError, OSError) as error:
                self._refuse(node, error)
        found = self._catalog.find_calls([key for _, key, _ in ready])
        for node, key, arguments in ready:
            row = found.get(key) or self._accepted_result(node, key, arguments)
            if row is not None:
                self._reused += 1
                self._contents.note_result(node.uid, self._contents.read_call(row))
            elif node.code is not None:
                self._call(node, node, [key])
            else:
                try:
                    self._expand(node)
                except (HoldfastError, OSError) as error:
                    self._refuse(node, error)

    def _accepted_result(self, node: Node, key: bytes, arguments: bytes) -> CallRow | None:
        if not self._acceptances.earlier(node):
            return None
        return self._acceptances.find(node, [key], [arguments], self._catalog.find_calls).get(key)

    def _refuse(self, node: Node, error: Exception) -> None:
        """Note a node that would fail before anything of it ran."""
        self._pending.add(node.uid)
        self._unknown[f"{node.name} {node.uid[:12]} would fail: {error}"] += 1

    def _wait(self, node: Node) -> None:
        """Count a node that depends on what is not there yet."""
        self._pending.add(node.uid)
        if node.code is not None:
            self._operation(node).depending += 1
        elif (call := member_call(node)) is not None and (width := _width(node)) is not None:
            self._operation(call).depending += width
        elif node.scope != GATHER:
            self._unknown[_extent(node)] += 1

    def _expand(self, node: Node) -> None:
        """Count what a node without code of its own would run."""
        if node.scope == GATHER:
            places: Places = {}
            text = self._contents.gather(self._contents.elements(node.inputs["members"], places), places)
            self._contents.note_result(node.uid, text)
            self._contents.note_arrays(places)
            return
        self._pending.add(node.uid)
        call = member_call(node)
        if call is None:
            self._unknown[_extent(node)] += 1
            return
        members = Members(node, self._contents)
        width = members.begin()
        for first in range(0, width, BLOCK):
            arguments = list(members.arguments(first, min(first + BLOCK, width)))
            keys = members.keys(arguments)
            found = self._acceptances.find(call, keys, arguments, self._catalog.find_calls)
            self._reused += len(found)
            self._call(node, call, [key for key in keys if key not in found])

    def _call(self, node: Node, call: Node, keys: list[bytes]) -> None:
        """Count calls that have no result."""
        self._pending.add(node.uid)
        operation = self._operation(call)
        new = [key for key in dict.fromkeys(keys) if key not in operation.calls]
        returned = [key for key in new if read_expansion(self._catalog, key) is not None]
        if returned:
            self._unknown[f"{call.name} returned nodes earlier, which are followed"] += len(returned)
            new = [key for key in new if key not in set(returned)]
        operation.calls.update(new)
        if new:
            operation.reasons[self._reason(node, call)] += len(new)

    def _operation(self, node: Node) -> _Operation:
        return self._operations.setdefault(node.name, _Operation())

    def _reason(self, node: Node, call: Node) -> str:
        """Return why calls of an operation are made."""
        if self._catalog.find_failures([bytes.fromhex(node.uid)]):
            return "failed before"
        known = call.name, call.depends
        if known not in self._why:
            self._why[known] = self._why_of(call)
        return self._why[known]

    def _why_of(self, call: Node) -> str:
        if self._catalog.latest_implementation(call.name) is None:
            return "first run"
        implementation = self._catalog.find_implementation(bytes.fromhex(call.depends[0])) if call.depends else None
        return "code changed" if implementation is None else "new inputs"

    def made(self) -> Plan:
        """Return what was found."""
        times = {name: row.seconds / row.calls for name, row in self._catalog.find_times().items() if row.calls}
        operations = [
            PlannedCalls(name, len(found.calls), found.depending, dict(found.reasons), times.get(name))
            for name, found in self._operations.items()
            if found.calls or found.depending
        ]
        told = [sentence if count == 1 else f"{sentence} ({count} times)" for sentence, count in self._unknown.items()]
        return Plan(tuple(operations), self._reused, tuple(told))


def _source(reference: Reference) -> Reference:
    return reference.source if isinstance(reference, Part) else reference


def _sources(node: Node) -> list[Reference]:
    """Return what must be computed before a node starts."""
    wanted = [_source(reference) for reference in references(needed(node))]
    if member_call(node) is not None:
        wanted += map(_source, captured(node))
    return [source for source in wanted if isinstance(source, (Node, CommittedNode))]


def _width(node: Node) -> int | None:
    """Return how many members an ensemble has, if that is known before anything runs."""
    over = node.inputs["over"]
    assert isinstance(over, Mapping)
    widths = {label: known_width(item) for label, item in over.items()}
    known = {label: width for label, width in widths.items() if width is not None}
    return common_width(known) if len(known) == len(widths) else None


def _extent(node: Node) -> str:
    if node.scope in LOOPS:
        return f"how many rounds {node.name} has"
    return f"which branch {node.name} takes" if node.scope == COND else f"what the elements of {node.name} need"
