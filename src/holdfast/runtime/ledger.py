"""Keep what a session has computed and not made durable yet, and hand it over to be committed.

Whoever looks for the result of a call finds it here before the catalog knows it. A store is always named for publication before a row
names it, so that an interruption in between leaves at worst a store that nobody names.

State: the commitment that grows during a turn, the calls that are not durable, the implementations that were seen with why their
operations run, the referents that were kept, the times of calls, which operations are known to return nodes, and what was accepted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from hashlib import sha256
from typing import Any

from holdfast.errors import GraphError
from holdfast.model.content import array_digests
from holdfast.model.datatype import DataNode, File
from holdfast.model.fingerprint import call_key, call_prefix
from holdfast.model.graph import Graph, parts_of
from holdfast.model.node import Node
from holdfast.model.operation import full_name
from holdfast.model.reference import Input, Part, references
from holdfast.runtime.acceptance import Acceptances
from holdfast.runtime.commitment import Commitment, array_rows, composite_rows
from holdfast.runtime.contents import Contents
from holdfast.runtime.events import CodeChanged, Event
from holdfast.runtime.job import ArraySource, Finished, Stack
from holdfast.runtime.places import Places
from holdfast.runtime.task import Failure, Task
from holdfast.storage.catalog import Catalog
from holdfast.storage.commit import GroupCommit
from holdfast.storage.rows import (
    CallRow,
    EndedRow,
    ExpansionRow,
    FailureRow,
    ImplementationRow,
    NodeRow,
    ReferentRow,
    RoundRow,
    Row,
    SourceRow,
    TimesRow,
)
from holdfast.storage.staging import Staged

REFERENT_LIMIT = 64 * 1024
"""Characters of the longest constant that is kept for `explain`."""

REFERENTS_SEEN = 100_000
"""So many referents are remembered as kept; what was forgotten is written again, to no effect."""


class Ledger:
    """What will be durable with the next commitments."""

    def __init__(
        self,
        catalog: Catalog,
        contents: Contents,
        commit: GroupCommit,
        committed: Callable[[Commitment], None],
        session: str,
    ) -> None:
        self._catalog = catalog
        self._contents = contents
        self._commit = commit
        self._committed = committed
        self._session = session
        self._outgoing = Commitment()
        self._calls: dict[bytes, CallRow] = {}
        self._why: dict[bytes, str] = {}
        self._referents: set[str] = set()
        self._times: dict[str, tuple[int, float]] = {}
        self._generators: dict[bytes, bool] = {}
        self.acceptances = Acceptances(catalog.find_acceptances())

    def find_calls(self, keys: Sequence[bytes]) -> dict[bytes, CallRow]:
        """Return the results of calls that are durable, or will be with a commitment that is under way."""
        found = self._catalog.find_calls(keys)
        if self._calls:
            found.update({key: self._calls[key] for key in keys if key in self._calls})
        return found

    def find_results(self, node: Node, keys: Sequence[bytes], arguments: Sequence[bytes]) -> dict[bytes, CallRow]:
        """Return the results of calls of one operation by key; also those that stand from code whose change was accepted."""
        return self.acceptances.find(node, keys, arguments, self.find_calls)

    def note_acceptances(self) -> None:
        """Take up what was accepted or withdrawn since."""
        self.acceptances = Acceptances(self._catalog.find_acceptances())

    def look(self, keys: Sequence[bytes]) -> dict[bytes, CallRow | str]:
        """Return what other sessions made durable of calls by now: results, or the documents of the nodes that they returned."""
        expansions = {_expansion_key(key): key for key in keys}
        found: dict[bytes, CallRow | str] = {
            expansions[name]: row.state for name, row in self._catalog.find_first_rounds(list(expansions)).items()
        }
        return {**found, **self._catalog.find_calls(keys)}

    def end_session(self, session: str, then: Callable[[], None]) -> None:
        """Make durable that a dead session commits nothing more, and call back then."""
        self._outgoing.rows.append(EndedRow(session))
        self._outgoing.resumes.append(then)

    def is_readable(self, row: CallRow) -> bool:
        """Return whether the value of a call can be read now: not from a store that is still under construction."""
        return row.store is None or row.call_key not in self._calls

    def add_rows(self, rows: Iterable[Row]) -> None:
        """Make rows durable together with, or after, everything that was computed before."""
        self._outgoing.rows.extend(rows)

    def add_call(self, operation: str, outcome: Finished, store: str) -> None:
        """Make a finished call durable; `store` is the lasting name of its staged store, if it has one."""
        calls, seconds = self._times.get(operation, (0, 0.0))
        self._times[operation] = calls + 1, seconds + outcome.seconds
        if outcome.staged is not None:
            self._add_staged(outcome.staged, store)
        place = bytes.fromhex(store) if store else None
        row = CallRow(outcome.key, outcome.digest, outcome.text or None, place, outcome.seconds, operation)
        self._calls[outcome.key] = row
        self._outgoing.calls.append(outcome.key)
        self._outgoing.rows.append(row)
        if outcome.arrays:
            self._outgoing.rows += array_rows(outcome)
            self.add_arrays(outcome.arrays)

    def add_needs(self, owner: bytes, needs: Iterable[bytes]) -> None:
        """Record some of what a node comes down to: it is kept with its result."""
        self._outgoing.rows.append(ExpansionRow(owner, b"".join(needs)))

    def add_expansion(self, identity: bytes, key: bytes, document: str) -> None:
        """Make durable that a call returned nodes, in the form of a loop of one round, and that its operation does so."""
        self._generators[identity] = True
        self._outgoing.calls.append(key)
        generator, expansion = _generator_key(identity), _expansion_key(key)
        self._outgoing.rows += [RoundRow(generator, 0, ""), RoundRow(expansion, 0, document)]
        self.add_needs(key, (generator, expansion))

    def find_expansion(self, identity: bytes, key: bytes) -> str | None:
        """Return the document of the nodes that a call returned, if it did; operations that never do cost one look each."""
        if identity not in self._generators:
            self._generators[identity] = returns_nodes(self._catalog, identity)
        return read_expansion(self._catalog, key) if self._generators[identity] else None

    def add_arrays(self, arrays: Mapping[str, ArraySource]) -> None:
        """Remember where arrays are until the catalog knows them."""
        self._contents.note_arrays(arrays)
        self._outgoing.arrays.extend(arrays)

    def add_value(self, text: bytes, places: Places, key: bytes, uid: str, operation: str) -> None:
        """Make a composed value durable under a call key; `uid` names its store, if it needs one."""
        unknown = self._unknown(text, places)
        rows, staged = composite_rows(
            self._contents, text, unknown, CallRow(key, sha256(text).digest(), None, operation=operation), uid
        )
        if staged:
            self._add_staged(staged, uid)
        self._outgoing.rows.extend(rows)
        self.add_arrays(unknown)

    def add_node(self, task: Task, key: bytes) -> None:
        """Record that the result of a node is that of a call."""
        assert isinstance(task.node, Node)
        node = task.node
        self.add_record(node.uid, node.name, node.fingerprint().text, key, reused=task.reused)
        self.keep_referents(parts_of(node))

    def add_record(self, uid: str, operation: str, record: str, key: bytes, *, reused: bool) -> None:
        """Record that what a record asks for is the result of a call."""
        self._outgoing.rows.append(NodeRow(bytes.fromhex(uid), key, operation, record, self._session, reused))

    def add_constants(self, item: Input) -> None:
        """Make the data nodes of an input durable, so that their uid is enough to find them.

        Raises
        ------
        GraphError
            One of them is a file.
        """
        for reference in references(item):
            node = reference.source if isinstance(reference, Part) else reference
            if not isinstance(node, DataNode):
                continue
            if node.datatype is File:
                raise GraphError(
                    f"A loop's state cannot hold {node!r}. Use the file in the body, and not in the state."
                )
            places: Places = {}
            text = self._contents.text_of(node, places)
            key = call_key(call_prefix(node.datatype.scope, ()), text)
            self.add_value(text, places, key, node.uid, str(node.datatype))
            record = node.fingerprint().compact_json()
            self._outgoing.rows.append(NodeRow(bytes.fromhex(node.uid), key, str(node.datatype), record, self._session))

    def add_failure(self, uid: str, failure: Failure) -> None:
        """Record why a node has no result."""
        where, told = (failure.operation, failure.node), (failure.kind, failure.reason, failure.traceback)
        self._outgoing.rows.append(FailureRow(bytes.fromhex(uid), *where, *told, failure.arguments))

    def add_run(self, node: Node, identity: bytes) -> CodeChanged | None:
        """Record the implementation of an operation that is about to run; return what is to be told if it has changed."""
        if identity in self._why:
            return None
        found, name = node.code.implementation, node.name
        earlier = self._catalog.latest_implementation(name)
        is_known = earlier is not None and self._catalog.find_implementation(bytes.fromhex(found.uid)) is not None
        self._why[identity] = "new inputs" if is_known else "first run" if earlier is None else "changed code"
        if earlier is not None and earlier.uid.hex() == found.uid:
            return None
        self.add_rows(code_rows(name, found))
        if earlier is None:
            return None
        changed = dict(earlier.parts).items() ^ found.parts.items()
        return CodeChanged(name, tuple(sorted({full_name(part, name) for part, _ in changed})))

    def why(self, identity: bytes) -> str:
        """Return, in two words, why calls of an operation are made that was passed to `add_run`."""
        return self._why[identity]

    def _add_staged(self, staged: Staged, store: str) -> None:
        self._outgoing.staged.append((staged.name, store))
        self._contents.note_stamps(staged.stamps)
        if staged.unflushed is not None:
            self._outgoing.unflushed.append(staged.unflushed)

    def finish(self, task: Task) -> None:
        """Have a node be done with the next commitment; its value may be used already."""
        self._outgoing.tasks.append(task)

    def finish_later(self, task: Task, text: bytes) -> None:
        """Have a node be computed and done with the next commitment, since its store is still under construction."""
        self._outgoing.late.append((task, text))

    def release(self, uid: str) -> None:
        """Leave a result that was noted, and that no task stands for, to the catalog after the next commitment."""
        self._outgoing.results.append(uid)

    def tell(self, event: Event) -> None:
        """Have an event sent with the next commitment."""
        self._outgoing.events.append(event)

    def resume(self, callback: Callable[[], None]) -> None:
        """Have the loop call back with the next commitment."""
        self._outgoing.resumes.append(callback)

    def send(self) -> None:
        """Hand over what has gathered.

        Raises
        ------
        StoreFailure, StoreDamaged
            An earlier commitment failed.
        """
        outgoing = self._outgoing
        if outgoing.is_empty:
            return
        outgoing.rows += [TimesRow(operation, *times) for operation, times in self._times.items()]
        self._times = {}
        self._outgoing = Commitment()
        self._commit.append(
            outgoing.rows, outgoing.staged, lambda: self._committed(outgoing), unflushed=outgoing.unflushed
        )

    def urge(self) -> None:
        """Say that nothing more is about to come."""
        self._commit.urge()

    def forget(self, commitment: Commitment) -> None:
        """Leave to the catalog what is durable now."""
        for key in commitment.calls:
            self._calls.pop(key, None)
        self._contents.release_arrays(commitment.arrays)
        for uid in commitment.results:
            self._contents.release(uid)

    def keep_referents(self, parts: Iterable[Node | DataNode | Graph]) -> None:
        """Keep constants and bodies that a record names, once each: `explain` compares them."""
        if len(self._referents) > REFERENTS_SEEN:
            self._referents.clear()
        for found in parts:
            if found.uid not in self._referents and not (
                isinstance(found, DataNode) and len(found.data) > REFERENT_LIMIT
            ):
                self._referents.add(found.uid)
                self._outgoing.rows.append(ReferentRow(bytes.fromhex(found.uid), found.fingerprint().text))

    def _unknown(self, text: bytes, places: Places) -> Places:
        """Return the places of those arrays of a text that have no row yet."""
        if not places:
            return {}
        named = [digest for digest in array_digests(text) if digest in places]
        stacked = [digest for name in named if isinstance(place := places[name], Stack) for digest in place.digests]
        wanted = [digest for digest in (*named, *stacked) if digest in places]
        known = self._catalog.find_arrays([bytes.fromhex(digest) for digest in wanted])
        return {digest: places[digest] for digest in wanted if bytes.fromhex(digest) not in known}


def code_rows(operation: str, implementation: Any) -> list[Row]:
    """Return the rows of an implementation and of the texts of its parts."""
    uid, parts, sources = bytes.fromhex(implementation.uid), implementation.parts, implementation.sources
    texts = [SourceRow(digest, source.place, source.text) for digest, source in sources.items()]
    return [ImplementationRow(uid, operation, parts), *texts]


def returns_nodes(catalog: Catalog, identity: bytes) -> bool:
    """Return whether an operation with its code has ever returned nodes."""
    return catalog.find_round(_generator_key(identity), 0) is not None


def read_expansion(catalog: Catalog, key: bytes) -> str | None:
    """Return the document of the nodes that a call returned, if it did."""
    row = catalog.find_round(_expansion_key(key), 0)
    return None if row is None else row.state


def _generator_key(identity: bytes) -> bytes:
    return sha256(b"generator" + identity).digest()


def _expansion_key(key: bytes) -> bytes:
    return sha256(b"expansion" + key).digest()
