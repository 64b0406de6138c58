"""The page on several sessions is run as it stands."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

PAGE = (Path(__file__).parents[2] / "docs/how-to/work-at-once.md").read_text()


def test_two_terminals_share_the_work_and_print_the_same(tmp_path: Path) -> None:
    (script,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    ((command, answer),) = re.findall(r"```console\n\$ holdfast (.*?)\n(.*?)```", PAGE, re.DOTALL)
    (tmp_path / "study.py").write_text(script)
    started = [
        sys.executable,
        "-m",
        "holdfast.cli.main",
        *shlex.split(command),
        "--engine",
        "threads",
        "--workers",
        "2",
    ]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    terminals = [subprocess.Popen(started, cwd=tmp_path, text=True, **pipes) for _ in range(2)]  # type: ignore[call-overload]
    told = [terminal.communicate(timeout=120) for terminal in terminals]
    assert [output for output, _ in told] == [answer, answer]
    done = [int(number) for _, errors in told for number in re.findall(r"holdfast: (\d+) done", errors)[-1:]]
    assert sum(done) == 25
    line = re.search(
        r"holdfast: study.simulate: session .* makes calls that are needed here; their results are waited for", PAGE
    )
    assert line is not None
