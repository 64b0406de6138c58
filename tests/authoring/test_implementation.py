"""What counts as a change of code, and what does not."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import Any

import pytest

import holdfast as hf

MODULE = '''
import numpy as np
from {other} import shift

SCALE = 3
TABLE = {{"a": 1}}

class Model:
    """Doc."""
    def apply(self, x):
        return x * SCALE

def helper(x):
    # why
    return Model().apply(x)

def target(x, y=2):
    """Doc."""
    return helper(x) + y + shift(x) + TABLE["a"]

def unrelated(x):
    return x
'''

OTHER = """
OFFSET = 1

def shift(x):
    return x + OFFSET
"""


@pytest.fixture
def fingerprint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return the implementation's uid for a module text, loaded afresh under one name."""
    monkeypatch.syspath_prepend(str(tmp_path))

    def load(text: str = MODULE, other: str = OTHER, folder: str = "") -> str:
        for name in ("hf_probe_module", "hf_probe_other"):
            sys.modules.pop(name, None)
        (tmp_path / "hf_probe_other.py").write_text(other)
        (tmp_path / "hf_probe_module.py").write_text(text.format(other="hf_probe_other"))
        importlib.invalidate_caches()
        import linecache

        linecache.clearcache()
        for cached in tmp_path.glob("__pycache__/*"):
            cached.unlink()
        module = importlib.import_module("hf_probe_module")
        return hf.operation(module.target).implementation.uid

    yield load
    for name in ("hf_probe_module", "hf_probe_other"):
        sys.modules.pop(name, None)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("# why", "# why not, over\n    # two lines"),
        ('"""Doc."""\n    return helper', '"""Other words."""\n    return helper'),
        ('    """Doc."""\n    def apply', '    """Other words."""\n    def apply'),
        ("return helper(x) + y", "return   helper( x )+y"),
        ("def unrelated(x):\n    return x", "def unrelated(x):\n    return x + 1"),
        ("import numpy as np\nfrom", "from"),
    ],
)
def test_comments_layout_and_unrelated_code_do_not_count(fingerprint: Any, old: str, new: str) -> None:
    assert old in MODULE
    assert fingerprint() == fingerprint(MODULE.replace(old, new))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("helper(x) + y", "helper(x) - y"),
        ("y=2", "y=3"),
        ("return Model().apply(x)", "return Model().apply(x) + 0"),
        ("return x * SCALE", "return x / SCALE"),
        ("SCALE = 3", "SCALE = 4"),
        ('"a": 1', '"a": 2'),
    ],
)
def test_whatever_the_function_reaches_counts(fingerprint: Any, old: str, new: str) -> None:
    assert old in MODULE
    assert fingerprint() != fingerprint(MODULE.replace(old, new))


def test_code_and_constants_of_other_modules_count(fingerprint: Any) -> None:
    assert fingerprint() != fingerprint(other=OTHER.replace("OFFSET = 1", "OFFSET = 2"))
    assert fingerprint() != fingerprint(other=OTHER.replace("x + OFFSET", "x - OFFSET"))


def test_closures_and_lambdas_count() -> None:
    def make(factor: float) -> Any:
        return hf.operation(name="demo.scaled")(lambda x: x * factor)

    assert make(2.0).implementation.uid == make(2.0).implementation.uid != make(3.0).implementation.uid


FACTOR = 1
SETTINGS = {"factor": 1}


@hf.operation(name="demo.reads_globals")
def reads_globals(x: int) -> int:
    return x * FACTOR * SETTINGS["factor"]


def test_a_global_that_changes_in_a_running_process_makes_other_nodes(monkeypatch: pytest.MonkeyPatch) -> None:
    before = reads_globals(1)
    monkeypatch.setattr(sys.modules[__name__], "FACTOR", 2)
    rebound = reads_globals(1)
    monkeypatch.setitem(SETTINGS, "factor", 5)
    assert len({before.uid, rebound.uid, reads_globals(1).uid}) == 3
