"""Whatever stands in records, documents, metadata, files and rows is read, or refused by an error of ours, soon and in little memory."""

from __future__ import annotations

import os
import subprocess
import sys

import fuzz
import pytest

IS_LONG = os.environ.get("HOLDFAST_CRASH") == "long"
INPUTS = 1_000_000 if IS_LONG else 10_000
CATALOGS = 1_000 if IS_LONG else 60


def run(kind: str, count: int) -> tuple[list[str], int]:
    """Return what was wrong with so many inputs of a kind, and how many were refused; a process that dies or hangs is wrong too."""
    command = [sys.executable, fuzz.__file__, kind, str(count)]
    ended = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120 + count)
    assert ended.returncode == 0, ended.stderr[-2000:]
    *wrong, last = ended.stdout.splitlines()
    return wrong, int(last.split()[0])


@pytest.mark.crash
def test_no_input_ends_in_anything_but_a_value_or_an_error_of_ours() -> None:
    wrong, refused = run("texts", INPUTS)
    assert wrong == []
    assert INPUTS // 2 < refused < INPUTS, "too few are nearly right"


@pytest.mark.crash
def test_no_catalog_ends_in_anything_but_values_or_errors_of_ours() -> None:
    wrong, _ = run("catalogs", CATALOGS)
    assert wrong == []
