"""The main job on a file system of 64 MiB that others have filled. Usage: small_disk.py EXAMPLE FOLDER KIND, within a mount namespace of
its own if KIND is `disk`; with `files` no file of the job may grow beyond a size instead.

Prints as JSON how the job ended, what it said, how many trajectories were committed, how it ended after space was made, and which
trajectories ran.
"""

from __future__ import annotations

import json
import os
import resource
import shutil
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np

import holdfast as hf

SIZE = 64 * 1024 * 1024
ROOM = 800 * 1024
"""Bytes that others left: with what the log of the catalog gives back enough for some trajectories, and not for three rounds."""

LARGEST_FILE = 200 * 1024

DRIVER = """
import sys
import adaptive
import holdfast as hf

if __name__ == "__main__":
    targets = adaptive.study(3)
    with hf.Session(sys.argv[1], engine="processes", workers=2) as session:
        session.name_target("study", targets)
        print(len(session.result(targets["history"])))
"""


@hf.operation
def earlier_study(number: int) -> np.ndarray:
    return np.arange(60_000) + float(number)


def copy_example(example: Path, folder: Path) -> None:
    """Copy the example, so changed that each finished trajectory leaves its seed in a file beside."""
    shutil.copytree(example, folder)
    source = (folder / "trajectory.py").read_text()
    assert source.count("    return trajectory\n") == 1
    note = f"    with open({str(folder / 'ran')!r}, 'a') as stream:\n        stream.write(f'{{seed}}\\n')\n"
    (folder / "trajectory.py").write_text(source.replace("    return trajectory\n", note + "    return trajectory\n"))
    (folder / "driver.py").write_text(DRIVER)


def fill(work: Path) -> None:
    """Leave little room, with results that nobody gave a name."""
    number = 0
    with hf.Session(work) as session:
        while shutil.disk_usage(work).free > ROOM:
            session.result(earlier_study(number))
            number += 1


def run(folder: Path, work: Path, *, limit: int = resource.RLIM_INFINITY) -> subprocess.CompletedProcess[str]:
    def begin() -> None:
        if limit != resource.RLIM_INFINITY:
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

    words = [sys.executable, "driver.py", str(work)]
    return subprocess.run(words, cwd=folder, capture_output=True, text=True, timeout=400, check=False, preexec_fn=begin)


def committed(work: Path) -> int:
    """Return how many trajectories are in the catalog."""
    with closing(sqlite3.connect(work / "catalog.db")) as connection:
        query = "SELECT count(*) FROM calls JOIN operations ON id = operation WHERE name = 'trajectory.simulate'"
        return int(connection.execute(query).fetchone()[0])


def seeds(folder: Path) -> list[str]:
    return (folder / "ran").read_text().split() if (folder / "ran").exists() else []


def main(example: Path, folder: Path, kind: str) -> dict[str, Any]:
    copy_example(example, folder / "example")
    work = folder / "disk" / "work"
    work.mkdir(parents=True)
    if kind == "disk":
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={SIZE}", "none", str(folder / "disk")], check=True)
        work.mkdir()
        fill(work)
        first = run(folder / "example", work)
    else:
        first = run(folder / "example", work, limit=LARGEST_FILE)
    kept, before = committed(work), len(seeds(folder / "example"))
    collected = subprocess.run(
        [sys.executable, "-m", "holdfast.cli.main", "collect", "--work", str(work), "--apply"],
        capture_output=True, text=True, timeout=100, check=False,
    )  # fmt: skip
    second = run(folder / "example", work)
    whole = subprocess.run([sys.executable, "-m", "holdfast.cli.main", "verify", "--work", str(work)], check=False)
    return {
        "first": first.returncode, "said": first.stderr.strip().splitlines()[-1:], "committed": kept,
        "collected": collected.returncode, "collection": collected.stdout + collected.stderr,
        "second": second.returncode, "answer": second.stdout.strip(), "error": second.stderr[-500:],
        "ran_again": seeds(folder / "example")[before:], "ran": len(set(seeds(folder / "example"))),
        "verified": whole.returncode, "place": str(work),
    }  # fmt: skip


if __name__ == "__main__":
    place = os.dup(1)
    os.dup2(2, 1)  # what commands print is not the report
    found = main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3])
    os.write(place, json.dumps(found).encode())
