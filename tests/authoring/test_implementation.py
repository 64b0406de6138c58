"""What counts as a change of code, and what does not."""

from __future__ import annotations

import importlib
import py_compile
import socket
import subprocess
import sys
import threading
import warnings
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import pytest

import holdfast as hf
from holdfast.authoring.source import outline

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


LOCK = threading.Lock()
HASHED = py_compile.PycInvalidationMode.CHECKED_HASH


def test_what_cannot_be_followed_is_named_once_with_the_way_out() -> None:
    connection = socket.socket()

    def reads_socket(x: int) -> int:
        return x + connection.fileno()

    def evaluates(x: int) -> int:
        return int(eval("x + 1"))

    for function, thing in ((reads_socket, "connection.*, a socket.socket"), (evaluates, r"calls by eval\(\)")):
        made = hf.operation(name="demo.strange")(function)
        with pytest.warns(UserWarning, match=rf"{thing}.*version='1'"):
            made(1)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            made(2)
    connection.close()


def test_a_lock_holds_nothing_that_counts() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        hf.operation(name="demo.locked")(lambda x: x if LOCK else 0)(1)


def test_partials_methods_and_cached_functions_are_operations() -> None:
    class Model:
        def __init__(self, factor: int) -> None:
            self.factor = factor

        def apply(self, x: int) -> int:
            return x * self.factor

    def power(x: int, y: int) -> int:
        return int(x**y)

    made = [partial(power, y=2), partial(power, y=3), Model(1).apply, Model(2).apply, lru_cache(power)]
    nodes = [hf.operation(name="demo.made")(function) for function in made]
    assert len({node.implementation.uid for node in nodes}) == len(made)


SHARED = "OFFSET = 1\n\nclass Model:\n    rate = 2\n\ndef helper(x):\n    return Model().rate * x + OFFSET\n\n"
SHARED += (
    "import holdfast as hf\n\n@hf.operation(name='demo.shared')\ndef shared(x: int) -> int:\n    return helper(x)\n"
)
TELL = "print(shared.implementation.uid)"


def test_script_module_prompt_and_notebook_agree(tmp_path: Path) -> None:
    (tmp_path / "shared.py").write_text(f"{SHARED}\nif __name__ == '__main__':\n    {TELL}\n")
    (tmp_path / "cells.py").write_text(
        "from IPython.core.interactiveshell import InteractiveShell\n"
        f"shell = InteractiveShell.instance()\nfor text in {[*SHARED.split(chr(10) * 2)[:-2], SHARED[SHARED.index('import') :], TELL]!r}:\n"
        "    shell.run_cell(text).raise_error()\n"
    )
    commands = [["shared.py"], ["-c", f"from shared import shared; {TELL}"], ["cells.py"]]
    told = {
        subprocess.run(
            [sys.executable, *each], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=True
        ).stdout
        for each in commands
    }
    assert len(told) == 1, told


GOLDEN = """
from dataclasses import dataclass, field
from enum import Enum
from functools import lru_cache, wraps
from typing import NamedTuple

class Colour(Enum):
    RED = 1

class Point(NamedTuple):
    x: int = 1

@dataclass(frozen=True)
class Settings:
    steps: int = 4
    names: list = field(default_factory=list)

def noted(function):
    @wraps(function)
    def wrapper(*args):
        return [function(each) for each in args]
    return wrapper

@noted
def helper(x):
    return f"{x!r:>{Settings().steps}} {'a' + 'b'}"

@lru_cache
def remembered(x):
    return {key: (lambda y: y + key)(x) for key in (1, 2) if Colour.RED}

def target(x, scale=2.5, *, table={"a": (1, None, b"c")}):
    from collections import deque
    import holdfast.errors as errors
    return helper(x), remembered(x), Point(), scale, table, deque(), errors
"""


def test_the_fingerprint_of_code_is_frozen_and_the_same_in_every_minor_version(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "hf_golden.py").write_text(GOLDEN)
    operation = hf.operation(importlib.import_module("hf_golden").target)
    assert operation.implementation.uid == "a3f5dfc8eafbabba8dfb159eb0101c458558bd4de78d25f3efb2aed80ac9b972"


def test_an_edited_file_counts_when_it_is_loaded_and_not_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    file = tmp_path / "hf_edited.py"
    file.write_text("def helper(x):\n    return x + 1\n")
    module = importlib.import_module("hf_edited")
    (tmp_path / "hf_edits.py").write_text("import hf_edited\ndef edited(x):\n    return hf_edited.helper(x)\n")
    made = hf.operation(importlib.import_module("hf_edits").edited)
    before = made(1)
    file.write_text("def helper(x):\n    return x - 1111\n")
    unloaded = made(1)
    importlib.reload(module)
    assert before == unloaded != made(1)


def test_a_file_without_source_counts_by_its_bytes(tmp_path: Path) -> None:
    uids = set()
    for constant in (1, 1, 2):
        source = tmp_path / "hf_bare.py"
        source.write_text(f"def helper(x):\n    return x + {constant}\n")
        py_compile.compile(str(source), cfile=str(tmp_path / "hf_bare.pyc"), doraise=True, invalidation_mode=HASHED)
        source.unlink()
        code = "import hf_bare, holdfast as hf; print(hf.operation(lambda x: hf_bare.helper(x), name='a.b').implementation.uid)"
        command = [sys.executable, "-c", code]
        uids.add(subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=True).stdout)
    assert len(uids) == 2


def test_two_ways_to_equal_inputs_share_one_run_in_and_across_sessions(tmp_path: Path) -> None:
    ran: list[int] = []
    first = hf.operation(name="demo.first", version="1")(lambda x: x + 1)
    second = hf.operation(name="demo.second", version="1")(lambda x: 2 * x)
    third = hf.operation(name="demo.third", version="1")(lambda x: 12 // x)

    def note(x: int) -> int:
        ran.append(x)
        return x

    behind = hf.operation(name="demo.behind", version="1")(note)
    with hf.Session(tmp_path / "work", engine="in_process") as session:
        assert session.results([behind(first(3)), behind(second(2))]) == [4, 4]
    with hf.Session(tmp_path / "work", engine="in_process") as session:
        assert session.result(behind(third(3))) == 4
    assert ran == [4]


def test_a_class_attribute_that_is_set_counts() -> None:
    class Model:
        rate = 1

    made = hf.operation(name="demo.rated")(lambda x: x * Model.rate)
    before = made(1)
    Model.rate = 2
    assert made(1) != before


def test_each_file_is_read_once_for_a_thousand_operations(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "hf_large").mkdir()
    (tmp_path / "hf_large/__init__.py").touch()
    for number in range(50):
        lines = ["import holdfast as hf", f"SCALE = {number}", "from hf_large import m0"]
        for each in range(20):
            lines += [
                f"def helper{each}(x):\n    return x * SCALE + {f'helper{each - 1}(x)' if each else 'm0.helper3(x)'}"
            ]
            lines += [f"@hf.operation\ndef op{each}(x):\n    return helper{each}(x)"]
        (tmp_path / f"hf_large/m{number}.py").write_text("\n".join(lines))
    modules = [importlib.import_module(f"hf_large.m{number}") for number in range(50)]
    operations = [item for module in modules for item in vars(module).values() if hasattr(item, "implementation")]
    before = outline.cache_info().misses
    assert len({operation.implementation.uid for operation in operations}) == len(operations) == 1000
    assert outline.cache_info().misses - before <= 50


def test_no_property_of_an_enumeration_is_run(fingerprint: Any) -> None:
    text = """
from enum import Enum

class Colour(Enum):
    RED = 1

    @property
    def value(self):
        raise RuntimeError("it was run")

    name = value

COLOUR = Colour.RED

def target(x):
    return COLOUR, Colour
"""
    assert fingerprint(text) != fingerprint(text.replace("RED = 1", "RED = 2"))
