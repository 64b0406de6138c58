"""The commands of the how-to page on the health of a directory do what it says."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import numpy

import holdfast as hf

PAGE = (Path(__file__).parents[2] / "docs" / "how-to" / "keep-a-directory-healthy.md").read_text()


@hf.operation(name="page.field", version="1")
def field(x: float) -> object:
    return numpy.full(20_000, x)


def holdfast(place: Path, command: str) -> subprocess.CompletedProcess[str]:
    words = [sys.executable, "-m", "holdfast.cli.main", *shlex.split(command)[1:]]
    return subprocess.run(words, cwd=place, capture_output=True, text=True, check=False, timeout=60)


def test_the_commands_find_damage_and_take_it_out(tmp_path: Path) -> None:
    look, repair = re.findall(r"```sh\n(holdfast verify.*)\n```", PAGE)
    node = field(2.0)
    with hf.Session(tmp_path / "work", engine="in_process") as session:
        session.result(node)
    whole = holdfast(tmp_path, look)
    assert (whole.returncode, whole.stderr) == (0, "")
    assert "all of it is what was committed" in whole.stdout

    file = tmp_path / "work" / "nodes" / node.uid[:2] / node.uid / "data.npy"
    file.write_bytes(file.read_bytes()[:-1] + b"x")
    damaged = holdfast(tmp_path, look)
    assert damaged.returncode == 1
    assert node.uid in damaged.stdout
    assert "data.npy holds another value" in damaged.stdout
    assert "holdfast verify --repair" in damaged.stdout
    told = json.loads(holdfast(tmp_path, f"{look} --json").stdout)
    assert node.uid in {finding["node"] for finding in told["findings"]}

    repaired = holdfast(tmp_path, repair)
    assert (repaired.returncode, repaired.stderr) == (0, "")
    assert "0 left" in repaired.stdout
    assert list((tmp_path / "work" / "damaged").glob(f"{node.uid}.*/data.npy"))
    with hf.Session(tmp_path / "work", engine="in_process") as session:
        assert session.result(node)[0] == 2.0
    assert holdfast(tmp_path, look).returncode == 0


def test_a_directory_that_is_none_is_refused(tmp_path: Path) -> None:
    ended = holdfast(tmp_path, "holdfast verify --work nowhere")
    assert ended.returncode == 1
    assert ended.stderr.startswith("holdfast: The working directory")
