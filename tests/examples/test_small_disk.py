"""The working directory of the main job on a file system of 64 MiB fills up, says so, and the job finishes after space is made."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).with_name("small_disk.py")
EXAMPLE = Path(__file__).parents[2] / "examples" / "adaptive_sampling"

pytestmark = pytest.mark.example


def namespace() -> list[str]:
    """Return what to put before a command so that it may mount; nothing, if nobody may here."""
    words = ["unshare", "-m"] if os.geteuid() == 0 else ["unshare", "-Urm"]
    probe = [*words, "sh", "-c", "mount -t tmpfs -o size=64k none /mnt"]
    try:
        return words if subprocess.run(probe, capture_output=True, check=False).returncode == 0 else []
    except FileNotFoundError:
        return []


def test_the_main_job_fills_its_disk_says_so_and_finishes_after_a_collection(tmp_path: Path) -> None:
    """Where nothing may be mounted, files that cannot grow have to do, and there is nothing to collect."""
    within = namespace()
    command = [*within, sys.executable, str(SCRIPT), str(EXAMPLE), str(tmp_path), "disk" if within else "files"]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=580, check=False)
    assert ended.returncode == 0, ended.stderr
    found = json.loads(ended.stdout)
    assert found["first"] == 1
    assert found["place"] in found["said"][0]
    assert "run the same again: everything finished is kept" in found["said"][0]
    if within:
        assert "Free some space" in found["said"][0]
        assert "small_disk.earlier_study" in found["collection"]
    assert found["collected"] == 0, found["collection"]
    assert (found["second"], found["answer"]) == (0, "3"), found["error"]
    assert found["ran"] == 36
    assert 0 < found["committed"] <= 36
    assert len(found["ran_again"]) == 36 - found["committed"], "what was committed does not run again"
    assert found["verified"] == 0
