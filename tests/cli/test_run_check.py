"""`holdfast run --check`, and a run after a loss, as a user types them."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from holdfast.storage.repair import repair

STUDY = """
import os
import numpy as np
import holdfast as hf

@hf.operation
def draw(seed: int, size: int = 2) -> np.ndarray:
    return np.full(size, seed + float(os.environ["NOISE"]))

@hf.operation
def add(x: float) -> float:
    return x + 1

final = hf.map(draw, seed=[1, 2])
large = draw(1, size=30_000)
steady = hf.map(add, [1.0, 2.0, 3.0])
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "study.py").write_text(STUDY)
    return tmp_path


def run(folder: Path, *arguments: str, noise: int = 0, engine: str = "in_process") -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "holdfast.cli.main", "run", *arguments, "--engine", engine]
    environment = {"NOISE": str(noise), "PYTHONPATH": ":".join(sys.path)}
    return subprocess.run(command, capture_output=True, text=True, timeout=60, cwd=folder, env=environment)


@pytest.mark.parametrize("engine", ["in_process", "processes"])
def test_a_difference_is_told_with_both_digests_and_by_the_status(folder: Path, engine: str) -> None:
    printed = run(folder, "study.py:final").stdout
    told = run(folder, "study.py:final", "--check", noise=1, engine=engine)
    assert told.returncode == 3
    assert told.stdout.startswith("2 of 2 finished calls were made again; 2 gave another result than before\n")
    assert told.stdout.count("study.draw") == told.stdout.count("(kept)") == 2
    assert 'with the input {"seed":1' in told.stdout
    assert run(folder, "study.py:final", noise=1).stdout == printed


def test_equal_results_and_samples_of_them_have_status_0(folder: Path) -> None:
    run(folder, "study.py:steady")
    for sample, calls in ((), 3), (("2",), 2), (("0.1",), 1):
        told = run(folder, "study.py:steady", "--check", *sample)
        assert (told.returncode, told.stderr) == (0, "")
        assert told.stdout == f"{calls} of 3 finished calls were made again; none gave another result than before\n"


def test_json_tells_the_same(folder: Path) -> None:
    run(folder, "study.py:final")
    told = json.loads(run(folder, "study.py:final", "--check", "1", "--json", noise=1).stdout)
    assert (told["calls"], told["finished"], len(told["differences"])) == (1, 2, 1)
    assert told["differences"][0]["operation"] == "study.draw"


@pytest.mark.parametrize("sample", ["0", "2.5", "abc", "-1"])
def test_what_is_no_sample_is_a_misuse(folder: Path, sample: str) -> None:
    told = run(folder, "study.py:final", f"--check={sample}")
    assert told.returncode == 2
    assert "neither a number of calls nor a part of them" in told.stderr


def test_nothing_is_made_where_there_is_no_directory(folder: Path) -> None:
    told = run(folder, "study.py:final", "--check")
    assert told.returncode == 1
    assert not (folder / "work").exists()


def test_a_run_after_a_loss_tells_another_result_at_the_end_and_by_the_status(folder: Path) -> None:
    run(folder, "study.py:large")
    (store,) = (folder / "work" / "nodes").glob("*/*/*.npy")
    store.unlink()
    repair(folder / "work")
    told = run(folder, "study.py:large", "--quiet", noise=1)
    assert told.returncode == 3
    assert told.stdout.startswith("[2. 2. 2.")
    assert "made again, with another result than before" in told.stderr
    assert told.stderr.count("study.draw") == told.stderr.count("(lost)") == 1
    assert run(folder, "study.py:large", "--quiet", noise=2).returncode == 0
