"""The main job on its real input: killed, continued, finished, and compared with its reference."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

EXAMPLE = Path(__file__).parents[2] / "examples" / "adaptive_sampling"

DRIVER = """
import hashlib, json
import adaptive
import holdfast as hf

targets = adaptive.study(3)
if __name__ == "__main__":
    with hf.Session("work", engine="processes", workers=2) as session:
        result = session.result(targets)
        digest = hashlib.sha256(result["picture"]).hexdigest()
        print(json.dumps({"history": result["history"], "picture": digest, "done": session.counts.done}))
"""

pytestmark = pytest.mark.example


def copy_that_counts(folder: Path) -> Path:
    """Copy the example, so changed that each finished trajectory leaves its seed in a file beside."""
    shutil.copytree(EXAMPLE, folder)
    source = (folder / "trajectory.py").read_text()
    assert source.count("    return trajectory\n") == 1
    note = f"    with open({str(folder / 'ran')!r}, 'a') as stream:\n        stream.write(f'{{seed}}\\n')\n"
    (folder / "trajectory.py").write_text(source.replace("    return trajectory\n", note + "    return trajectory\n"))
    (folder / "driver.py").write_text(DRIVER)
    return folder


def finished(folder: Path) -> list[str]:
    path = folder / "ran"
    return path.read_text().split() if path.exists() else []


def start(folder: Path) -> subprocess.Popen[str]:
    return subprocess.Popen([sys.executable, "driver.py"], cwd=folder, stdout=subprocess.PIPE, text=True)


def end(process: subprocess.Popen[str]) -> dict[str, Any]:
    output, _ = process.communicate(timeout=600)
    assert process.returncode == 0
    return json.loads(output)  # type: ignore[no-any-return]


def test_killed_in_the_middle_it_goes_on_and_ends_with_the_same_bits(tmp_path: Path) -> None:
    killed = copy_that_counts(tmp_path / "killed")
    for goal in (5, 17):  # in the first round, and in the second
        process = start(killed)
        limit = time.monotonic() + 300
        while len(finished(killed)) < goal:
            assert process.poll() is None
            assert time.monotonic() < limit
            time.sleep(0.02)
        kept = finished(killed)
        time.sleep(0.5)  # long enough for what is finished to be committed
        os.kill(process.pid, signal.SIGKILL)
        process.communicate()
        time.sleep(0.5)
        later = len(finished(killed))
        assert set(kept) <= set(finished(killed))
        (killed / f"kept-{goal}").write_text(json.dumps([kept, later]))
    continued = end(start(killed))
    for goal in (5, 17):
        kept, later = json.loads((killed / f"kept-{goal}").read_text())
        again = set(finished(killed)[later:]) & set(kept)
        assert not again, f"trajectories {again} ran although they were finished"
    whole = end(start(copy_that_counts(tmp_path / "whole")))
    assert continued["history"] == whole["history"]
    assert continued["picture"] == whole["picture"]
    assert len(finished(tmp_path / "whole")) == len(set(finished(killed))) == 36
    repeated = end(start(killed))
    assert repeated["done"] == 0
    assert repeated["history"] == whole["history"]


def test_with_its_defaults_it_converges_and_agrees_with_the_reference(tmp_path: Path) -> None:
    command = [
        sys.executable,
        str(EXAMPLE / "adaptive.py"),
        "--work",
        str(tmp_path / "work"),
        "--picture",
        str(tmp_path / "map.png"),
    ]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=800)
    assert ended.returncode == 0, ended.stderr
    assert "converged" in ended.stdout
    assert ended.stdout.count("agrees") == 2
    assert "does not agree" not in ended.stdout
    assert (tmp_path / "map.png").read_bytes().startswith(b"\x89PNG")
    repeated = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert repeated.stdout == ended.stdout
