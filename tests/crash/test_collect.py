"""A collection never removes what a live session uses, or what was acknowledged under a name."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).with_name("collect_beside_writers.py")
ROUNDS = 1_000 if os.environ.get("HOLDFAST_CRASH") == "long" else 20

pytestmark = pytest.mark.crash


def test_collections_beside_four_writers_that_come_and_go_lose_nothing_and_leave_no_leaks() -> None:
    command = [sys.executable, str(SCRIPT), str(ROUNDS), "1"]
    ended = subprocess.run(command, capture_output=True, text=True, check=False, timeout=3600)
    assert ended.returncode == 0, ended.stderr
    report = json.loads(ended.stdout)
    assert not report["violations"], "\n".join(report["violations"])
    assert sum(report["points"].values()) == ROUNDS
    assert report["points"]["killed"] > 0
