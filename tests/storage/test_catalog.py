from __future__ import annotations

import hashlib
import os
import sqlite3
import struct
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import numpy
import pytest

from holdfast.errors import (
    InvalidData,
    OwnershipError,
    SessionClosed,
    StoreDamaged,
    StoreFailure,
    WorkingDirectoryError,
)
from holdfast.model.canonical import array_digest
from holdfast.storage import database
from holdfast.storage.database import SCHEMA_VERSION
from holdfast.storage.rows import (
    AcceptanceRow,
    ArrayRow,
    CallRow,
    Conflict,
    EndedRow,
    ExpansionRow,
    FailureRow,
    ImplementationRow,
    LostRow,
    NodeRow,
    RoundRow,
    SessionRow,
    TargetRow,
    Totals,
)
from holdfast.storage.workdir import WorkDirectory
from holdfast.storage.writer import CatalogWriter


def digest(text: object) -> bytes:
    return hashlib.sha256(str(text).encode()).digest()


def inline(data: bytes, shape: tuple[int, ...]) -> ArrayRow:
    array = numpy.frombuffer(data).reshape(shape)
    return ArrayRow(bytes.fromhex(array_digest(array)), "<f8", shape, data=data)


def call(name: object, text: bytes = b"[1]") -> CallRow:
    return CallRow(digest(name), hashlib.sha256(text).digest(), text, None, 0.5)


def node(name: object, operation: str = "demo.add") -> NodeRow:
    return NodeRow(digest(name), digest(f"call of {name}"), operation, f'{{"name":"{name}"}}')


def failure(name: object, reason: str = "why", at: str = "2026-01-01T00:00:00Z") -> FailureRow:
    return FailureRow(digest(name), "demo.add", "member", "ValueError", reason, "Traceback …", "{}", at)


def accepted(withdrawn: str = "") -> AcceptanceRow:
    return AcceptanceRow("demo.add", digest("old"), digest("new"), "me", "today", "a new name", withdrawn)


def count(catalog: CatalogWriter) -> tuple[int, int, int]:
    found = catalog.totals()
    return found.nodes, found.calls, found.failures


def test_a_new_catalog_knows_nothing(catalog: CatalogWriter) -> None:
    assert catalog.find_nodes([digest(1)]) == {}
    assert catalog.find_calls([]) == {}
    assert catalog.last_round(digest(1)) is None
    assert catalog.totals() == Totals(0, 0, 0)


def test_what_was_written_is_found_also_after_closing(workdir: WorkDirectory) -> None:
    nodes = [node(i, f"demo.f{i % 3}") for i in range(20)]
    calls = [call(i, b"[%d]" % i) for i in range(20)]
    with CatalogWriter.open(workdir) as catalog:
        assert catalog.write([*nodes, *calls]) == ()
    with CatalogWriter.open(workdir) as catalog:
        assert catalog.find_nodes([row.uid for row in nodes]) == {row.uid: row for row in nodes}
        assert catalog.find_call_keys([row.uid for row in nodes]) == {row.uid: row.call_key for row in nodes}
        assert catalog.find_calls([row.call_key for row in calls]) == {row.call_key: row for row in calls}
        assert catalog.totals() == Totals(20, 20, 0)


@pytest.mark.parametrize("number", [0, 1, 2, 8, 9, 64, 65, 512, 513, 3000])
def test_any_number_of_keys_is_looked_up_at_once(catalog: CatalogWriter, number: int) -> None:
    rows = [call(i) for i in range(number)]
    catalog.write(rows)
    asked = [row.call_key for row in rows] + [digest("unknown")]
    assert set(catalog.find_calls(asked + asked[:3])) == {row.call_key for row in rows}


def test_arrays_are_found_inline_in_stores_and_as_stacks(catalog: CatalogWriter) -> None:
    data = bytes(range(48))
    rows = [
        inline(data, (2, 3)),
        ArrayRow(digest("stored"), "<U4", (), store=digest("store"), file="array-0.npy"),
        ArrayRow(hashlib.sha256(digest(1) + digest(2)).digest(), "|b1", (2, 0, 3), members=digest(1) + digest(2)),
    ]
    catalog.write(rows)
    assert catalog.find_arrays([row.digest for row in rows]) == {row.digest: row for row in rows}


def test_rounds_are_found_by_number_and_the_last_without_looking_at_the_others(catalog: CatalogWriter) -> None:
    rounds = [RoundRow(digest("loop"), number, f"state {number}") for number in range(300)]
    catalog.write([*reversed(rounds), RoundRow(digest("other"), 1000, "")])
    assert catalog.last_round(digest("loop")) == rounds[-1]
    assert catalog.find_round(digest("loop"), 17) == rounds[17]
    assert catalog.find_round(digest("loop"), 300) is None
    assert catalog.count_rounds(digest("loop")) == 300


def test_the_latest_implementation_is_the_one_last_used_whatever_the_clock_says(catalog: CatalogWriter) -> None:
    old = ImplementationRow(digest("old"), "demo.add", {"demo.add": "1", "helper": "x"}, "2030-01-01T00:00:00Z")
    new = ImplementationRow(digest("new"), "demo.add", {"demo.add": "2"}, "1999-01-01T00:00:00Z")
    assert catalog.latest_implementation("demo.add") is None
    catalog.write([old])
    catalog.write([new])
    assert catalog.latest_implementation("demo.add") == new
    catalog.write([old])
    assert catalog.latest_implementation("demo.add") == old
    assert catalog.find_implementation(digest("new")) == new
    assert catalog.find_implementation(digest("none")) is None


def test_two_operations_may_share_an_implementation(catalog: CatalogWriter) -> None:
    """As those do whose author gave both the same version."""
    catalog.write([ImplementationRow(digest("v2"), name, {"version": "2"}, "t") for name in ("demo.add", "demo.sub")])
    for name in ("demo.add", "demo.sub"):
        found = catalog.latest_implementation(name)
        assert found is not None
        assert found.operation == name


def test_a_target_can_be_asked_for_again_under_its_name(catalog: CatalogWriter) -> None:
    catalog.write([TargetRow("model", digest(1), "t"), TargetRow("final", digest(2), "t")])
    catalog.write([TargetRow("model", digest(3), "u")])
    assert catalog.find_targets() == [TargetRow("final", digest(2), "t"), TargetRow("model", digest(3), "u")]


def test_a_session_is_brought_up_to_date_by_writing_it_again(catalog: CatalogWriter) -> None:
    first, second = SessionRow("a", "{}", "threads", "t"), SessionRow("b", "{}", "threads", "t")
    catalog.write([first])
    catalog.write([second])
    catalog.write([first._replace(ended="u", progress='{"done":1}')])
    assert catalog.find_sessions(1) == [second]
    assert catalog.find_sessions(9) == [second, first._replace(ended="u", progress='{"done":1}')]


def test_times_that_are_left_out_are_filled_in(catalog: CatalogWriter) -> None:
    catalog.write([TargetRow("model", digest(1)), failure(1, at="")])
    assert catalog.find_targets()[0].asked.startswith("20")
    assert catalog.list_failures(1)[0].at.startswith("20")


def test_writing_twice_changes_nothing(catalog: CatalogWriter) -> None:
    rows = [
        node(1),
        call(1),
        ArrayRow(digest(1), "<f8", (1,), store=digest(2), file="data.npy"),
        RoundRow(digest(1), 0, ""),
    ]
    assert catalog.write(rows) == ()
    assert catalog.write([*rows, *rows]) == ()
    assert count(catalog) == (1, 1, 0)


def test_the_first_result_of_a_call_stays_and_another_one_is_reported(catalog: CatalogWriter) -> None:
    catalog.write([call(1, b"[1]"), call(2, b"[2]")])
    (conflict,) = catalog.write([call(1, b"[7]"), call(2, b"[2]"), call(3, b"[3]")])
    assert conflict == Conflict(digest(1), call(1, b"[1]").digest, call(1, b"[7]").digest)
    assert catalog.find_calls([digest(1)])[digest(1)].text == b"[1]"
    assert count(catalog) == (0, 3, 0)


def test_a_failure_is_replaced_by_a_later_one_and_gone_when_the_node_is_done(catalog: CatalogWriter) -> None:
    catalog.write([failure(1), failure(2)])
    catalog.write([failure(1, "later"), failure(1, "latest")])
    assert catalog.find_failures([digest(1)]) == {digest(1): failure(1, "latest")}
    assert [row.uid for row in catalog.list_failures(9)] == [digest(1), digest(2)]
    assert count(catalog) == (0, 0, 2)
    catalog.write([node(1), failure(1)])
    assert catalog.find_failures([digest(1), digest(2)]) == {digest(2): failure(2)}
    assert count(catalog) == (1, 0, 1)


def test_a_node_that_is_done_cannot_fail_any_more(catalog: CatalogWriter) -> None:
    catalog.write([node(1)])
    catalog.write([failure(1)])
    assert catalog.find_failures([digest(1)]) == {}
    assert count(catalog) == (1, 0, 0)


def test_a_transaction_that_fails_leaves_nothing_behind(catalog: CatalogWriter) -> None:
    broken = RoundRow(digest(1), 0, None)  # type: ignore[arg-type]
    with pytest.raises(sqlite3.IntegrityError):
        catalog.write([node(1, "demo.new"), call(1), broken])
    assert count(catalog) == (0, 0, 0)
    catalog.write([node(1, "demo.new")])
    assert catalog.find_nodes([digest(1)])[digest(1)].operation == "demo.new"


def test_totals_are_exact_after_any_mixture(catalog: CatalogWriter) -> None:
    for start in range(0, 60, 7):
        catalog.write([row for i in range(start, start + 20) for row in (node(i), call(i // 2), failure(i + 5))])
    with sqlite3.connect(catalog._database.path) as raw:
        counted = [raw.execute(f"SELECT count(*) FROM {name}").fetchone()[0] for name in ("nodes", "calls", "failures")]
    assert list(count(catalog)) == counted


# beside others


def test_a_reader_beside_the_writer_sees_what_is_committed_and_writes_nothing(workdir: WorkDirectory) -> None:
    with CatalogWriter.open(workdir) as writer, CatalogWriter.open(workdir, read_only=True) as reader:
        writer.write([call(1)])
        assert set(reader.find_calls([digest(1), digest(2)])) == {digest(1)}
        writer.write([call(2)])
        assert set(reader.find_calls([digest(1), digest(2)])) == {digest(1), digest(2)}
        with pytest.raises(StoreFailure, match="readonly"):
            reader.write([call(3)])


def test_a_reader_that_closes_last_leaves_the_log_alone(workdir: WorkDirectory) -> None:
    log = workdir.catalog_path.with_name("catalog.db-wal")
    writer, reader = CatalogWriter.open(workdir), CatalogWriter.open(workdir, read_only=True)
    writer.write([call(1)])
    writer.close()
    before = log.read_bytes()
    reader.find_calls([digest(1)])
    reader.close()
    assert log.read_bytes() == before != b""
    with CatalogWriter.open(workdir) as catalog:
        assert set(catalog.find_calls([digest(1)])) == {digest(1)}


KILLED = """
import os, sys, signal
from pathlib import Path
from holdfast.model.canonical import array_digest
from holdfast.storage.writer import CatalogWriter
from holdfast.storage.rows import RoundRow
from holdfast.storage.workdir import WorkDirectory
catalog = CatalogWriter.open(WorkDirectory(Path(sys.argv[1])), sys.argv[2])
catalog.write([RoundRow(bytes(32), 7, "state")])
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.parametrize("durability", ["power", "process"])
def test_a_reader_finds_what_a_killed_writer_committed(
    workdir: WorkDirectory, start: Callable[..., subprocess.Popen[str]], durability: str
) -> None:
    start(KILLED, workdir.path, durability).wait(20)
    with CatalogWriter.open(workdir, read_only=True) as reader:
        assert reader.find_round(bytes(32), 7) == RoundRow(bytes(32), 7, "state")


READ_AS_NOBODY = """
import os, sys
from pathlib import Path
import holdfast.storage.catalog
from holdfast.storage.workdir import WorkDirectory
os.setgid(65534); os.setuid(65534)
with holdfast.storage.catalog.Catalog.open(WorkDirectory(Path(sys.argv[1])), read_only=True) as reader:
    print(reader.totals().calls)
"""


@pytest.mark.skipif(os.getuid() != 0, reason="only root can become somebody else")
def test_a_directory_that_may_not_be_written_can_be_read(tmp_path: Path) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as place:  # pytest's own folders are closed to others
        os.chmod(place, 0o755)
        workdir = WorkDirectory(Path(place))
        workdir.tmp.mkdir()
        with CatalogWriter.open(workdir) as catalog:
            catalog.write([call(1), call(2)])
        done = subprocess.run(
            [sys.executable, "-c", READ_AS_NOBODY, place], capture_output=True, text=True, check=False
        )
        assert done.stdout == "2\n", done.stderr
        assert sorted(os.listdir(place)) == ["catalog.db", "commit.lock", "tmp"]


def test_reading_where_nothing_was_run_says_so(workdir: WorkDirectory) -> None:
    with pytest.raises(WorkingDirectoryError, match="no catalog"):
        CatalogWriter.open(workdir, read_only=True)
    workdir.catalog_path.write_bytes(b"")
    with pytest.raises(WorkingDirectoryError, match="no catalog"):
        CatalogWriter.open(workdir, read_only=True)
    assert workdir.catalog_path.read_bytes() == b""


def test_a_catalog_appears_with_its_tables_or_not_at_all(workdir: WorkDirectory) -> None:
    """Without its log too: a catalog without tables could be one that lost its log."""
    with CatalogWriter.open(workdir):
        assert tables_without_log(workdir)
    assert os.listdir(workdir.tmp) == []


def test_a_log_that_is_moved_stands_in_the_database(workdir: WorkDirectory) -> None:
    with CatalogWriter.open(workdir) as catalog:
        catalog.write([call(1)])
        assert tables_without_log(workdir)["calls"] == 0
        catalog.move_log()
        assert tables_without_log(workdir)["calls"] == 1


def tables_without_log(workdir: WorkDirectory) -> dict[str, int]:
    """Return how many rows the tables have in the database itself."""
    with closing(sqlite3.connect(f"file:{workdir.catalog_path}?mode=ro&immutable=1", uri=True)) as raw:
        names = [name for (name,) in raw.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        return {name: raw.execute(f"SELECT count(*) FROM {name}").fetchone()[0] for name in names}


def test_a_creation_that_was_interrupted_is_taken_up(workdir: WorkDirectory) -> None:
    with sqlite3.connect(workdir.catalog_path) as raw:
        raw.execute("PRAGMA journal_mode = WAL")
    raw.close()
    with CatalogWriter.open(workdir) as catalog:
        assert catalog.write([call(1)]) == ()


def test_a_creation_that_a_power_cut_tore_is_taken_up(workdir: WorkDirectory) -> None:
    """The first page half written, beside the journal that says that there was none before."""
    page, sector = 4096, 512
    header = b"\xd9\xd5\x05\xf9\x20\xa1\x63\xd7" + struct.pack(">IIIII", 0, 1, 0, sector, page)
    workdir.catalog_path.with_name("catalog.db-journal").write_bytes(header.ljust(sector, b"\0"))
    workdir.catalog_path.write_bytes(bytes(page))
    with CatalogWriter.open(workdir) as catalog:
        assert catalog.write([call(1)]) == ()


def test_a_catalog_that_is_closed_says_so(workdir: WorkDirectory) -> None:
    catalog = CatalogWriter.open(workdir)
    catalog.close()
    with pytest.raises(SessionClosed):
        catalog.totals()
    with pytest.raises(SessionClosed):
        catalog.write([call(1)])


def test_an_unknown_durability_is_refused(workdir: WorkDirectory) -> None:
    with pytest.raises(InvalidData, match="'power' or 'process'"):
        CatalogWriter.open(workdir, "speed")  # type: ignore[arg-type]
    assert not workdir.catalog_path.exists()


@pytest.mark.parametrize("name", ["a%20b", "a?mode=memory", "a#b", "a b'c"])
def test_any_name_of_a_directory_will_do(tmp_path: Path, name: str) -> None:
    workdir = WorkDirectory(tmp_path / name)
    workdir.tmp.mkdir(parents=True)
    with CatalogWriter.open(workdir) as catalog:
        catalog.write([call(1)])
    with CatalogWriter.open(workdir, read_only=True) as catalog:
        assert count(catalog) == (0, 1, 0)
    assert os.listdir(tmp_path) == [name]


def test_an_acceptance_that_is_withdrawn_stays_known_as_withdrawn(catalog: CatalogWriter) -> None:
    catalog.write([accepted()])
    catalog.write([accepted("by me")])
    assert catalog.find_acceptances() == [accepted("by me")]
    catalog.write([accepted()])
    assert catalog.find_acceptances() == [accepted()]


def test_a_lost_result_is_compared_once_when_it_is_made_again(catalog: CatalogWriter) -> None:
    lost = [LostRow(digest(number), call(number, b"[1]").digest) for number in (1, 2, 3)]
    catalog.write(lost)
    conflicts = catalog.write([call(1, b"[1]"), call(2, b"[2]")])
    assert conflicts == (Conflict(digest(2), call(2, b"[1]").digest, call(2, b"[2]").digest, is_lost=True),)
    assert list(catalog.walk(LostRow)) == [lost[2]]
    assert catalog.find_calls([digest(2)]) == {digest(2): call(2, b"[2]")}
    assert catalog.write([call(2, b"[2]")]) == ()


def test_expansions_that_are_written_again_stand_once(catalog: CatalogWriter) -> None:
    rows = [ExpansionRow(digest(1), digest(2) + digest(3)), ExpansionRow(digest(1), digest(4))]
    catalog.write(rows)
    catalog.write(rows[:1])
    assert sorted(catalog.walk(ExpansionRow)) == sorted(rows)


def test_calls_know_their_operation_and_when_they_were_made(catalog: CatalogWriter) -> None:
    catalog.write([call(1)._replace(operation="demo.add", made=7), call(2)])
    first, second = sorted(row for row in catalog.walk(CallRow) if isinstance(row, CallRow))
    assert (first.operation, first.made) == ("demo.add", 7)
    assert (second.operation, second.made > 1_700_000_000) == ("", True)


# versions


@pytest.mark.parametrize("version", range(1, SCHEMA_VERSION))
def test_a_catalog_of_an_earlier_version_is_brought_up_to_date(workdir: WorkDirectory, version: int) -> None:
    names = ["catalog.sql", *(f"catalog_{later}.sql" for later in range(2, version + 1))]
    tables = "".join(Path(database.__file__).with_name(name).read_text() for name in names)
    connection = sqlite3.connect(workdir.catalog_path)
    connection.executescript(f"{tables} PRAGMA application_id = {0x686F6C64}; PRAGMA user_version = {version};")
    connection.close()
    with CatalogWriter.open(workdir, read_only=True) as catalog:
        assert catalog.find_nodes([bytes(32)]) == {}
        assert catalog.find_times() == {}
        assert catalog.find_acceptances() == []
        assert list(catalog.walk(LostRow)) == []
    with CatalogWriter.open(workdir) as catalog:
        catalog.write([node(1), call(1), accepted()])
    with CatalogWriter.open(workdir, read_only=True) as catalog:
        assert catalog.find_nodes([node(1).uid]) == {node(1).uid: node(1)}
        assert catalog.find_acceptances() == [accepted()]


# sessions


def test_a_number_of_a_session_never_comes_back(catalog: CatalogWriter) -> None:
    first = catalog.enter("first", lambda session: False)
    second = catalog.enter("second", lambda session: False)
    catalog.write([EndedRow("second")], "second")
    third = catalog.enter("third", lambda session: session == "first")
    assert first < second < third
    catalog.confirm("third")
    for gone in ("first", "second", "never"):
        with pytest.raises(OwnershipError, match=f"taken from session {gone}"):
            catalog.confirm(gone)


def test_who_was_followed_writes_nothing(catalog: CatalogWriter) -> None:
    catalog.enter("late", lambda session: False)
    catalog.write([call(1)], "late")
    catalog.enter("next", lambda session: True)
    with pytest.raises(OwnershipError):
        catalog.write([call(2)], "late")
    assert set(catalog.find_calls([digest(1), digest(2)])) == {digest(1)}


WRITE_MANY = """
import hashlib, sys
from holdfast.storage.writer import CatalogWriter
from holdfast.storage.rows import CallRow, NodeRow
from holdfast.storage.workdir import open_workdir
name = sys.argv[2]
with CatalogWriter.open(open_workdir(sys.argv[1])) as catalog:
    catalog.enter(name, lambda session: False)
    for number in range(60):
        keys = [hashlib.sha256(f"{number} {part}".encode()).digest() for part in range(20)]
        keys += [hashlib.sha256(f"{name} {number} {part}".encode()).digest() for part in range(5)]
        rows = [CallRow(key, hashlib.sha256(b"1").digest(), b"1") for key in keys]
        rows += [NodeRow(key, key, f"op{number % 7}{name if part % 2 else ''}", "{}", name) for part, key in enumerate(keys)]
        catalog.write(rows, name)
"""


def test_writers_beside_each_other_lose_nothing_and_count_right(workdir: WorkDirectory) -> None:
    command = [sys.executable, "-c", WRITE_MANY, str(workdir.path)]
    writers = [subprocess.Popen([*command, name]) for name in ("a", "b", "c")]
    assert [writer.wait(120) for writer in writers] == [0, 0, 0]
    with CatalogWriter.open(workdir) as catalog:
        assert catalog.totals() == Totals(60 * 20 + 3 * 60 * 5, 60 * 20 + 3 * 60 * 5, 0)
        assert catalog.check_integrity() == []
        rows = [row for row in catalog.walk(NodeRow) if not isinstance(row, StoreDamaged)]
        assert len(rows) == 60 * 20 + 3 * 60 * 5


# damage


def test_a_newer_catalog_is_refused_before_anything_is_written(workdir: WorkDirectory) -> None:
    CatalogWriter.open(workdir).close()
    with open(workdir.catalog_path, "r+b") as stream:
        stream.seek(60)
        stream.write(struct.pack(">i", SCHEMA_VERSION + 1))
    before = workdir.catalog_path.read_bytes()
    for read_only in (True, False):
        with pytest.raises(WorkingDirectoryError, match="newer holdfast"):
            CatalogWriter.open(workdir, read_only=read_only)
    assert workdir.catalog_path.read_bytes() == before
    assert sorted(os.listdir(workdir.path)) == ["catalog.db", "commit.lock", "holdfast.json", "nodes", "tmp"]


@pytest.mark.parametrize("damage", [b"not a database at all" * 10, b"SQLite format 3\0" + b"\xff" * 4080])
def test_what_is_no_database_is_refused(workdir: WorkDirectory, damage: bytes) -> None:
    workdir.catalog_path.write_bytes(damage)
    with pytest.raises((StoreDamaged, WorkingDirectoryError)):
        CatalogWriter.open(workdir)
    assert workdir.catalog_path.read_bytes() == damage


def test_a_database_of_something_else_is_refused(workdir: WorkDirectory) -> None:
    with sqlite3.connect(workdir.catalog_path) as raw:
        raw.execute("CREATE TABLE mine (x)")
    raw.close()
    with pytest.raises(StoreDamaged, match="not of holdfast"):
        CatalogWriter.open(workdir)


def test_a_catalog_that_is_a_link_is_refused(workdir: WorkDirectory) -> None:
    CatalogWriter.open(workdir).close()
    workdir.catalog_path.rename(workdir.path.parent / "elsewhere.db")
    workdir.catalog_path.symlink_to(workdir.path.parent / "elsewhere.db")
    with pytest.raises(StoreDamaged, match="no plain file"):
        CatalogWriter.open(workdir)


def read_everything(catalog: CatalogWriter, array: bytes) -> None:
    catalog.find_nodes([digest(1)])
    catalog.find_calls([digest(1)])
    catalog.find_arrays([array])
    catalog.find_round(digest(1), 0)
    catalog.find_implementation(digest("code"))
    catalog.find_targets()


CHANGES = {
    "call": ("UPDATE calls SET text = ?", (b"[2]",)),
    "call's digest": ("UPDATE calls SET digest = ?", (digest("x"),)),
    "call's store": ("UPDATE calls SET store = ?", (digest("x"),)),
    "call's type": ("UPDATE calls SET text = ?", ("[1]",)),
    "node": ("UPDATE nodes SET call_key = ?", (digest("x"),)),
    "node's type": ("UPDATE nodes SET call_key = ?", (7,)),
    "record": ("UPDATE nodes SET record = ?", ("{}",)),
    "operation": ("UPDATE operations SET name = ?", ("demo.other",)),
    "array": ("UPDATE arrays SET data = ?", (bytes(8),)),
    "dtype": ("UPDATE arrays SET dtype = ?", ("<i8",)),
    "shape": ("UPDATE arrays SET shape = ?", ("[1,1]",)),
    "round": ("UPDATE rounds SET state = ?", ("other",)),
    "implementation": ("UPDATE implementations SET data = ?", ("{}",)),
    "target": ("UPDATE targets SET uid = ?", (digest("x"),)),
}


@pytest.mark.parametrize("what", CHANGES)
def test_a_changed_row_is_an_error_and_never_a_value(workdir: WorkDirectory, what: str) -> None:
    data = b"12345678"
    array = inline(data, (1,))
    code = ImplementationRow(digest("code"), "demo.add", {"demo.add": "1"}, "t")
    with CatalogWriter.open(workdir) as catalog:
        catalog.write(
            [node(1), call(1), array, code, RoundRow(digest(1), 0, "state"), TargetRow("model", digest(1), "t")]
        )
    with sqlite3.connect(workdir.catalog_path) as raw:
        raw.execute(*CHANGES[what])
    raw.close()
    with CatalogWriter.open(workdir) as catalog, pytest.raises(StoreDamaged, match="holdfast verify"):
        read_everything(catalog, array.digest)


def test_flipped_bits_give_errors_or_nothing_but_never_a_wrong_value(workdir: WorkDirectory) -> None:
    nodes, calls = [node(i) for i in range(60)], [call(f"call of {i}", b"[%d]" % i) for i in range(60)]
    with CatalogWriter.open(workdir) as catalog:
        catalog.write([*nodes, *calls])
    whole = workdir.catalog_path.read_bytes()
    seen = 0
    for position in range(100, len(whole), len(whole) // 400):
        changed = bytearray(whole)
        changed[position] ^= 1 << position % 8
        workdir.catalog_path.write_bytes(changed)
        try:
            with CatalogWriter.open(workdir, read_only=True) as catalog:
                found = catalog.find_nodes([row.uid for row in nodes])
                results = catalog.find_calls([row.call_key for row in calls])
        except (StoreDamaged, StoreFailure, WorkingDirectoryError):
            seen += 1
            continue
        assert all(found[row.uid] == row for row in nodes if row.uid in found)
        assert all(results[row.call_key].text == row.text for row in calls if row.call_key in results)
    assert seen > 20


LOCK = """
import fcntl, sys
with open(sys.argv[1], "r+b") as stream:
    fcntl.lockf(stream, fcntl.LOCK_EX | fcntl.LOCK_NB, 510, 0x40000002)
"""


def test_opening_a_reader_does_not_drop_the_locks_of_the_writer(workdir: WorkDirectory) -> None:
    """Closing any descriptor of a file drops all POSIX locks that the process holds on it, also those of SQLite."""
    command = [sys.executable, "-c", LOCK, str(workdir.catalog_path)]
    with CatalogWriter.open(workdir) as catalog:
        catalog.write([call(1)])
        CatalogWriter.open(workdir, read_only=True).close()
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert "BlockingIOError" in done.stderr or "PermissionError" in done.stderr, "the writer's lock is gone"
    assert subprocess.run(command, check=False).returncode == 0


@pytest.mark.parametrize("read_only", [True, False])
def test_a_checkpoint_that_was_cut_off_is_no_damage(workdir: WorkDirectory, tmp_path: Path, read_only: bool) -> None:
    """As on a full disk, or while the owner makes one: the first page is new, the others are still in the log alone."""
    rows = [call(i) for i in range(2000)]
    with CatalogWriter.open(workdir) as catalog:
        catalog.write(rows)
        names = ("catalog.db", "catalog.db-wal")
        before = {name: (workdir.path / name).read_bytes() for name in names}
    cut = WorkDirectory(tmp_path / "cut")
    cut.path.mkdir()
    cut.catalog_path.write_bytes(workdir.catalog_path.read_bytes()[:4096] + before["catalog.db"][4096:])
    cut.catalog_path.with_name("catalog.db-wal").write_bytes(before["catalog.db-wal"])
    with CatalogWriter.open(cut, read_only=read_only) as catalog:
        assert len(catalog.find_calls([row.call_key for row in rows])) == 2000
