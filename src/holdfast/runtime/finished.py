"""Find the finished calls behind a request: of nodes, of members of ensembles, of rounds of loops, and of nodes that calls returned.

The graph is walked as the scheduler walks it, but for what was computed already: control flow is followed by the values and rounds that are
stored. Runs nothing and writes nothing.

State: the nodes that were met, what is read of the catalog, and how many calls have no result.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from hashlib import sha256

from holdfast.errors import HoldfastError
from holdfast.model.binding import apply
from holdfast.model.control import COND, FORI_LOOP, MAP, REDUCE, SCAN, WHILE_LOOP
from holdfast.model.fingerprint import call_prefix
from holdfast.model.graph import Graph
from holdfast.model.node import Node
from holdfast.model.reference import Input, Part, references
from holdfast.model.workgraph import GENERATED, WorkGraph
from holdfast.runtime.acceptance import Acceptances
from holdfast.runtime.branch import chosen_output
from holdfast.runtime.contents import Contents
from holdfast.runtime.counted import lower_bound, round_inputs, round_state
from holdfast.runtime.ensemble import BLOCK
from holdfast.runtime.expansion import needed, node_key
from holdfast.runtime.job import Call
from holdfast.runtime.ledger import read_expansion, returns_nodes
from holdfast.runtime.members import Members, captured
from holdfast.runtime.places import Places
from holdfast.runtime.reduction import combine, elements
from holdfast.runtime.rounds import count_rounds, rounds_key, states
from holdfast.storage.catalog import Catalog
from holdfast.storage.rows import CallRow


@dataclass(frozen=True, slots=True)
class FinishedCall:
    """A call that has a result, and what it takes to make it again."""

    node: Node
    """Names operation and code."""
    call: Call
    places: Places
    where: str
    """Reference of the node or of the ensemble's member."""
    digest: bytes
    """Of the result; of nodes that the call returned, of their document."""
    is_accepted: bool
    """Whether earlier code made it, whose change was accepted."""


class FinishedCalls:
    """The finished calls behind a request, each once.

    Attributes
    ----------
    finished : int
        Calls that were met so far.
    unfinished : int
        Calls, and nodes that stand for calls, which were met so far and have no result.
    """

    def __init__(self, catalog: Catalog, contents: Contents) -> None:
        self.finished = 0
        self.unfinished = 0
        self._catalog = catalog
        self._contents = contents
        self._acceptances = Acceptances(catalog.find_acceptances())
        self._seen: set[str] = set()
        self._keys: set[bytes] = set()
        self._generators: dict[bytes, bool] = {}
        self._stack: list[Iterator[Input]] = []

    def behind(self, items: Iterable[Input]) -> Iterator[FinishedCall]:
        """Yield them, in the order in which they are met."""
        self._stack.append(iter(items))
        while self._stack:
            try:
                item = next(self._stack[-1], None)
            except HoldfastError:  # what it turned into cannot be known
                self.unfinished += 1
                item = None
            if item is None:
                self._stack.pop()
                continue
            for reference in references(item):
                node = reference.source if isinstance(reference, Part) else reference
                if isinstance(node, Node) and node.uid not in self._seen:
                    self._seen.add(node.uid)
                    yield from self._of(node)

    def _of(self, node: Node) -> Iterator[FinishedCall]:
        """Yield the calls of one node itself; what it refers to and what it turned into is met next."""
        self._stack.append(iter([needed(node), captured(node)]))
        try:
            if node.code is not None:
                yield from self._call(node)
            elif node.scope == MAP:
                yield from self._members(node)
            elif node.scope in _FOLLOWED:
                self._stack.append(_FOLLOWED[node.scope](node, self._contents, self._catalog))
        except HoldfastError:  # what it needs is not there
            self.unfinished += 1

    def _call(self, node: Node) -> Iterator[FinishedCall]:
        places: Places = {}
        arguments = self._contents.text_of(needed(node), places)
        key, uid = node_key(node, arguments), bytes.fromhex(node.uid)
        known = self._catalog.find_call_keys([uid]).get(uid, key)  # that of other code, if it stands by an acceptance
        row = self._catalog.find_calls([known]).get(known)
        yield from self._finished(node, Call(key, arguments), places, node.uid, row)

    def _members(self, node: Node) -> Iterator[FinishedCall]:
        members = Members(node, self._contents)
        width = members.begin()
        call = members.call
        if call is None:
            self._stack.append(members.output(index) for index in range(width))
            return
        for first in range(0, width, BLOCK):
            arguments = list(members.arguments(first, min(first + BLOCK, width)))
            keys = members.keys(arguments)
            found = self._acceptances.find(call, keys, arguments, self._catalog.find_calls)
            for index, (key, text) in enumerate(zip(keys, arguments, strict=True), first):
                yield from self._finished(call, Call(key, text), members.places, f"{node.uid}[{index}]", found.get(key))

    def _finished(
        self, node: Node, call: Call, places: Places, where: str, row: CallRow | None
    ) -> Iterator[FinishedCall]:
        if row is None:
            self.unfinished += 1
        elif call.key not in self._keys:
            self._keys.add(call.key)
            self.finished += 1
            document = self._document(node, row.call_key)
            if document is not None:
                self._stack.append(iter([WorkGraph.from_json(document, node.code)[GENERATED]]))
            digest = row.digest if document is None else sha256(document.encode()).digest()
            yield FinishedCall(node, call, places, where, digest, row.call_key != call.key)

    def _document(self, node: Node, key: bytes) -> str | None:
        """Return what a call returned instead of a value."""
        identity = identity_of(node)
        if identity not in self._generators:
            self._generators[identity] = returns_nodes(self._catalog, identity)
        return read_expansion(self._catalog, key) if self._generators[identity] else None


def identity_of(node: Node) -> bytes:
    """Return what tells operation and code of a node apart from all others."""
    return call_prefix(node.scope, node.depends)


def _branch(node: Node, contents: Contents, catalog: Catalog) -> Iterator[Input]:
    yield chosen_output(node, contents)


def _levels(node: Node, contents: Contents, catalog: Catalog) -> Iterator[Input]:
    """Yield the ensembles that a reduction turned into."""
    items = elements(node, contents)
    while len(items) > 1:
        level, items = combine(node, items)
        yield level


def _while_loop(node: Node, contents: Contents, catalog: Catalog) -> Iterator[Input]:
    """Yield what each finished round of a loop turned into, and each question whether it goes on."""
    condition, body, state = node.inputs["condition"], node.inputs["body"], node.inputs["initial"]
    assert isinstance(condition, Graph)
    assert isinstance(body, Graph)
    key = rounds_key(node, contents)
    count, _ = count_rounds(node, key, contents, catalog)
    for block in states(catalog, key, count):
        for later in block:
            yield [apply(condition, state), apply(body, state)]
            state = later
    yield apply(condition, state)


def _counted_loop(node: Node, contents: Contents, catalog: Catalog) -> Iterator[Input]:
    body, state = node.inputs["body"], node.inputs["initial"]
    assert isinstance(body, Graph)
    key = rounds_key(node, contents)
    count, _ = count_rounds(node, key, contents, catalog)
    number, lower = 0, lower_bound(node, contents)
    for block in states(catalog, key, count):
        for later in block:
            yield apply(body, *round_inputs(node, lower, number, state))
            number, state = number + 1, round_state(node, later)


_FOLLOWED: Mapping[tuple[str, ...], Callable[[Node, Contents, Catalog], Iterator[Input]]] = {
    COND: _branch,
    FORI_LOOP: _counted_loop,
    REDUCE: _levels,
    SCAN: _counted_loop,
    WHILE_LOOP: _while_loop,
}
"""What the nodes turned into that have no code of their own, but ensembles."""
