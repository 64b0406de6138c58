from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from holdfast.storage.workdir import WorkDirectory, open_workdir
from holdfast.storage.writer import CatalogWriter


@pytest.fixture
def workdir(tmp_path: Path) -> WorkDirectory:
    """A fresh working directory."""
    return open_workdir(tmp_path / "work")


@pytest.fixture
def catalog(workdir: WorkDirectory) -> Iterator[CatalogWriter]:
    """A fresh catalog."""
    with CatalogWriter.open(workdir) as opened:
        yield opened


@pytest.fixture
def start() -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Start Python programs, given as text, that are killed at the end of the test."""
    started: list[subprocess.Popen[str]] = []

    def start_program(text: str, *arguments: object) -> subprocess.Popen[str]:
        command = [sys.executable, "-c", text, *map(str, arguments)]
        program = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        started.append(program)
        return program

    yield start_program
    for program in started:
        program.kill()
        program.communicate()
