"""`holdfast collect`, as a user types it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy
import pytest

import holdfast as hf
from holdfast.cli import main


@hf.operation(name="demo.field", version="1")
def field(x: float) -> object:
    return numpy.full(20_000, x)


@pytest.fixture
def work(tmp_path: Path) -> Path:
    with hf.Session(tmp_path / "work") as session:
        for name, node in {"study.py:old": field(1.0), "study.py:new": field(2.0)}.items():
            session.name_target(name, node)
            session.result(node)
    return tmp_path / "work"


def test_it_says_first_what_would_go_and_why_the_rest_stays(work: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["collect", "--work", str(work), "--drop-target", "old"]
    assert main.main(command) == 0
    shown = capsys.readouterr().out
    assert "study.py:new  1 result, 156.8 KiB" in shown
    assert "would be removed:\n  the name study.py:old\n  demo.field  1 result, 156.8 KiB, under 1 h old" in shown
    assert "Nothing was changed. To do it, add --apply" in shown
    assert len(list((work / "nodes").glob("*/*"))) == 2
    assert main.main([*command, "--apply"]) == 0
    assert "\nremoved:\n" in capsys.readouterr().out
    assert len(list((work / "nodes").glob("*/*"))) == 1
    assert main.main(["collect", "--work", str(work), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["results"], told["is_done"], told["kept"][0]["name"]) == (0, False, "study.py:new")


def test_by_age_and_by_size(work: Path, capsys: pytest.CaptureFixture[str]) -> None:
    drop = ["collect", "--work", str(work), "--drop-target", "old", "--drop-target", "new"]
    for choice in (["--older-than", "12h"], ["--down-to", "1 MB"], ["--down-to", "1GiB", "--older-than", "1.5d"]):
        assert main.main([*drop, *choice]) == 0
        assert "kept, because of its age: 2 results, 313.6 KiB" in capsys.readouterr().out
    assert main.main([*drop, "--down-to", "200kB"]) == 0
    assert "kept, because of its age: 1 result, 156.8 KiB" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--older-than", "soon"], "'soon' is no age; write 12h, 30d, 8w or 1y"),
        (["--down-to", "10 apples"], "'10 apples' is no size; write 500MB, 10GiB or a number of bytes"),
    ],
)
def test_what_is_no_age_or_size_is_misuse(
    arguments: list[str], message: str, work: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main.main(["collect", "--work", str(work), *arguments])
    assert ended.value.code == 2
    assert message in capsys.readouterr().err


def test_refusals_are_one_sentence(work: Path, tmp_path: Path) -> None:
    for arguments, message in (
        (
            ["--work", str(work), "--drop-target", "older"],
            "There is no target 'older'. There are: study.py:new, study.py:old.",
        ),
        (
            ["--work", str(work), "--keep", "old", "--drop-target", "old", "--apply"],
            "say that everything may go: --everything",
        ),
        (["--work", str(tmp_path / "nowhere")], "it has no holdfast.json"),
    ):
        words = [sys.executable, "-m", "holdfast.cli.main", "collect", *arguments]
        ended = subprocess.run(words, capture_output=True, text=True, check=False, timeout=60)
        assert (ended.returncode, ended.stdout) == (1, "")
        assert message in ended.stderr
        assert "Traceback" not in ended.stderr


def test_where_everything_would_go_it_says_how_to_say_so(work: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["collect", "--work", str(work), "--drop-target", "old", "--drop-target", "new"]
    assert main.main(command) == 0
    assert "To do it, add --everything --apply" in capsys.readouterr().out
    assert main.main([*command, "--apply"]) == 1
    assert len(list((work / "nodes").glob("*/*"))) == 2
    assert main.main([*command, "--everything", "--apply"]) == 0
    assert not list((work / "nodes").glob("*/*"))
