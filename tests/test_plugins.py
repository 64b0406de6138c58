from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from importlib import metadata
from typing import Any

import pytest

from holdfast import plugins
from holdfast.errors import MissingExtra, NotFound
from holdfast.plugins import load_engine, load_format


def announce(monkeypatch: pytest.MonkeyPatch, group: str, **values: str) -> None:
    points = metadata.EntryPoints(metadata.EntryPoint(name, value, group) for name, value in values.items())
    monkeypatch.setattr(metadata, "entry_points", lambda group: points.select(group=group))


def table(monkeypatch: pytest.MonkeyPatch, name: str, entries: Mapping[str, str]) -> None:
    monkeypatch.setattr(plugins, name, {**getattr(plugins, name), **entries})


@pytest.mark.parametrize("name", plugins.FORMATS)
def test_every_built_in_format_goes_by_its_name(name: str) -> None:
    assert load_format(name).name == name


@pytest.mark.parametrize("name", plugins.ENGINES)
def test_every_built_in_engine_goes_by_its_name(name: str) -> None:
    assert isinstance(load_engine(name), type)


def test_an_unknown_name_is_answered_with_the_known_ones() -> None:
    with pytest.raises(NotFound, match=r"no format 'nump'\. Known are: arrow, hdf5, json, numpy, pickle, table, xdr"):
        load_format("nump")
    with pytest.raises(NotFound, match="in_process, processes, threads"):
        load_engine("treads")


def test_packages_bring_engines_and_formats(monkeypatch: pytest.MonkeyPatch) -> None:
    announce(monkeypatch, "holdfast.formats", mine="holdfast.formats.json:JsonFormat")
    assert load_format("mine").name == "json"


def test_packages_cannot_take_the_place_of_what_is_built_in(monkeypatch: pytest.MonkeyPatch) -> None:
    announce(monkeypatch, "holdfast.formats", numpy="holdfast.formats.json:JsonFormat")
    assert load_format("numpy").name == "numpy"


@pytest.mark.parametrize("value", ["no_such_module:Thing", "holdfast.errors:Nothing"])
def test_a_package_whose_announcement_leads_nowhere_is_named(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    announce(monkeypatch, "holdfast.engines", mine=value)
    with pytest.raises(NotFound, match=f"announced as {value}"):
        load_engine("mine")


def test_what_is_not_installed_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    class Blocker:
        def find_spec(self, name: str, *_: Any) -> None:
            if name == "cluster_package":
                raise ModuleNotFoundError(f"No module named {name!r}", name=name)

    monkeypatch.setattr(sys, "meta_path", [Blocker(), *sys.meta_path])
    table(monkeypatch, "ENGINES", {"cluster": "cluster_package:Engine"})
    table(monkeypatch, "EXTRAS", {"cluster": "big"})
    with pytest.raises(MissingExtra, match=r"engine 'cluster' .* pip install holdfast\[big\]"):
        load_engine("cluster")


def test_a_mistake_of_ours_is_not_taken_for_a_missing_package(monkeypatch: pytest.MonkeyPatch) -> None:
    table(monkeypatch, "ENGINES", {"broken": "holdfast.engines.no_such_file:Engine"})
    with pytest.raises(ModuleNotFoundError, match="no_such_file") as error:
        load_engine("broken")
    assert not isinstance(error.value, MissingExtra)


def test_looking_for_built_in_names_does_not_read_the_metadata_of_all_packages() -> None:
    program = "import sys, holdfast.plugins as p; p.load_format('json'); sys.exit('importlib.metadata' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
