from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

MEMORY = Path("/dev/shm")


@pytest.fixture(scope="module")
def memory() -> Iterator[Path]:
    """A folder in memory where there is one: for what does not depend on the disk, and would wait for it thousands of times."""
    with tempfile.TemporaryDirectory(prefix="holdfast-", dir=MEMORY if os.access(MEMORY, os.W_OK) else None) as place:
        yield Path(place)


@pytest.fixture
def quick_path(memory: Path) -> Iterator[Path]:
    """A folder in memory for one test."""
    with tempfile.TemporaryDirectory(dir=memory) as place:
        yield Path(place)
