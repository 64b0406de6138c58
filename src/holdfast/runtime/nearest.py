"""Find the nearest earlier node of the same operation and place, with which an explanation compares.

It was done in an earlier session or with other code; its recipe has the same form (as far as `FORM` nodes upstream); of these it has the
most inputs in common, and of these it is the latest. Reads the catalog, and keeps what it has read; runs nothing and writes nothing.

State: the rows and records that were read.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from holdfast.model.comparison import changed_inputs, shared_inputs
from holdfast.model.record import parse_record
from holdfast.storage.catalog import Catalog
from holdfast.storage.rows import NodeRow, SourceRow

CANDIDATES = 200
"""So many earlier nodes of the operation are looked at."""

CLOSE_CANDIDATES = 20
"""The recipes of so many are compared."""

FORM = 100
"""So many nodes of a recipe are compared to find the nearest."""

Record = Mapping[str, Any]


class Recipes:
    """The nodes and codes of a catalog, and those at hand that it may not know.

    Parameters
    ----------
    catalog : Catalog
    records : mapping of uid to record
    codes : iterable of implementations
    """

    def __init__(self, catalog: Catalog, records: Mapping[str, Record], codes: Iterable[Any] = ()) -> None:
        self.catalog = catalog
        self._records = dict(records)
        self._codes = {code.uid: code for code in codes}
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
            self._records[uid] = parse_record(text)
        return self._records[uid]

    def parts(self, code: str) -> Mapping[str, str] | None:
        """Return the parts of a code by its uid."""
        if code in self._codes:
            parts: Mapping[str, str] = self._codes[code].parts
            return parts
        row = self.catalog.find_implementation(bytes.fromhex(code)) if code else None
        return None if row is None else row.parts

    def source(self, digest: str) -> SourceRow | None:
        """Return the text behind a digest in the parts of a code."""
        for code in self._codes.values():
            if digest in code.sources:
                return SourceRow(digest, code.sources[digest].place, code.sources[digest].text)
        return self.catalog.find_source(digest)

    def has_same_contents(self, new: str, old: str) -> bool:
        """Return whether two nodes are done and their results are equal."""
        rows = [row for row in (self.node(new), self.node(old)) if row is not None]
        calls = self.catalog.find_calls([row.call_key for row in rows])
        digests = [calls[row.call_key].digest for row in rows if row.call_key in calls]
        return len(digests) == 2 and digests[0] == digests[1]

    def nearest(self, uid: str, operation: str, record: Record, session: str | None) -> str | None:
        """Return the uid of the nearest earlier node."""
        rows = self.catalog.earlier_nodes(operation, bytes.fromhex(uid), CANDIDATES)
        candidates: list[tuple[int, str]] = []
        for row in rows:
            found = parse_record(row.record)
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
