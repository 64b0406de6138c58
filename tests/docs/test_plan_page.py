"""The page on plans is run as it stands."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

PAGE = (Path(__file__).parents[2] / "docs/how-to/plan-a-run.md").read_text()


def holdfast(command: str, cwd: Path) -> str:
    words = shlex.split(command)
    assert words[0] == "holdfast"
    started = [sys.executable, "-m", "holdfast.cli.main", *words[1:]]
    return subprocess.run(started, cwd=cwd, capture_output=True, text=True, check=True, timeout=60).stdout


def test_the_commands_answer_what_the_page_says_and_write_nothing(tmp_path: Path) -> None:
    (script,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    (tmp_path / "study.py").write_text(script)
    (first, before), (second, after) = re.findall(r"```console\n\$ (.*?)\n(.*?)```", PAGE, re.DOTALL)
    assert holdfast(first, tmp_path) == before
    assert not (tmp_path / "work").exists()
    holdfast("holdfast run study.py:final --engine in_process", tmp_path)
    assert holdfast(second, tmp_path) == after
    (tmp_path / "study.py").write_text(script.replace("[1, 2, 3]", "[1, 2, 3, 4, 5]"))
    grown = holdfast(second, tmp_path)
    assert re.search(r"study\.simulate: 2 calls \(new inputs 2\), [\d.]+ s each", grown)
    assert grown.startswith("at least 2 calls would be made, and 1 more unless")
    assert "of work by the times of the past" in grown
    (tmp_path / "study.py").write_text(script.replace("300.0", "310.0"))
    assert "study.simulate: 3 calls (new inputs 3)" in holdfast(second, tmp_path)
    (tmp_path / "study.py").write_text(script.replace("seed * temp", "2 * seed * temp"))
    assert "study.simulate: 3 calls (code changed 3)" in holdfast(second, tmp_path)
