"""An operation that returns nodes is followed, durably."""

from __future__ import annotations

import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path
from typing import Any
from zlib import crc32

import numpy as np
import pytest

import holdfast as hf

LONG = os.environ.get("HOLDFAST_CRASH") == "long"

SCRIPT = """
import os, sys
import holdfast as hf
import numpy as np

def note(word):
    with open(os.environ["NOTES"], "a") as stream:
        stream.write(word + "\\n")

@hf.operation
def plus(a: int, b: int) -> int:
    note("plus")
    return a + b

@hf.operation
def fib(n: int) -> int:
    note(f"fib {n}")
    return n if n < 2 else plus(fib(n - 1), fib(n - 2))

@hf.operation
def join(low, middle, high):
    return [*low, *middle, *high]

@hf.operation
def quicksort(items: list):
    note(f"quicksort {len(items)}")
    if len(items) < 2:
        return items
    pivot = items[len(items) // 2]
    low, high = [x for x in items if x < pivot], [x for x in items if x > pivot]
    return join(quicksort(low), [x for x in items if x == pivot], quicksort(high))

items = [(7 * k) % 41 for k in range(60)]
final = {"sorted": quicksort(items), "fib": fib(20)}

if __name__ == "__main__":
    with hf.Session(sys.argv[1], engine=sys.argv[2], workers=1) as session:
        print([int(x) for x in session.result(final["sorted"])] == sorted(items), session.result(final["fib"]))
"""


class Study:
    """A script in a folder, and what its operations noted."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.environment = {**os.environ, "NOTES": str(folder / "notes")}
        (folder / "study.py").write_text(SCRIPT)

    def command(self, *arguments: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, *arguments],
            cwd=self.folder,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def run(self, *arguments: str) -> str:
        with self.command(*arguments) as process:
            out, err = process.communicate(timeout=120)
        assert process.returncode == 0, err
        return out

    @property
    def notes(self) -> list[str]:
        path = self.folder / "notes"
        return path.read_text().splitlines() if path.exists() else []


@pytest.fixture
def study(tmp_path: Path) -> Study:
    return Study(tmp_path)


@pytest.mark.parametrize("engine", ["in_process", "threads", "processes"])
def test_quicksort_and_fibonacci_of_a_script_give_their_results_and_run_each_call_once(
    study: Study, engine: str
) -> None:
    assert study.run("study.py", "work", engine) == "True 6765\n"
    calls = [note for note in study.notes if note.startswith("fib")]
    assert len(calls) == len(set(calls)) == 21
    count = len(study.notes)
    assert study.run("study.py", "work", engine) == "True 6765\n"
    assert len(study.notes) == count


def test_a_document_of_generators_runs_without_the_script_and_reuses_its_results(study: Study) -> None:
    study.run("-m", "holdfast.cli.main", "export", "study.py:final", "--output", "graph.json")
    common = ("--allow", "study.py", "--work", "work", "--json", "--quiet", "--workers", "1")
    found = json.loads(study.run("-m", "holdfast.cli.main", "run", "graph.json", *common))
    assert found == {"sorted": sorted((7 * k) % 41 for k in range(60)), "fib": 6765}
    count = len(study.notes)
    assert study.run("study.py", "work", "in_process") == "True 6765\n"
    assert len(study.notes) == count


@pytest.mark.crash
@pytest.mark.parametrize("engine", ["in_process", "processes"])
@pytest.mark.parametrize("written", ["script", "document"])
def test_a_run_that_is_killed_again_and_again_ends_with_the_same_results(
    study: Study, engine: str, written: str
) -> None:
    rng = random.Random(engine + written)
    command = ["study.py", "work", engine]
    if written == "document":
        study.run("-m", "holdfast.cli.main", "export", "study.py:final", "--output", "graph.json")
        options = ("--allow", "study.py", "--work", "work", "--engine", engine, "--workers", "1", "--quiet")
        command = ["-m", "holdfast.cli.main", "run", "graph.json", *options]
    for _ in range(20 if LONG else 3):
        process = study.command(*command)
        time.sleep(rng.uniform(0.2, 0.9))
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
    study.run(*command)
    count = len(study.notes)
    assert study.run("study.py", "work", "in_process") == "True 6765\n"
    assert len(study.notes) == count  # the same uids: nothing was left to run


@hf.operation
def down(n: int, log: str) -> Any:
    """Return a node of its own kind."""
    if log:
        with Path(log).open("a") as stream:
            stream.write(f"{n}\n")
    return down(n - 1, log) if n else 0


@hf.operation
def breaks_at(n: int, log: str) -> Any:
    with Path(log).open("a") as stream:
        stream.write(f"{n}\n")
    if n == 0 and not Path(log + ".mended").exists():
        raise RuntimeError("not mended yet")
    return breaks_at(n - 1, log) if n else "bottom"


@hf.operation
def several(n: int) -> Any:
    return {"list": [down(0, ""), n], "map": hf.map(twice, x=[1.0, 2.0]), "plain": None}


@hf.operation
def twice(x: float) -> float:
    return 2 * x


@hf.operation
def length(items: list[int]) -> int:
    return len(items)


@hf.operation
def twice_later(x: float) -> Any:
    return twice(x)


@hf.operation
def below(x: float) -> bool:
    return x < 20.0


def test_recursion_to_a_depth_of_ten_thousand_is_no_python_recursion(tmp_path: Path) -> None:
    with hf.Session(tmp_path / "work", durability="process") as session:
        assert session.result(down(10_000, "")) == 0


def test_a_restart_follows_what_was_returned_without_running_it_again(tmp_path: Path) -> None:
    log = str(tmp_path / "log")
    with hf.Session(tmp_path / "work") as session, pytest.raises(hf.OperationFailed, match="not mended yet") as caught:
        session.result(breaks_at(50, log))
    assert caught.value.node == breaks_at(0, log).uid
    Path(log + ".mended").touch()
    with hf.Session(tmp_path / "work") as session:
        assert session.result(breaks_at(50, log)) == "bottom"
    assert Path(log).read_text().split() == [*map(str, range(50, -1, -1)), "0"]


def test_nodes_may_stand_in_lists_and_mappings_and_be_ensembles(tmp_path: Path) -> None:
    with hf.Session(tmp_path / "work") as session:
        found = session.result(several(3))
    assert (found["list"], found["plain"]) == ([0, 3], None)
    assert np.array_equal(found["map"], [2.0, 4.0])


def test_members_of_ensembles_and_rounds_of_loops_may_be_generated(tmp_path: Path) -> None:
    with hf.Session(tmp_path / "work") as session:
        assert list(session.result(hf.map(twice_later, x=[1.0, 2.0, 1.0]))) == [2.0, 4.0, 2.0]
        assert session.result(hf.while_loop(below, twice_later, 1.0)) == 32.0


def test_equal_contents_follow_the_same_expansion(tmp_path: Path) -> None:
    log = str(tmp_path / "log")
    with hf.Session(tmp_path / "work") as session:
        assert session.result(down(5, log)) == 0
        assert session.result(down(length([1, 2, 3, 4, 5]), log)) == 0
    assert Path(log).read_text().split() == ["5", "4", "3", "2", "1", "0"]


def test_a_node_of_a_nested_operation_is_a_failure_that_says_what_to_do(tmp_path: Path) -> None:
    @hf.operation
    def outer(n: int) -> Any:
        inner = hf.operation(lambda x: x, name="nested.inner")
        return inner(n)

    with hf.Session(tmp_path / "work") as session, pytest.raises(hf.OperationFailed, match="top level of a module"):
        session.result(outer(1))


def test_an_abstract_graph_cannot_be_a_result(tmp_path: Path) -> None:
    @hf.operation
    def outer(n: int) -> Any:
        return hf.trace(lambda x: twice(x), x=hf.Placeholder("x"))

    with hf.Session(tmp_path / "work") as session, pytest.raises(hf.OperationFailed, match="abstract graph"):
        session.result(outer(1))


def test_a_forged_expansion_imports_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log, executed = str(tmp_path / "log"), tmp_path / "executed"
    with hf.Session(tmp_path / "work") as session, pytest.raises(hf.OperationFailed, match="not mended"):
        session.result(breaks_at(1, log))
    (tmp_path / "forgery.py").write_text(f"open({str(executed)!r}, 'w')")
    monkeypatch.syspath_prepend(tmp_path)
    forge(tmp_path / "work" / "catalog.db", hf.operation(lambda: 0, name="forgery.run", version="1")())
    with (
        hf.Session(tmp_path / "work") as session,
        pytest.raises(hf.OperationFailed, match=r"forgery\.run cannot be found"),
    ):
        session.result(breaks_at(1, log))
    assert not executed.exists()
    assert "forgery" not in sys.modules


def forge(catalog: Path, node: Any) -> None:
    """Put a node in the place of what an operation returned, with everything true but its origin."""
    document = hf.WorkGraph({"result": node}).to_json()
    with closing(sqlite3.connect(catalog)) as connection, connection:
        ((key,),) = connection.execute("SELECT loop_key FROM rounds WHERE state LIKE '%version%'").fetchall()
        seal = crc32(key + f"0 {document}".encode())
        connection.execute("UPDATE rounds SET state = ?, seal = ? WHERE loop_key = ?", (document, seal, key))
