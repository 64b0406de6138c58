"""Keep the rounds of a loop: each finished one is a row with its number and the references of its state.

The rounds of a loop stand under a key that says what they depend on, and not when the loop ends; so one that is to go on for longer finds
them. Looking at rounds loads those that are looked at. Decides nothing about when a loop ends.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from enum import Enum
from hashlib import sha256
from typing import TYPE_CHECKING, Any, overload

from holdfast.errors import GraphError, InvalidData, NotFound, StoreDamaged
from holdfast.model.control import FORI_LOOP, LOOPS, SCAN, WHILE_LOOP
from holdfast.model.datatype import DataNode
from holdfast.model.graph import Graph
from holdfast.model.node import CommittedNode, Node
from holdfast.model.record import parse_json
from holdfast.model.reference import Input, Part, Reference, parse_reference, write_input
from holdfast.runtime.contents import Contents
from holdfast.runtime.events import RoundDone
from holdfast.runtime.task import Task
from holdfast.storage.catalog import Catalog
from holdfast.storage.rows import RoundRow

if TYPE_CHECKING:
    from holdfast.runtime.scheduler import Scheduler

AT_ONCE = 1_000
"""Rounds that are read with one query."""


class LoopEnd(Enum):
    """Why a loop has no further rounds."""

    OPEN = "not ended yet"
    CONDITION = "ended by its condition"
    LIMIT = "ended by max_iterations while its condition still held"
    COUNT = "ended after its last round"


class KeptRounds:
    """The rounds of a loop that is being computed."""

    def __init__(self, scheduler: Scheduler, task: Task, key: bytes) -> None:
        self._scheduler = scheduler
        self._task = task
        self._key = key

    def last(self) -> int:
        """Return how many rounds are finished and durable."""
        row = self._scheduler.catalog.last_round(self._key)
        return 0 if row is None else row.number

    def find(self, number: int) -> Input | None:
        """Return the state after a round, as references; None if it is not finished."""
        row = self._scheduler.catalog.find_round(self._key, number) if number else None
        return None if row is None else read_state(row.state)

    def keep(self, number: int, output: Input, *, beside: Sequence[RoundRow] = ()) -> Input:
        """Make a computed state durable as that after a round, and return it without what lies behind it."""
        ledger, node = self._scheduler.ledger, self._task.node
        self._scheduler.contents.text_of(output, {})  # every part that the state names exists
        ledger.add_constants(output)
        ledger.add_rows([RoundRow(self._key, number, write_input(output)), *beside])
        ledger.tell(RoundDone(node.uid, self._task.operation, number))
        return _without_history(output)


class Rounds(Sequence[Any]):
    """The finished rounds of a loop: ``rounds[0]`` is the state after the first, ``rounds[-1]`` after the last.

    Parameters
    ----------
    name : str
        Of the loop, for people.
    count : int
        How many there were when this was asked for.
    ended : LoopEnd
        Why there are no more.
    read : callable
        Returns the state after a round, counted from 1. Nothing is loaded before a round is looked at.
    """

    def __init__(self, name: str, count: int, ended: LoopEnd, read: Callable[[int], Any]) -> None:
        self._name = name
        self._count = count
        self._read = read
        self.ended = ended

    def __len__(self) -> int:
        return self._count

    @overload
    def __getitem__(self, index: int) -> Any: ...

    @overload
    def __getitem__(self, index: slice) -> list[Any]: ...

    def __getitem__(self, index: int | slice) -> Any:
        """Return the state after a round, or a list of these."""
        chosen = range(self._count)[index]
        return [self._read(each + 1) for each in chosen] if isinstance(chosen, range) else self._read(chosen + 1)

    def __repr__(self) -> str:
        return f"<{self._count} rounds of {self._name}, {self.ended.value}>"


def rounds_key(node: Node, contents: Contents) -> bytes:
    """Return the key of a loop's rounds; what it begins with has to be computed.

    Raises
    ------
    NotFound
        It is not.
    """
    body = node.inputs["body"]
    assert isinstance(body, Graph)
    tag, labels = _BEGINNINGS[node.scope]
    texts = [contents.text_of(node.inputs[label], {}) for label in labels if label in node.inputs]
    return sha256(tag + bytes.fromhex(body.uid) + b"\n".join(texts)).digest()


_BEGINNINGS: Mapping[tuple[str, ...], tuple[bytes, tuple[str, ...]]] = {
    WHILE_LOOP: (b"rounds", ("initial",)),
    FORI_LOOP: (b"counted", ("lower", "initial")),
    SCAN: (b"scanned", ("initial", "over")),
}
"""What the rounds of a kind of loop depend on besides its body."""


def allowed_key(node: Node, rounds: bytes) -> bytes:
    """Return the key under which stands how many rounds the condition of a loop let it go on for."""
    condition = node.inputs["condition"]
    assert isinstance(condition, Graph)
    return sha256(b"allowed" + bytes.fromhex(condition.uid) + rounds).digest()


def limit_of(node: Node) -> int | None:
    """Return after how many rounds a loop ends in any case."""
    limit = node.inputs.get("max_iterations")
    return int(limit.data) if isinstance(limit, DataNode) else None


def look(node: Input, contents: Contents, catalog: Catalog, lock: AbstractContextManager[Any]) -> Rounds:
    """Return the rounds of a loop, as far as they are durable now; each is read under `lock` when it is looked at.

    Raises
    ------
    GraphError
        The node is no loop.
    """
    loop = node.source if isinstance(node, Part) else node
    if not isinstance(loop, Node) or loop.scope not in LOOPS:
        raise GraphError(f"{node!r} has no rounds. Give a node that while_loop, fori_loop or scan has made.")
    try:
        key = rounds_key(loop, contents)
    except NotFound:  # what it begins with is not computed
        return Rounds(repr(loop), 0, LoopEnd.OPEN, lambda number: None)
    count, ended = count_rounds(loop, key, contents, catalog)

    def state(number: int) -> Any:
        with lock:
            row = catalog.find_round(key, number)
            if row is None:
                raise StoreDamaged(f"Round {number} of {loop!r} is gone. Run: holdfast verify --repair")
            return contents.value_of(read_state(row.state))

    return Rounds(repr(loop), count, ended, state)


def count_rounds(loop: Node, key: bytes, contents: Contents, catalog: Catalog) -> tuple[int, LoopEnd]:
    """Return how many rounds of a loop are finished, and why there are no more."""
    row = catalog.last_round(key)
    finished = 0 if row is None else row.number
    is_done = bool(catalog.find_call_keys([bytes.fromhex(loop.uid)]))
    if loop.scope == SCAN:
        return finished, LoopEnd.COUNT if is_done else LoopEnd.OPEN
    if loop.scope == FORI_LOOP:
        return min(finished, _width(loop, contents, finished)), LoopEnd.COUNT if is_done else LoopEnd.OPEN
    allowed = catalog.last_round(allowed_key(loop, key))
    held, limit = 0 if allowed is None else allowed.number, limit_of(loop)
    if limit is not None and held > limit:
        return min(finished, limit), LoopEnd.LIMIT
    return min(finished, held), LoopEnd.CONDITION if is_done else LoopEnd.OPEN


def _width(loop: Node, contents: Contents, finished: int) -> int:
    """Return how many rounds a fori_loop has; those that are finished, if its upper bound is not computed yet."""
    try:
        lower, upper = (contents.value_of(loop.inputs[label]) for label in ("lower", "upper"))
    except NotFound:
        return finished
    return max(0, int(upper) - int(lower))


def states(catalog: Catalog, key: bytes, count: int) -> Iterator[list[Input]]:
    """Yield the states of a loop in order, in blocks."""
    for first in range(0, count, AT_ONCE):
        rows = catalog.list_rounds(key, first + 1, min(first + AT_ONCE, count))
        yield [read_state(row.state) for row in rows]


def read_state(state: str) -> Input:
    """Return the references that a round's row holds."""
    return _read(parse_json(state, "The state of a round"))


def _read(written: Any) -> Input:
    if isinstance(written, str):
        uid, path = parse_reference(written)
        return Part(CommittedNode(uid), path) if path else CommittedNode(uid)
    if isinstance(written, dict):
        return {label: _read(member) for label, member in written.items()}
    if isinstance(written, list):
        return [_read(member) for member in written]
    raise InvalidData(f"{written!r:.80} in the state of a round is no reference. Run: holdfast verify --repair")


def _without_history(item: Input) -> Input:
    """Return the same references without the nodes that lie behind them, so that memory does not grow with the rounds."""
    if isinstance(item, Part):
        return item if isinstance(item.source, DataNode) else Part(CommittedNode(item.uid), item.path)
    if isinstance(item, Reference):
        return item if isinstance(item, DataNode) else CommittedNode(item.uid)
    if isinstance(item, Mapping):
        return {label: _without_history(member) for label, member in item.items()}
    return [_without_history(member) for member in item]
