"""Run the statements of `queries.sql` on the database of a working directory: the only file that runs SQL.

Each session has one connection that writes; any number read. Statements stand by name in
`queries.sql`, the tables in `catalog.sql` and what a version added to them in `catalog_2.sql` and so on; who only
reads a catalog of an older version has `reading_1.sql` and so on in the place of what it lacks. Knows nothing of what
the rows mean.

SQLite before 3.51.3 (but 3.50.7 and 3.44.6) can lose a commit that resets the log while another connection begins a
checkpoint ("WAL-reset bug", https://sqlite.org/wal.html#walresetbug). So whoever writes passes a turnstile of our own
to open, commit or close, which are the only times of a checkpoint; readers make none, for they open the file
read-only. The turnstile also makes waiting fair, which SQLite's own is not.
"""

from __future__ import annotations

import os
import sqlite3
import stat
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from itertools import chain
from pathlib import Path
from typing import Any, Literal

from holdfast.errors import InvalidData, StoreDamaged, StoreFailure, WorkingDirectoryError
from holdfast.storage.confine import remove
from holdfast.storage.flush import flush_folder
from holdfast.storage.staging import constructing
from holdfast.storage.statement import blocks, insertion, query, read_sql
from holdfast.storage.translation import Translated, busy, damage, explain
from holdfast.storage.turnstile import Turnstile
from holdfast.storage.workdir import WorkDirectory, put_once

Durability = Literal["power", "process"]
"""What survives: a power cut, or only the end of the process. Neither ever tears what was written."""

SCHEMA_VERSION = 5
"""Kept as `PRAGMA user_version`; a database with a higher one is refused."""

TURNSTILE = "commit.lock"
"""Name of the file, beside the database, through which all go that write."""

Columns = tuple[Any, ...]
"""The columns of one row, in the order of the statement in `queries.sql`."""

_APPLICATION = 0x686F6C64  # "hold", kept as `PRAGMA application_id`
_MARKS = f"PRAGMA application_id = {_APPLICATION}; PRAGMA user_version = {SCHEMA_VERSION};"
_SYNCHRONOUS = {"power": "FULL", "process": "NORMAL"}
_CACHE_KIB = 256 * 1024  # random keys at 10^6 rows: 20 000 rows/s with the default of 2 MiB, over 70 000 with this
_SCRATCH_KIB = 64 * 1024
_LOG_PAGES = 16 * 1024  # 64 MiB of log between checkpoints
_PAGE = 4096
_BUSY_SECONDS = 30.0
_FURTHEST_STEP = 2**40  # row ids skipped at once behind a page that cannot be read
_ROWS = 64  # rows per statement; old SQLite takes no more than 999 values


class Database:
    """A connection.

    Notes
    -----
    May be handed from one thread to another, but is used by one at a time. Never keep one open over a fork.
    """

    def __init__(self, connection: sqlite3.Connection, path: Path, turnstile: Turnstile | None = None) -> None:
        self.path = path
        self._connection = connection
        self._translated = Translated(path)
        self._turnstile = turnstile

    @classmethod
    def open(cls, path: Path, durability: Durability, *, read_only: bool) -> Database:
        """Open the database, and make it if there is none; see `Catalog.open`."""
        if durability not in _SYNCHRONOUS:
            raise InvalidData(f"durability is {durability!r}; it must be 'power' or 'process'")
        with Translated(path):
            _check_file(path, read_only)
            if read_only:
                return cls(_opened(path, durability, read_only), path)
            turnstile = Turnstile(path.with_name(TURNSTILE))
            try:
                with turnstile.passing():
                    if not path.exists():
                        _make(path)
                    connection = _opened(path, durability, read_only)
            except BaseException:
                turnstile.close()
                raise
        return cls(connection, path, turnstile)

    @classmethod
    def short_lived(cls, path: Path, tables: str) -> Database:
        """Open a database that nobody needs after a power cut, and make it if there is none; `tables` is the file that says of what."""
        with Translated(path):
            turnstile = Turnstile(path.with_suffix(".lock"))
            try:
                with turnstile.passing():
                    connection = _connect(path, "rwc")
                    for pragma in ("journal_mode = TRUNCATE", "synchronous = OFF"):
                        connection.execute(f"PRAGMA {pragma}")
                    connection.executescript(read_sql(tables))
            except BaseException:
                turnstile.close()
                raise
        return cls(connection, path, turnstile)

    @classmethod
    def nothing(cls, path: Path) -> Database:
        """Return an empty database in memory, in the place of one that nobody has made yet."""
        connection = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
        _create(connection, path)
        return cls(connection, path)

    @classmethod
    def scratch(cls) -> Database:
        """Return an empty database of marks, in memory as long as it is small, and then in a temporary file without a name."""
        path = Path("(temporary)")
        with Translated(path):
            connection = sqlite3.connect("", isolation_level=None)
            for pragma in ("journal_mode = MEMORY", "synchronous = OFF", f"cache_size = -{_SCRATCH_KIB}"):
                connection.execute(f"PRAGMA {pragma}")
            connection.executescript(read_sql("marks.sql"))
        return cls(connection, path)

    def close(self) -> None:
        """Close the connection; if it is the last one and may write, it moves the log into the database."""
        with self._passing(), self._translated:
            self._connection.close()
        if self._turnstile is not None:
            self._turnstile.close()
            self._turnstile = None

    def move_log(self) -> None:
        """Move the log into the database; see `CatalogWriter.move_log`."""
        with self._passing():
            is_busy = self.select("move_log")[0][0]
        if is_busy:
            raise busy(self.path, "it is being read")

    def select(self, name: str, parameters: Sequence[Any] = ()) -> list[Columns]:
        """Return what a statement finds."""
        with self._translated:
            return self._connection.execute(query(name), parameters).fetchall()

    def select_keys(self, name: str, keys: Sequence[bytes]) -> list[Columns]:
        """Return what a statement finds for any number of keys, in no order."""
        found: list[Columns] = []
        with self._translated:
            if len(keys) == 1:
                return self._connection.execute(query(name, 1), keys).fetchall()
            for block in blocks(sorted(keys)):  # neighbours share pages
                found += self._connection.execute(query(name, len(block)), block).fetchall()
        return found

    def walk(self, name: str) -> Iterator[Columns | StoreDamaged]:
        """Return what a `walk_` statement finds row by row, and where pages cannot be read the reason, and what stands behind them.

        Texts that are no texts come with surrogates in them.
        """
        self._connection.text_factory = _decode
        position, step = 0, 1
        try:
            while step < _FURTHEST_STEP:
                try:
                    for columns in self._connection.execute(query(name), (position,)):
                        position, step = columns[0], 1
                        yield columns[1:]
                    return
                except (sqlite3.DatabaseError, UnicodeDecodeError) as error:
                    reason = explain(self.path, error)
                    if not isinstance(reason, StoreDamaged):  # a disk that refuses, or a database that is busy
                        raise reason from error
                    yield reason
                    position, step = position + step, step * 2
        finally:
            self._connection.text_factory = str

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        """Have all that is read within be of one moment."""
        self.select("begin_reading")
        yield
        self.select("end_reading")

    def insert(self, name: str, rows: Sequence[Columns]) -> int:
        """Insert rows, many with one statement, and return how many of them are new.

        While a statement runs, other threads do too: a thread that computes keeps this one waiting once for each statement.
        """
        if not rows:
            return 0
        before = self._connection.total_changes
        one, many = insertion(name, len(rows[0]), 1), insertion(name, len(rows[0]), _ROWS)
        whole = len(rows) - len(rows) % _ROWS
        with self._translated:
            for start in range(0, whole, _ROWS):
                self._connection.execute(many, list(chain.from_iterable(rows[start : start + _ROWS])))
            self._connection.executemany(one, rows[whole:])
        return self._connection.total_changes - before

    def change(self, name: str, columns: Iterable[Columns]) -> int:
        """Run a statement for each of the columns, and return how many rows it changed."""
        before = self._connection.total_changes
        with self._translated:
            self._connection.executemany(query(name), columns)
        return self._connection.total_changes - before

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Make all changes within durable together at the end, or none of them; other writers wait meanwhile."""
        with self._passing(), self._translated:
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._connection.execute("COMMIT")
            except BaseException:
                with suppress(sqlite3.Error):  # SQLite has rolled back by itself after some errors
                    self._connection.execute("ROLLBACK")
                raise

    def _passing(self) -> AbstractContextManager[None]:
        return nullcontext() if self._turnstile is None else self._turnstile.passing()


# opening


def refuse_newer(path: Path) -> None:
    """Refuse the database of a newer holdfast, before anything is written beside it; whatever else is wrong is told when it is opened."""
    with suppress(StoreDamaged, StoreFailure), Translated(path):
        _check_file(path, read_only=False)


def _check_file(path: Path, read_only: bool) -> None:
    """Look at the file as it stands: what is newer or foreign is refused before anything is written."""
    # SQLite follows links, also of the files that it keeps beside the database.
    beside = [_is_plain(path.with_name(path.name + ending)) for ending in ("", "-wal", "-shm", "-journal")]
    if not beside[0]:
        if read_only:
            raise _nothing_yet(path)
        return
    # Through SQLite: to open and close the file here would drop the locks of every other connection of this process.
    # Source: https://sqlite.org/howtocorrupt.html#_posix_advisory_locks_canceled_by_a_separate_thread_doing_close_
    connection = _connect(path, "ro&immutable=1")
    version = 0
    with suppress(sqlite3.DatabaseError, UnicodeDecodeError):  # without the log it may make no sense
        version = connection.execute("PRAGMA user_version").fetchone()[0]
    connection.close()
    _check_version(version, path)


def _is_plain(place: Path) -> bool:
    """Return whether there is a file; StoreDamaged if it is anything else."""
    try:
        if stat.S_ISREG(place.lstat().st_mode):
            return True
    except FileNotFoundError:
        return False
    raise StoreDamaged(f"{place} is no plain file. Restore the working directory from a copy.")


def _make(path: Path) -> None:
    """Make a catalog without rows, which appears whole: one without tables is damaged, and never half made."""
    with constructing(WorkDirectory(path.parent)) as construction:
        made = construction.folder / path.name
        connection = _connect(made, "rwc")
        try:
            _create(connection, path)
            connection.execute("PRAGMA journal_mode = WAL")  # last: what stands in a log is not in the file
        finally:
            connection.close()
        put_once(made, path)
        remove(construction.folder)


def _check_version(version: int, path: Path) -> None:
    if version > SCHEMA_VERSION:
        newer = f"a newer holdfast made its catalog (version {version}, this one knows up to {SCHEMA_VERSION})"
        raise _refusal(path, newer, "Upgrade holdfast: pip install -U holdfast")


def _nothing_yet(path: Path) -> WorkingDirectoryError:
    return _refusal(path, "it has no catalog", "Run something in it first")


def _refusal(path: Path, reason: str, remedy: str) -> WorkingDirectoryError:
    return WorkingDirectoryError(f"The working directory {path.parent} cannot be used: {reason}. {remedy}.")


def _connect(path: Path, mode: str) -> sqlite3.Connection:
    escaped = os.fspath(path).replace("%", "%25").replace("?", "%3f").replace("#", "%23")
    # Used from one thread at a time, but opened in one and used in another.
    return sqlite3.connect(
        f"file:{escaped}?mode={mode}", _BUSY_SECONDS, isolation_level=None, check_same_thread=False, uri=True
    )


def _connect_to_read(path: Path) -> sqlite3.Connection:
    connection = _connect(path, "ro")
    try:
        connection.execute("PRAGMA user_version").fetchone()
        return connection
    except sqlite3.OperationalError:
        connection.close()
        log = path.with_name(path.name + "-wal")
        if log.exists() and log.stat().st_size:
            raise
        # No log, and none can be made: an archive, or a full disk. SQLite needs to hear that nobody changes the file.
        return _connect(path, "ro&immutable=1")


def _opened(path: Path, durability: Durability, read_only: bool) -> sqlite3.Connection:
    connection = _connect_to_read(path) if read_only else _connect(path, "rw")
    try:
        _prepare(connection, path, durability, read_only)
        if not read_only:
            flush_folder(path.parent)
    except BaseException:
        connection.close()
        raise
    return connection


def _prepare(connection: sqlite3.Connection, path: Path, durability: Durability, read_only: bool) -> None:
    # What stands in the file may be hostile: no functions from within the schema, cells checked before they are used.
    for pragma in ("trusted_schema = OFF", "cell_size_check = ON", "foreign_keys = OFF", f"cache_size = -{_CACHE_KIB}"):
        connection.execute(f"PRAGMA {pragma}")
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    _check_version(version, path)
    if read_only:
        if 0 < version < SCHEMA_VERSION:
            connection.executescript(read_sql(f"reading_{version}.sql"))
        connection.execute("PRAGMA query_only = ON")
        if version == 0:
            raise damage(path, "it has tables and no version") if _has_tables(connection) else _nothing_yet(path)
        return
    if connection.execute("PRAGMA journal_mode = WAL").fetchone()[0] != "wal":
        raise _refusal(path, "its file system has no shared memory for the catalog", "Use a directory on a local disk")
    for pragma in (
        f"synchronous = {_SYNCHRONOUS[durability]}",
        "fullfsync = ON",  # on macOS; ignored elsewhere
        "checkpoint_fullfsync = ON",
        f"wal_autocheckpoint = {_LOG_PAGES}",
        f"journal_size_limit = {_LOG_PAGES * _PAGE}",
    ):
        connection.execute(f"PRAGMA {pragma}")
    if version == 0:
        _create(connection, path)
    elif version < SCHEMA_VERSION:
        connection.executescript(f"BEGIN IMMEDIATE; {_added_since(version)} {_MARKS} COMMIT;")


def _create(connection: sqlite3.Connection, path: Path) -> None:
    if _has_tables(connection):
        raise StoreDamaged(f"{path} is a database, but not of holdfast. Use another directory.")
    connection.executescript(f"BEGIN IMMEDIATE; {read_sql('catalog.sql')} {_added_since(1)} {_MARKS} COMMIT;")


def _added_since(version: int) -> str:
    return "".join(read_sql(f"catalog_{later}.sql") for later in range(version + 1, SCHEMA_VERSION + 1))


def _has_tables(connection: sqlite3.Connection) -> bool:
    return bool(connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0])


def _decode(data: bytes) -> str:
    return data.decode("utf-8", "surrogateescape")
