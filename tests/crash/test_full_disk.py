"""On a full disk nothing is lost, everything can be read, and the same again finishes once there is space, also after a collection."""

from __future__ import annotations

import functools
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

SCRIPT = Path(__file__).with_name("full_disk.py")
SIZES = 200 if os.environ.get("HOLDFAST_CRASH") == "long" else 20

pytestmark = pytest.mark.crash


@functools.cache
def namespace() -> tuple[str, ...]:
    """Return what to put before a command so that it may mount; nothing, if nobody may here."""
    words = ("unshare", "-m") if os.geteuid() == 0 else ("unshare", "-Urm")
    probe = "mount -t tmpfs -o size=64k none /mnt"
    try:
        allowed = subprocess.run([*words, "sh", "-c", probe], capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        allowed = False
    return words if allowed else ()


def run_trials(*words: object, within: tuple[str, ...] = ()) -> dict[str, Any]:
    command = [*within, sys.executable, str(SCRIPT), *map(str, words)]
    ended = subprocess.run(command, capture_output=True, text=True, check=False, timeout=3600)
    assert ended.returncode == 0, ended.stderr
    report: dict[str, Any] = json.loads(ended.stdout)
    assert not report["violations"], "\n".join(report["violations"])
    return report


def test_a_full_disk_loses_nothing_and_the_same_again_finishes() -> None:
    """Where nothing may be mounted, files that cannot grow have to do, and there is no collection."""
    report = run_trials(SIZES, 1, *([] if namespace() else ["limit"]), within=namespace())
    assert sum(report["points"].values()) == SIZES
    assert report["points"]["refused"] > SIZES // 2


def test_files_that_cannot_grow_lose_nothing_and_the_same_again_finishes() -> None:
    report = run_trials(max(SIZES // 5, 2), 2, "limit")
    assert report["points"]["refused"] > 0
