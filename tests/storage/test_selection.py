from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import holdfast as hf
from holdfast.errors import MissingExtra, NotFound, OperationFailed
from holdfast.storage.format import Layout
from holdfast.storage.selection import choose_format, get_store_type
from holdfast.storage.workdir import WorkDirectory, open_workdir

SIZE = 50_000


def ramp(start: float) -> Any:
    return np.arange(SIZE) + start


def choose(directory: Path, name: str) -> None:
    """Name a format in the settings, as a user does with an editor."""
    marker = open_workdir(directory).marker
    record = json.loads(marker.read_text())
    record["settings"]["format"] = name
    marker.write_text(json.dumps(record))


def suffixes(directory: Path) -> list[str]:
    return sorted(path.suffix for path in directory.glob("nodes/*/*/*") if path.name != "metadata.json")


def make(format: str = "") -> Any:  # noqa: A002
    return hf.operation(ramp, name="study.ramp", version="1", format=format)


def test_an_operation_goes_before_the_settings_and_these_before_the_default() -> None:
    plain, chosen = WorkDirectory(Path("x")), WorkDirectory(Path("x"), settings={"format": "xdr"})
    assert get_store_type(plain) == "numpy"
    assert get_store_type(chosen) == "xdr"
    assert get_store_type(chosen, "hdf5") == "hdf5"


@pytest.mark.parametrize(
    ("dtype", "named", "expected"),
    [
        ("text", "", "json"),
        ("text", "numpy", "json"),
        ("text", "hdf5", "hdf5"),
        ("<f8", "", "numpy"),
        ("<f8", "hdf5", "hdf5"),
        ("<U3", "hdf5", "hdf5"),
        ("<U3", "arrow", "numpy"),
        ("<f2", "arrow", "arrow"),
        ("<c16", "arrow", "numpy"),
        ("<f2", "xdr", "numpy"),
        ("<f8", "json", "numpy"),
    ],
)
def test_what_a_format_does_not_accept_goes_to_the_usual_one(dtype: str, named: str, expected: str) -> None:
    assert choose_format(Layout(dtype, (2,)), named).name == expected


def test_a_format_is_no_part_of_the_identity() -> None:
    assert make("hdf5")(1.0).uid == make("xdr")(1.0).uid == make()(1.0).uid


@pytest.mark.parametrize("engine", ["in_process", "processes"])
def test_a_directory_holds_stores_of_many_formats_and_reads_them_all(tmp_path: Path, engine: str) -> None:
    for number, name in enumerate(["hdf5", "xdr", ""]):
        with hf.Session(tmp_path / "work", engine=engine) as session:
            session.result(make(name)(float(number)))
    assert suffixes(tmp_path / "work") == [".h5", ".npy", ".xdr"]
    with hf.Session(tmp_path / "work") as session:
        for number in range(3):
            assert np.array_equal(session.result(make()(float(number))), np.arange(SIZE) + number)
        mean = hf.operation(lambda x: float(x.mean()), name="study.mean", version="1")
        assert session.result(mean(make()(0.0))) == (SIZE - 1) / 2
    assert suffixes(tmp_path / "work") == [".h5", ".npy", ".xdr"]


def test_the_settings_of_a_directory_choose(tmp_path: Path) -> None:
    choose(tmp_path / "work", "xdr")
    with hf.Session(tmp_path / "work") as session:
        assert session.result(make()(2.0))[0] == 2.0
    assert suffixes(tmp_path / "work") == [".xdr"]


def test_an_unknown_name_in_the_settings_is_said_at_once_and_holds_nothing(tmp_path: Path) -> None:
    choose(tmp_path / "work", "hdf6")
    with (
        pytest.raises(NotFound, match=r"no format 'hdf6'\. Known are: arrow, hdf5, json"),
        hf.Session(tmp_path / "work"),
    ):
        pass
    choose(tmp_path / "work", "numpy")
    with hf.Session(tmp_path / "work") as session:
        assert session.result(make()(2.0))[0] == 2.0


def test_an_unknown_name_at_an_operation_fails_that_operation(tmp_path: Path) -> None:
    with hf.Session(tmp_path / "work") as session, pytest.raises(OperationFailed, match="no format 'hdf6'"):
        session.result(make("hdf6")(2.0))


def test_a_missing_package_says_what_to_install_when_writing_and_reading(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with hf.Session(tmp_path / "work") as session:
        session.result(make("hdf5")(1.0))
    monkeypatch.setitem(sys.modules, "h5py", None)
    monkeypatch.delitem(sys.modules, "holdfast.formats.hdf5")
    with hf.Session(tmp_path / "work") as session:
        with pytest.raises(MissingExtra, match=r"pip install holdfast\[hdf5\]"):
            session.result(make()(1.0))
        with pytest.raises(OperationFailed, match=r"pip install holdfast\[hdf5\]"):
            session.result(make("hdf5")(2.0))
