"""What the README and the docstrings show is run."""

from __future__ import annotations

import doctest
import importlib
import re
import subprocess
import sys
from pathlib import Path

import pytest

import holdfast

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
SOURCES = Path(holdfast.__file__).parent
MODULES = [
    ".".join(("holdfast", *path.relative_to(SOURCES).with_suffix("").parts)).removesuffix(".__init__")
    for path in sorted(SOURCES.rglob("*.py"))
    if "process_" not in path.name
]


def run(*command: str, cwd: Path) -> str:
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=True, timeout=120).stdout


def test_the_ten_lines_work_as_a_script_and_from_the_shell(tmp_path: Path) -> None:
    (script,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    assert len([line for line in script.splitlines() if line.strip()]) <= 10
    guarded = script.replace('with hf.Session("work"', 'if __name__ == "__main__":\n  with hf.Session("work"')
    (tmp_path / "study.py").write_text(script)
    first = run(sys.executable, "study.py", cwd=tmp_path)
    assert first == run(sys.executable, "study.py", cwd=tmp_path)
    (tmp_path / "study.py").write_text(guarded.replace("    print(", "      print("))
    command = [
        sys.executable,
        "-m",
        "holdfast.cli.main",
        "run",
        "study.py:ensemble",
        "--work",
        "work",
        "--workers",
        "2",
    ]
    ended = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert "0 done, 1 reused" in ended.stderr
    assert "1001 results" in run(sys.executable, "-m", "holdfast.cli.main", "status", "--work", "work", cwd=tmp_path)


def test_every_command_of_the_readme_stands_in_the_makefile() -> None:
    targets = set(re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert set(re.findall(r"(?:`|\$ )make (\w+)", README)) <= targets


@pytest.mark.parametrize(
    "page",
    [path for path in (ROOT, *(ROOT / "docs").rglob("*")) if path.suffix == ".md"] + [ROOT / "README.md"],
    ids=str,
)
def test_links_lead_somewhere(page: Path) -> None:
    for link in re.findall(r"\]\(([^)#]+?)(?:#[^)]*)?\)", page.read_text()):
        assert link.startswith("http") or (page.parent / link).exists(), f"{page}: {link}"


def test_what_the_mission_page_names_exists() -> None:
    for path in re.findall(
        r"`((?:tests|model|authoring|storage|runtime|cli|views|formats|engines)/[\w./]*)`",
        (ROOT / "docs/mission.md").read_text(),
    ):
        assert (ROOT / path).exists() or (SOURCES / path).exists(), path


@pytest.mark.parametrize("name", MODULES)
def test_examples_in_docstrings_run(name: str) -> None:
    assert doctest.testmod(importlib.import_module(name), optionflags=doctest.ELLIPSIS).failed == 0
