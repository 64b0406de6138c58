"""A work graph runs in a process that never saw its script's session."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = """
import holdfast as hf
import numpy as np

@hf.operation
def below(x: float) -> bool:
    return x < 6.0

@hf.operation
def add(x: float) -> float:
    return x + step()

def step():
    return 1.0

@hf.operation
def scale(x: float, table: np.ndarray) -> float:
    return float(x * table.sum())

final = hf.while_loop(below, add, 1.0)
several = {"final": final, "wide": hf.map(lambda x: scale(x, np.ones(2000)), x=[1.0, 2.0])}

if __name__ == "__main__":
    import sys
    with hf.Session(sys.argv[1]) as session:
        print(session.result(final), [float(x) for x in session.result(several["wide"])], session.counts.done)
"""

HOSTILE = """
import pathlib
pathlib.Path("executed").write_text("")
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "study.py").write_text(SCRIPT)
    (tmp_path / "hostile.py").write_text(HOSTILE)
    return tmp_path


def holdfast(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "holdfast.cli.main", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120, check=False)


def export(folder: Path) -> None:
    ended = holdfast(folder, "export", "study.py:several", "--output", "graph.json")
    assert ended.returncode == 0, ended.stderr


@pytest.mark.parametrize("allowed", ["study.py", "study"])
@pytest.mark.parametrize("engine", ["in_process", "processes"])
def test_a_document_gives_the_results_of_its_script(folder: Path, allowed: str, engine: str) -> None:
    export(folder)
    common = ("--work", "work", "--engine", engine, "--workers", "1", "--json", "--quiet")
    ended = holdfast(folder, "run", "graph.json", "--allow", allowed, *common)
    assert json.loads(ended.stdout) == {"final": 6.0, "wide": [2000.0, 4000.0]}, ended.stderr
    script = subprocess.run(
        [sys.executable, "study.py", "work"], cwd=folder, capture_output=True, text=True, check=True
    )
    assert script.stdout == "6.0 [2000.0, 4000.0] 0\n"  # same uids: nothing ran again


def test_one_target_can_be_asked_for(folder: Path) -> None:
    export(folder)
    ended = holdfast(folder, "run", "graph.json", "--allow", "study.py", "--target", "final", "--engine", "in_process")
    assert ended.stdout == "6.0\n", ended.stderr
    ended = holdfast(folder, "run", "graph.json", "--allow", "study.py", "--target", "finale")
    assert (ended.returncode, ended.stdout) == (1, "")
    assert "no target 'finale'; it has: final, wide" in ended.stderr


def test_nothing_is_imported_that_was_not_allowed(folder: Path) -> None:
    export(folder)
    text = (folder / "graph.json").read_text().replace("study", "hostile")
    (folder / "graph.json").write_text(text)
    for allowed in ((), ("--allow", "study.py")):
        ended = holdfast(folder, "run", "graph.json", *allowed)
        assert ended.returncode == 1
        assert "holdfast: $.referents[" in ended.stderr
        assert "Traceback" not in ended.stderr
    assert not (folder / "executed").exists()
    assert not (folder / "work").exists()


def test_other_code_is_refused_with_the_names_that_differ(folder: Path) -> None:
    export(folder)
    (folder / "study.py").write_text(SCRIPT.replace("return 1.0", "return 2.0"))
    ended = holdfast(folder, "run", "graph.json", "--allow", "study.py")
    assert ended.returncode == 1
    assert "study.add has other code here than was recorded: changed: study.step." in ended.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("run", "nowhere.json"), "cannot be read"),
        (("run", "graph.json", "--allow", "nowhere"), "no module 'nowhere'"),
        (("run", "graph.json", "--allow", "nowhere.py"), "no file 'nowhere.py'"),
        (("run", "study.py:final", "--allow", "study"), "belong to a work graph"),
        (("export", "study.py:final", "--output", "no/such/folder.json"), "cannot be written"),
    ],
)
def test_what_cannot_be_had_is_told_in_one_sentence(folder: Path, arguments: tuple[str, ...], said: str) -> None:
    (folder / "graph.json").write_text("{}")
    ended = holdfast(folder, *arguments)
    assert ended.returncode == 1
    assert said in ended.stderr
    assert "Traceback" not in ended.stderr
