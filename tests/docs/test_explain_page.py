"""The page on explaining is run as it stands; only sessions, times and uids are others each time."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

PAGE = (Path(__file__).parents[2] / "docs/how-to/explain-a-rerun.md").read_text()
CHANGES = [("", ""), ("300.0", "310.0"), ("2 * x", "3 * x"), ("3 * x", "x + x + x"), ("", ""), ("", "")]


def holdfast(command: str, cwd: Path) -> str:
    words = shlex.split(command)
    assert words[0] == "holdfast"
    started = [sys.executable, "-m", "holdfast.cli.main", *words[1:]]
    printed = subprocess.run(started, cwd=cwd, capture_output=True, text=True, check=True, timeout=60).stdout
    return printed.replace(f"{cwd.resolve()}/", "")


def without_names(text: str) -> str:
    for pattern, name in (
        (r"\b[0-9a-f]{12}\b", "uid"),
        (r"in session \w+", "in a session"),
        (r"\d{4}-\d\d-\d\dT\S+Z", "then"),
        (r"\S+@\S+?(?=:| accepted)", "somebody"),
        (r"[\d.e-]+ s\b", "some time"),
    ):
        text = re.sub(pattern, name, text)
    return text


def test_the_commands_answer_what_the_page_says(tmp_path: Path) -> None:
    (script,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    consoles = re.findall(r"```console\n(.*?)```", PAGE, re.DOTALL)
    for (old, new), console in zip(CHANGES, consoles, strict=True):
        script = script.replace(old, new) if old else script
        (tmp_path / "study.py").write_text(script)
        for command, answer in re.findall(r"\$ (.*?)\n(.*?)(?=\$ |\Z)", console, re.DOTALL):
            assert without_names(holdfast(command, tmp_path)) == without_names(answer)
