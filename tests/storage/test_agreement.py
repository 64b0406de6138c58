"""The catalog behaves like dictionaries, whatever happens in between."""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from pathlib import Path

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from holdfast.storage.rows import CallRow, FailureRow, NodeRow, RoundRow, Row, TargetRow
from holdfast.storage.workdir import WorkDirectory, open_workdir
from holdfast.storage.writer import CatalogWriter

NAMES = st.integers(0, 12)
TEXTS = st.binary(max_size=40)


def key(name: int) -> bytes:
    return hashlib.sha256(b"%d" % name).digest()


def node(name: int, other: int) -> NodeRow:
    return NodeRow(key(name), key(other), f"demo.f{name % 3}", f"record {name}")


def call(name: int, text: bytes) -> CallRow:
    return CallRow(key(name), hashlib.sha256(text).digest(), text)


def failure(name: int, reason: str) -> FailureRow:
    return FailureRow(key(name), "demo.f0", "", "ValueError", reason, "", "", "t")


ROWS = st.lists(
    st.one_of(
        st.builds(node, NAMES, NAMES),
        st.builds(call, NAMES, TEXTS),
        st.builds(failure, NAMES, st.text(max_size=5)),
        st.builds(RoundRow, NAMES.map(key), st.integers(0, 5), st.text(max_size=5)),
        st.builds(TargetRow, st.sampled_from(["a", "b"]), NAMES.map(key), st.just("t")),
    ),
    max_size=12,
)


class CatalogMachine(RuleBasedStateMachine):
    """Writes, reopens and crashes a catalog, and compares it with dictionaries."""

    def __init__(self) -> None:
        super().__init__()
        self.place = Path(tempfile.mkdtemp(prefix="holdfast-agreement-"))
        self.workdir = open_workdir(self.place / "0")
        self.catalog = CatalogWriter.open(self.workdir, "process")
        self.nodes: dict[bytes, NodeRow] = {}
        self.calls: dict[bytes, CallRow] = {}
        self.failures: dict[bytes, FailureRow] = {}
        self.rounds: dict[tuple[bytes, int], RoundRow] = {}
        self.targets: dict[str, TargetRow] = {}

    @rule(rows=ROWS)
    def write(self, rows: list[Row]) -> None:
        conflicts = self.catalog.write(rows)
        differing = []
        for row in rows:
            if isinstance(row, NodeRow):
                self.nodes.setdefault(row.uid, row)
            elif isinstance(row, CallRow):
                if self.calls.setdefault(row.call_key, row).digest != row.digest:
                    differing.append(row.call_key)
            elif isinstance(row, RoundRow):
                self.rounds.setdefault((row.loop_key, row.number), row)
            elif isinstance(row, TargetRow):
                self.targets[row.name] = row
        for row in rows:
            if isinstance(row, FailureRow):
                self.failures[row.uid] = row
        self.failures = {uid: row for uid, row in self.failures.items() if uid not in self.nodes}
        assert {conflict.call_key for conflict in conflicts} == set(differing)

    @rule()
    def reopen(self) -> None:
        self.catalog.close()
        self.catalog = CatalogWriter.open(self.workdir, "process")

    @rule()
    def crash(self) -> None:
        """Go on with the files as a kill leaves them: the log not moved, nothing closed."""
        crashed = WorkDirectory(self.place / str(int(self.workdir.path.name) + 1))
        shutil.copytree(self.workdir.path, crashed.path)
        self.catalog.close()
        self.workdir = crashed
        self.catalog = CatalogWriter.open(crashed, "process")

    @rule()
    def look_from_outside(self) -> None:
        with CatalogWriter.open(self.workdir, read_only=True) as reader:
            self.compare(reader)

    @invariant()
    def agrees(self) -> None:
        self.compare(self.catalog)

    def compare(self, catalog: CatalogWriter) -> None:
        keys = [key(name) for name in range(13)]
        assert catalog.find_nodes(keys) == self.nodes
        assert catalog.find_call_keys(keys) == {uid: row.call_key for uid, row in self.nodes.items()}
        assert catalog.find_calls(keys) == self.calls
        assert catalog.find_failures(keys) == self.failures
        assert {row.name: row for row in catalog.find_targets()} == self.targets
        for loop in keys[:3]:
            numbers = [number for other, number in self.rounds if other == loop]
            assert catalog.count_rounds(loop) == len(numbers)
            last = self.rounds[loop, max(numbers)] if numbers else None
            assert catalog.last_round(loop) == last
        totals = catalog.totals()
        assert tuple(totals) == (len(self.nodes), len(self.calls), len(self.failures))

    def teardown(self) -> None:
        self.catalog.close()
        shutil.rmtree(self.place)


TestCatalogAgreesWithDictionaries = CatalogMachine.TestCase
TestCatalogAgreesWithDictionaries.settings = settings(
    max_examples=15, stateful_step_count=20, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
