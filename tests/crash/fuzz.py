"""Read many inputs that are nearly right, and print which end by no value and no error of ours: usage: fuzz.py texts|catalogs COUNT.

Memory and time are limited for each. The last line says how many were refused. Inputs depend on their number only.
"""

from __future__ import annotations

import contextlib
import copy
import io
import json
import random
import resource
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any
from zlib import crc32

import everything
import hostile
import numpy

import holdfast as hf
from holdfast.errors import HoldfastError
from holdfast.model.content import array_digests, array_token, decode, encode
from holdfast.model.datatype import DataType
from holdfast.model.fingerprint import Fingerprint
from holdfast.model.reference import parse_reference
from holdfast.plugins import FORMATS, load_format
from holdfast.storage.catalog import Catalog
from holdfast.storage.format import Layout
from holdfast.storage.generation import read_generation, write_generation
from holdfast.storage.metadata import Metadata, StoredFile, read_metadata, write_metadata
from holdfast.storage.workdir import open_workdir

MEMORY = 2 * 1024**3
"""Bytes of the address space beyond what the libraries take: no input is longer than a thousandth of it."""

SECONDS = 5.0

D = "ab" * 32
TOKENS: tuple[Any, ...] = (
    {"$array": 5}, {"$array": ["<f8", [3], D]}, {"$array": ["<f8", [3]]}, {"$array": ["<f8", [2**62, 2**62], D]},
    {"$array": ["|O", [1], D]},
    {"$array": [["<f8"], [1], D]}, {"$array": ["<f8", "abc", D]}, {"$stack": ["<f8", [3], "zz"]}, {"$float": "1e400"}, {"$float": ["x"]},
    {"$float": "9" * 5000}, {"$complex": [1]}, {"$complex": ["a", "b"]}, {"$bytes": "%%%"}, {"$bytes": {"a": 1}}, {"$bytes": 5},
    {"$file": [D, 3]}, {"$file": [3, 3]}, {"$file": []}, {"$mapping": 5}, {"$mapping": [[1]]}, {"$mapping": [[{}, 1]]}, {"$other": 1},
)  # fmt: skip
VALUES: tuple[Any, ...] = (
    None, 0, -1, 2**62, 2**70, 10**400, 1.5, 1e300, True, "", "x", D, "é\0", "\ud800", "../../x", [], {}, [[]], [1, [2]], {"a": 1},
    {"": []},
    *TOKENS,
)  # fmt: skip
PIECES = (
    b"99999999999999999999", b"1e999", b"-1", b"NaN", b"-Infinity", b"null", b"[]", b"{}", b'"', b"\\u0000", b"\\ud800", b"[" * 5000,
    b'{"a":' * 3000, b"9" * 5000, b"../", b"|O", b"<f8", b"<U999999999", b"\0", b"\xff" * 4, b"\x7f" + b"\xff" * 7, b"true",
    b",", b"]", b"}",
)  # fmt: skip

BROKEN = (b"", b"\xff", b"[" * 100_000, b"[" * 900 + b"]" * 900, b"9" * 5000, b"NaN")
COLUMNS: tuple[Any, ...] = (
    None, 0, -1, 2**62, 1.5, "", "x", "é\0", "{}", "[]", "null", "[" * 5000, b"", b"x", b"\xff" * 32, "<f8", "|O", "[-1]", "../../x",
)  # fmt: skip

Read = Callable[[], object]
Chance = random.Random


def overwritten(data: bytes, chance: Chance) -> bytes:
    """Return bytes of which some are changed, taken out, or put in."""
    changed = bytearray(data)
    for _ in range(chance.choice((1, 1, 1, 2, 3, 8))):
        place = chance.randrange(len(changed) + 1)
        piece = chance.choice(
            (chance.choice(PIECES), chance.randbytes(chance.randrange(1, 9)), bytes(changed[place : place + 200]), b"")
        )
        changed[place : place + chance.choice((0, 0, 1, len(piece), chance.randrange(1, 200)))] = piece
    return bytes(changed)


def rearranged(text: str, chance: Chance) -> Any:
    """Return a JSON value with some members replaced by others, taken out, or added."""
    value = json.loads(text)
    for _ in range(chance.choice((1, 1, 2, 4))):
        places = list(members(value))
        holder, key = chance.choice(places)
        other, name = chance.choice(places)
        change = chance.random()
        if change < 0.2:
            del holder[key]
            if not list(members(value)):
                return value
            continue
        new = copy.deepcopy(chance.choice((*VALUES, other[name])))
        if isinstance(holder, list) and change < 0.4:
            holder.insert(key, new)
        else:
            holder[
                key if change < 0.9 or isinstance(holder, list) else chance.choice(("a", "uid", "$x", "", "data"))
            ] = new
    return value


def members(value: Any) -> Iterator[tuple[Any, Any]]:
    """Yield each container within a value, with each of its keys."""
    waiting = [value]
    while waiting:
        holder = waiting.pop()
        for key in list(holder) if isinstance(holder, dict) else range(len(holder)):
            yield holder, key
            if isinstance(holder[key], (dict, list)):
                waiting.append(holder[key])


def with_true_uids(document: Any) -> Any:
    """Return a document whose records have the uids that they must have, as far as they are records."""
    referents = document.get("referents") if isinstance(document, dict) else None
    for number in range(len(referents) if isinstance(referents, list) else 0):
        referent = document["referents"][number]
        if isinstance(referent, dict) and isinstance(referent.get("uid"), str) and len(referent["uid"]) == 64:
            with contextlib.suppress(Exception):
                uid = (
                    Fingerprint.of({name: referent.get(name) for name in ("depends", "input", "operation")}).uid().hex()
                )
                document = json.loads(json.dumps(document).replace(referent["uid"], uid))
    return document


class Texts:
    """Inputs that are read without a directory."""

    def __init__(self, place: Path) -> None:
        self.place = place / "file"
        nodes: dict[str, Any] = {
            name: node for name, node in everything.targets().items() if name in ("loop", "branch", "numbers", "parts")
        }
        self.document = hf.WorkGraph({**nodes, "array": everything.keep(numpy.arange(2000.0))}).to_json()
        self.records: list[tuple[DataType, str]] = [
            (kind, kind(value).to_json())
            for kind, value in (
                (hf.Integer64, [[1, 2], [3, 4]]), (hf.Float64, [1.5, float("nan")]), (hf.String, ["a", "é"]), (hf.Complex128, 1 + 2j),
                (hf.Bytes, b"abc"), (hf.Mapping, {"a": {"b": [1, 2]}}), (hf.Boolean, [True]), (hf.Null, None),
                (hf.File, everything.__file__),
            )
        ]  # fmt: skip
        self.content = encode({"a": [1, 2.5, float("nan"), 1j, b"abc"], "b": {"$x": 1}, "c": numpy.arange(5)})
        stream = io.BytesIO()
        write_generation(self.content, stream)
        self.generation = stream.getvalue()
        self.files = [(name, *written) for name in FORMATS if name != "json" for written in self.written(name)]

    def written(self, name: str) -> Iterator[tuple[bytes, Layout]]:
        """Yield arrays as a format writes them."""
        form = load_format(name)
        for array in (
            numpy.arange(6.0).reshape(2, 3),
            numpy.zeros((0, 3)),
            numpy.array(True),
            numpy.arange(3, dtype="i2"),
            numpy.arange(40, dtype="u1"),
        ):
            if array.dtype != "u1" and not form.accepts(Layout("<f8", (3,))):
                continue  # it lays out bytes only
            with self.place.open("w+b") as stream:
                form.write(array, stream)
                stream.seek(0)
                yield stream.read(), Layout(array.dtype.str, array.shape)

    def make(self, chance: Chance) -> Read:
        """Return how to read one input."""
        kinds = (
            self.record,
            self.record,
            self.graph,
            self.graph,
            self.graph,
            self.metadata,
            self.state,
            self.file,
            self.file,
            self.text,
        )
        return chance.choice(kinds)(chance)

    def record(self, chance: Chance) -> Read:
        """Read the record of a data node."""
        kind, text = chance.choice(self.records)
        changed = (
            json.dumps(rearranged(text, chance))
            if chance.random() < 0.6
            else overwritten(text.encode(), chance).decode("latin-1")
        )
        return lambda: kind.from_json(changed).content

    def graph(self, chance: Chance) -> Read:
        """Read a document."""
        changed = rearranged(self.document, chance)
        text = json.dumps(with_true_uids(changed) if chance.random() < 0.7 else changed)
        return lambda: hf.WorkGraph.from_json(text, hf.allow("everything")).to_json()

    def metadata(self, chance: Chance) -> Read:
        """Read metadata of stores."""
        layouts = [
            Layout(chance.choice(("<f8", "text", "|O", "<U3")), (chance.choice((0, 5, 2**62, -1)),) * size)
            for size in (0, 1, 2, 70)
        ]
        files = [
            StoredFile(
                chance.choice(("data.npy", "data.json", "array-0.npy", "../x")), chance.choice(("numpy", "json", "pickle", "")),
                chance.choice(layouts), chance.choice((0, 5, -1, 2**70)), chance.choice((D, "z")),
            )
            for _ in range(chance.randrange(4))
        ]  # fmt: skip
        data = write_metadata(Metadata(bytes(32), tuple(files)))
        changed = overwritten(data, chance) if chance.random() < 0.5 else data
        return lambda: (lambda found: (found.plain, found.text, found.arrays, found.find("data.npy")))(
            read_metadata(changed)
        )

    def state(self, chance: Chance) -> Read:
        """Read a generation of a checkpoint."""
        return self.reading(overwritten(self.generation, chance), read_generation)

    def file(self, chance: Chance) -> Read:
        """Read an array from a file."""
        name, data, layout = chance.choice(self.files)
        form = load_format(name)
        read = chance.choice([form.read, form.digest, *([form.map] if hasattr(form, "map") else [])])
        expected = chance.choice((layout, None))
        return self.reading(overwritten(data, chance), lambda stream: read(stream, expected))

    def text(self, chance: Chance) -> Read:
        """Read the text of a value, or a reference."""
        if chance.random() < 0.3:
            reference = overwritten(f'{D}.label[3]["q x"]'.encode(), chance).decode("latin-1")
            return lambda: parse_reference(reference)
        text = (
            json.dumps(rearranged(self.content.text.decode(), chance)).encode()
            if chance.random() < 0.5
            else overwritten(self.content.text, chance)
        )
        return lambda: (array_digests(text), array_token(text), decode(text, lambda digest: numpy.zeros(3)))

    def reading(self, data: bytes, read: Callable[[Any], object]) -> Read:
        """Return how to read a file with these bytes."""
        self.place.write_bytes(data)

        def read_file() -> object:
            with self.place.open("rb") as stream:
                return read(stream)

        return read_file


class Catalogs:
    """Directories whose rows somebody wrote who knows how they are sealed."""

    def __init__(self, place: Path) -> None:
        self.whole, self.work = place / "whole", place / "work"
        subprocess.run([sys.executable, everything.__file__, str(self.whole)], check=False, timeout=60)
        Catalog.open(open_workdir(self.whole)).close()

    def make(self, chance: Chance) -> Read:
        """Return how to read one directory."""
        shutil.rmtree(self.work, ignore_errors=True)
        shutil.copytree(self.whole, self.work)
        with contextlib.closing(sqlite3.connect(self.work / "catalog.db")) as connection:
            connection.text_factory = lambda data: data.decode("utf-8", "surrogateescape")
            for _ in range(chance.choice((1, 1, 2))):
                self.change(connection, chance)
            connection.commit()
        return self.read

    def read(self) -> None:
        """Do everything with the directory."""
        wrong = hostile.read(self.work)
        if wrong:
            raise AssertionError("; ".join(wrong))

    def change(self, connection: sqlite3.Connection, chance: Chance) -> None:
        """Change one row, and make its seal true."""
        names = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        table = chance.choice([*names, *["calls"] * 8, *["arrays"] * 5, *["rounds"] * 3, *["nodes"] * 3])
        columns = [row[1] for row in connection.execute(f"PRAGMA table_info({table})")]
        rows = connection.execute(f"SELECT {', '.join(columns)} FROM {table}").fetchall()
        if not rows:
            return
        before = dict(zip(columns, chance.choice(rows), strict=True))
        after = dict(before)
        self.spoil(table, after, chance)
        with contextlib.suppress(TypeError, AttributeError, KeyError, UnicodeEncodeError):
            self.seal(table, after, dict(connection.execute("SELECT id, name FROM operations").fetchall()))
        with contextlib.suppress(sqlite3.Error, OverflowError, UnicodeEncodeError):  # what SQLite does not take
            found = " AND ".join(f"{name} IS ?" for name in columns)
            changes = ", ".join(f"{name} = ?" for name in columns)
            connection.execute(f"UPDATE {table} SET {changes} WHERE {found}", [*after.values(), *before.values()])

    def spoil(self, table: str, row: dict[str, Any], chance: Chance) -> None:
        """Put something into a row."""
        if table == "calls" and chance.random() < 0.7:
            made = json.dumps(chance.choice((*VALUES, *TOKENS))).encode()
            row["text"] = chance.choice((made, made, made, made[:-1], *BROKEN))
            row["digest"] = sha256(row["text"]).digest()
        elif table == "arrays" and chance.random() < 0.5:
            own = row["digest"]
            row |= {
                "data": None,
                "store": None,
                "file": None,
                "members": chance.choice((own, own * 2, b"", b"x" * 5, b"z" * 32, None)),
            }
        else:
            row[chance.choice([name for name in row if not name.endswith(("seal", "mark"))])] = chance.choice(COLUMNS)

    def seal(self, table: str, row: dict[str, Any], operations: dict[int, str]) -> None:
        """Give a row the seal that it must have; see `holdfast.storage.seal`."""
        named = operations.get(row.get("operation", 0), "")
        if table == "calls":
            row["seal"] = crc32(row["call_key"] + row["digest"] + (row["store"] or b""))
        elif table == "arrays":
            begun = row["digest"] + f"{row['dtype']}{row['shape']}{row['file']}".encode() + (row["store"] or b"")
            row["seal"] = crc32(row["members"] or b"", crc32(begun))
        elif table == "rounds":
            row["seal"] = crc32(row["loop_key"] + f"{row['number']} {row['state']}".encode())
        elif table == "nodes":
            row["key_seal"] = crc32(row["uid"] + row["call_key"])
            row["record_seal"] = crc32(f"{named}\n{row['record']}".encode())
        elif table == "implementations":
            row["seal"] = crc32(row["uid"] + f"{named}\n{row['data']}".encode())
        elif table == "targets":
            row["seal"] = crc32(row["uid"] + row["name"].encode())


class TooSlow(BaseException):
    """An input took longer than it may."""


def give_up(*_: object) -> None:
    raise TooSlow


def main() -> None:
    """Read all inputs, and print what was wrong."""
    kind, count = sys.argv[1], int(sys.argv[2])
    warnings.simplefilter("ignore")
    signal.signal(signal.SIGALRM, give_up)
    refused = 0
    with tempfile.TemporaryDirectory(
        prefix="holdfast-", dir="/dev/shm" if Path("/dev/shm").is_dir() else None
    ) as place:
        inputs: Texts | Catalogs = Texts(Path(place)) if kind == "texts" else Catalogs(Path(place))
        used = (
            int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
            if sys.platform == "linux"
            else 0
        )
        resource.setrlimit(resource.RLIMIT_AS, (used + MEMORY, used + MEMORY))
        for number in range(count):
            chance = random.Random(f"holdfast fuzz {kind} {number}")
            read = inputs.make(chance)
            signal.setitimer(signal.ITIMER_REAL, SECONDS if kind == "texts" else 60.0)
            try:
                read()
            except HoldfastError:
                refused += 1
            except BaseException as error:
                print(f"{number}: {type(error).__name__}: {str(error)[:300]!r}")
            finally:
                signal.setitimer(signal.ITIMER_REAL, 0)
    print(f"{refused} refused")


if __name__ == "__main__":
    main()
