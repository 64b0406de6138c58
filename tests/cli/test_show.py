"""`holdfast ls` and `holdfast show`, as a user types them."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy
import pytest

import holdfast as hf


@hf.operation(name="shown.field", version="1")
def field(x: float) -> dict[str, Any]:
    return {
        "large": numpy.linspace(0.0, x, 30_001),
        "small": numpy.array([1.0, numpy.nan, 3.0, numpy.inf]),
        "word": "salt",
    }


@hf.operation(name="shown.row", version="1")
def row(x: float) -> numpy.ndarray[Any, Any]:
    return numpy.full(10_000, x)


@hf.operation(name="shown.refused", version="1")
def refused(x: int) -> int:
    raise ValueError(x)


def holdfast(*words: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "holdfast.cli.main", *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("shown") / "work"
    with hf.Session(path, engine="in_process") as session:
        session.result({"field": field(6.0), "rows": hf.map(row, [1.0, 2.0, 3.0])})
        session.name_target("field", field(6.0))
        with pytest.raises(hf.OperationFailed):
            session.result(refused(1))
    return path


def test_ls_lists_what_is_done(work: Path) -> None:
    told = json.loads(holdfast("ls", "--work", work, "--json").stdout)
    assert {entry["uid"]: entry["operation"] for entry in told}[field(6.0).uid] == "shown.field"
    ended = holdfast("ls", "--work", work, "--limit", 1)
    assert ended.stdout.startswith(told[0]["uid"][:16])
    assert ended.stdout.count("\n") == 1


def test_show_tells_record_place_and_what_the_arrays_look_like(work: Path) -> None:
    node = field(6.0)
    told = json.loads(holdfast("show", node.uid[:8], "--work", work, "--json").stdout)
    assert told["uid"] == node.uid
    assert told["record"] == json.loads(node.to_json())
    assert told["place"] == str(work / "nodes" / node.uid[:2] / node.uid)
    large, small = sorted(told["arrays"], key=lambda array: -array["shape"][0])
    assert (large["dtype"], large["shape"], large["minimum"], large["maximum"]) == ("<f8", [30_001], 0.0, 6.0)
    assert large["mean"] == pytest.approx(3.0)
    assert large["first"] == pytest.approx([0.0, 0.0002, 0.0004, 0.0006, 0.0008])
    assert (small["minimum"], small["maximum"], small["mean"], small["unusual"]) == (1.0, 3.0, 2.0, 2)
    text = holdfast("show", node.uid, "--work", work).stdout
    assert "from 0 to 6, mean 3" in text
    assert "2 values are infinite or no numbers" in text
    assert told["digest"] in text


def test_show_sums_a_stack_up_member_by_member(work: Path) -> None:
    rows = hf.map(row, [1.0, 2.0, 3.0])
    (array,) = json.loads(holdfast("show", rows.uid, "--work", work, "--json").stdout)["arrays"]
    assert (array["shape"], array["place"]) == ([3, 10_000], "a stack of 3 arrays")
    assert (array["minimum"], array["maximum"], array["mean"]) == (1.0, 3.0, 2.0)


@pytest.mark.parametrize(
    ("name", "message"),
    [("0000", "'0000' is no uid"), ("xy", "no target. Targets: field"), (refused(1).uid[:12], "is not done. Why not")],
)
def test_show_says_what_is_wrong_with_a_name(work: Path, name: str, message: str) -> None:
    ended = holdfast("show", name, "--work", work)
    assert ended.returncode == 1
    assert message in ended.stderr
    assert "Traceback" not in ended.stderr


def test_show_knows_a_node_by_the_name_under_which_it_was_asked_for(work: Path) -> None:
    assert json.loads(holdfast("show", "field", "--work", work, "--json").stdout)["uid"] == field(6.0).uid
