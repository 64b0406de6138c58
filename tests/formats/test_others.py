"""A format that another package brings is found, used, examined, and missed by name; the package is really installed on a path."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

MODULE = """
from holdfast.formats.numpy import NumpyFormat


class TinyFormat(NumpyFormat):
    name = "tiny"
    suffix = ".tiny"
"""

SCRIPT = """
import sys

import numpy as np

import holdfast as hf


@hf.operation(name="tiny.ramp", version="1", format="tiny")
def ramp(size: int) -> np.ndarray:
    return np.arange(float(size))


if __name__ == "__main__":
    with hf.Session("work", engine=sys.argv[1], workers=1) as session:
        print(session.result(ramp(50_000)).sum())
"""

EXAM = """
from holdfast.testing.formats import FormatConformance


class TestTiny(FormatConformance):
    name = "tiny"
"""


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """Install a package of one module, as pip does, and write a script beside it."""
    installed = tmp_path / "site" / "tiny_format-1.0.dist-info"
    installed.mkdir(parents=True)
    (installed / "METADATA").write_text("Metadata-Version: 2.1\nName: tiny-format\nVersion: 1.0\n")
    (installed / "entry_points.txt").write_text("[holdfast.formats]\ntiny = tiny_format:TinyFormat\n")
    (installed / "RECORD").write_text("tiny_format.py,,\n")
    (tmp_path / "site" / "tiny_format.py").write_text(MODULE)
    (tmp_path / "study.py").write_text(SCRIPT)
    (tmp_path / "test_tiny.py").write_text(EXAM)
    return tmp_path


def run(place: Path, *words: str, installed: bool = True) -> subprocess.CompletedProcess[str]:
    paths = [str(place / "site")] * installed + os.environ.get("PYTHONPATH", "").split(os.pathsep)
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, paths))}
    command = [sys.executable, *words]
    return subprocess.run(command, cwd=place, env=environment, capture_output=True, text=True, check=False, timeout=120)


def test_it_is_written_and_read_on_every_way_to_the_data(place: Path) -> None:
    for engine in ("in_process", "processes"):
        ended = run(place, "study.py", engine)
        assert ended.stdout == f"{sum(range(50_000)):.1f}\n", ended.stderr
    assert [path.suffix for path in place.glob("work/nodes/*/*/data.*")] == [".tiny"]
    assert run(place, "-m", "holdfast.cli.main", "verify", "--work", "work").returncode == 0


def test_where_it_is_missing_that_is_said(place: Path) -> None:
    run(place, "study.py", "in_process")
    ended = run(place, "study.py", "in_process", installed=False)
    assert "There is no format 'tiny'" in ended.stderr
    assert "install the package that brings it" in ended.stderr


def test_it_can_be_examined(place: Path) -> None:
    ended = run(place, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_tiny.py")
    assert ended.returncode == 0, ended.stdout
    assert " passed" in ended.stdout
