"""A log that SQLite believes only in part is found, and one that was torn before it was acknowledged is not."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from holdfast.storage.log import find_break

FRAME = 24 + 4096


@pytest.fixture
def log(tmp_path: Path) -> Iterator[Path]:
    """A log of ten transactions, each of one frame or more."""
    connection = sqlite3.connect(tmp_path / "live.db", isolation_level=None)
    connection.executescript("PRAGMA journal_mode = WAL; PRAGMA page_size = 4096; CREATE TABLE t (x);")
    for number in range(9):
        connection.execute("INSERT INTO t VALUES (?)", (number,))
    yield Path(shutil.copy(tmp_path / "live.db-wal", tmp_path / "log"))
    connection.close()


def change(log: Path, place: int) -> None:
    data = log.read_bytes()
    log.write_bytes(data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :])


def test_a_whole_log_and_a_missing_or_empty_one_are_believed(log: Path, tmp_path: Path) -> None:
    assert log.stat().st_size >= 32 + 10 * FRAME
    assert find_break(log) is None
    assert find_break(tmp_path / "none") is None
    log.write_bytes(b"")
    assert find_break(log) is None
    log.write_bytes(bytes(10 * FRAME))
    assert find_break(log) is None


@pytest.mark.parametrize("place", [0, 9, 17, 25, 31])
def test_a_damaged_header_is_found(log: Path, place: int) -> None:
    change(log, place)
    assert find_break(log) == 0


@pytest.mark.parametrize("inner", [0, 4, 9, 17, 24, FRAME - 1])
def test_a_damaged_frame_is_found_by_its_place(log: Path, inner: int) -> None:
    change(log, 32 + 3 * FRAME + inner)
    assert find_break(log) == 32 + 3 * FRAME


def test_the_last_transaction_may_have_been_torn_before_it_was_acknowledged(log: Path) -> None:
    change(log, log.stat().st_size - 1)
    assert find_break(log) is None
    log.write_bytes(log.read_bytes()[:-100])
    assert find_break(log) is None


def test_what_is_left_from_before_the_log_began_anew_is_not_taken_for_damage(tmp_path: Path) -> None:
    connection = sqlite3.connect(tmp_path / "live.db", isolation_level=None)
    connection.executescript("PRAGMA journal_mode = WAL; CREATE TABLE t (x);")
    for number in range(9):
        connection.execute("INSERT INTO t VALUES (?)", (number,))
    connection.execute("PRAGMA wal_checkpoint(RESTART)")
    connection.execute("INSERT INTO t VALUES (10)")
    log = tmp_path / "live.db-wal"
    assert log.stat().st_size > 9 * FRAME
    assert find_break(log) is None
    connection.close()


@pytest.mark.parametrize("torn", [b"", bytes(FRAME - 24)])
def test_what_a_killed_transaction_left_behind_a_torn_one_is_not_taken_for_damage(
    log: Path, tmp_path: Path, torn: bytes
) -> None:
    """A session is killed within a transaction, the next one writes over its beginning, and the power is cut."""
    killed = sqlite3.connect(tmp_path / "killed.db", isolation_level=None)
    killed.executescript("PRAGMA journal_mode = WAL; CREATE TABLE t (x);")
    killed.execute("PRAGMA cache_spill = 1")
    killed.execute("PRAGMA cache_size = 1")
    killed.execute("BEGIN")
    killed.executemany("INSERT INTO t VALUES (?)", [(bytes(3000),)] * 40)  # spilled into the log, and never committed
    for ending in ("", "-wal"):
        shutil.copy(tmp_path / f"killed.db{ending}", tmp_path / f"next.db{ending}")
    killed.close()
    following = sqlite3.connect(tmp_path / "next.db", isolation_level=None)
    following.execute("PRAGMA wal_autocheckpoint = 0")
    following.execute("INSERT INTO t VALUES (1)")
    log = Path(shutil.copy(tmp_path / "next.db-wal", tmp_path / "log"))
    following.close()
    written = [place for place in range(32, log.stat().st_size, FRAME) if _commits_at(log, place)]
    assert log.stat().st_size > written[-1] + 3 * FRAME
    data = log.read_bytes()
    end = written[-1] + FRAME
    log.write_bytes(data[: end - len(torn)] + torn + data[end:])
    assert find_break(log) is None


def _commits_at(log: Path, place: int) -> bool:
    return log.read_bytes()[place + 4 : place + 8] != bytes(4)
