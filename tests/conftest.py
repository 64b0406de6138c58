from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

import holdfast as hf


@pytest.fixture(params=["in_process", "threads", "processes"])
def engine(request: pytest.FixtureRequest) -> str:
    """Every built-in engine in turn."""
    return str(request.param)


@pytest.fixture
def session(tmp_path: Path, engine: str) -> Iterator[hf.Session]:
    """A session in an empty directory, on every built-in engine in turn."""
    with hf.Session(tmp_path / "work", engine=engine, workers=None if engine == "in_process" else 2) as opened:
        yield opened
