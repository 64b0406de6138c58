"""Directories of earlier format versions stay readable."""

from __future__ import annotations

import importlib.util
import json
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy
import pytest

import holdfast as hf
from holdfast.cli.main import main
from holdfast.errors import WorkingDirectoryError
from holdfast.storage.collect import Choice, collect
from holdfast.storage.repair import repair
from holdfast.storage.verify import verify

PLACE = Path(__file__).parents[1] / "old_data"


def load_targets() -> dict[str, Any]:
    spec = importlib.util.spec_from_file_location("old_data_make", PLACE / "make.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return dict(module.TARGETS)


@pytest.mark.parametrize("version", [1])
def test_a_directory_of_an_earlier_format_gives_the_same_values_and_runs_nothing(tmp_path: Path, version: int) -> None:
    work = Path(shutil.copytree(PLACE / f"format_{version}", tmp_path / "work"))
    with hf.Session(work, engine="in_process") as session:
        values = session.result(load_targets())
        assert session.counts.done == 0
    assert values["loop"] == 3.0
    numpy.testing.assert_equal(values["map"], numpy.array([2.0, 3.0, 4.0]))
    numpy.testing.assert_equal(values["store"], numpy.arange(20_000) + 0.5)
    numpy.testing.assert_equal(values["parts"].pop("array"), numpy.array([[1.0, 2.0], [3.0, 4.0]]))
    assert values["parts"] == {"text": "ä", "nothing": None, "bytes": b"\0\1"}
    assert verify(work).findings == []


@pytest.mark.parametrize("version", [1])
def test_a_repair_loses_nothing_of_an_earlier_format(tmp_path: Path, version: int) -> None:
    work = Path(shutil.copytree(PLACE / f"format_{version}", tmp_path / "work"))
    assert repair(work).findings == []
    with hf.Session(work, engine="in_process") as session:
        session.result(load_targets())
        assert session.counts.done == 0


def snapshot(work: Path) -> dict[str, tuple[int, bytes]]:
    """Return what is there, folders too, with the time of its last change."""
    places = [work, *work.rglob("*")]
    return {str(place): (place.stat().st_mtime_ns, place.read_bytes() if place.is_file() else b"") for place in places}


def make_newer(work: Path, what: str) -> None:
    if what == "directory":
        marker = json.loads((work / "holdfast.json").read_text())
        (work / "holdfast.json").write_text(json.dumps(marker | {"format": 99}))
    else:
        with closing(sqlite3.connect(work / "catalog.db")) as connection:
            connection.execute("PRAGMA user_version = 99")
            connection.execute("PRAGMA journal_mode = DELETE")


@pytest.mark.parametrize("what", ["directory", "catalog"])
def test_what_a_newer_holdfast_made_is_refused_before_anything_is_written(tmp_path: Path, what: str) -> None:
    work = Path(shutil.copytree(PLACE / "format_1", tmp_path / "work"))
    make_newer(work, what)
    before = snapshot(work)
    for words in (
        ["status"],
        ["ls"],
        ["show", "abcd"],
        ["explain", "abcd"],
        ["verify", "--repair"],
        ["collect", "--apply"],
    ):
        assert main([*words, "--work", str(work)]) == 1
        assert snapshot(work) == before, words
    with pytest.raises(WorkingDirectoryError, match="pip install -U holdfast"), hf.Session(work, engine="in_process"):
        pass
    assert snapshot(work) == before


@pytest.mark.parametrize("version", [1])
def test_a_collection_takes_nothing_of_an_earlier_format_while_a_target_needs_some_of_it(
    tmp_path: Path, version: int
) -> None:
    work = Path(shutil.copytree(PLACE / f"format_{version}", tmp_path / "work"))
    targets = load_targets()
    assert collect(work, Choice(everything=True)).results > 0, (
        "its catalog can be looked through before it is brought up to date"
    )
    with hf.Session(work, engine="in_process") as session:
        session.name_target("loop", targets["loop"])
    found = collect(work, apply=True)
    assert (found.is_older, found.results) == (True, 0)
    assert verify(work).findings == []
    with hf.Session(work, engine="in_process") as session:
        session.result(targets)
        assert session.counts.done == 0
    assert collect(work, Choice(drop=["loop"], everything=True), apply=True).results > 0
    assert verify(work).findings == []
