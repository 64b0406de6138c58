from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import holdfast as hf


def pytest_configure() -> None:
    """Hear Ctrl-C also where the tests were started in the background of a shell, which has its children ignore it."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(params=["in_process", "threads", "processes"])
def engine(request: pytest.FixtureRequest) -> str:
    """Every built-in engine in turn."""
    return str(request.param)


@pytest.fixture
def session(tmp_path: Path, engine: str) -> Iterator[hf.Session]:
    """A session in an empty directory, on every built-in engine in turn."""
    with hf.Session(tmp_path / "work", engine=engine, workers=None if engine == "in_process" else 2) as opened:
        yield opened


@pytest.fixture
def counted(tmp_path: Path) -> Any:
    """An operation that returns its input, and leaves one line for each run."""
    path = str(tmp_path / "ran")

    @hf.operation(name="demo.counted")
    def leave_a_line(x: Any) -> Any:
        with open(path, "a") as stream:
            stream.write(f"{x}\n")
        return x

    return leave_a_line


@pytest.fixture
def ran(tmp_path: Path) -> Callable[[], list[str]]:
    """The lines that `counted` has left so far."""
    path = tmp_path / "ran"
    return lambda: path.read_text().split() if path.exists() else []
