"""What a function reaches counts, whatever it is made of; each line is one change of a module that makes the function another one.

The first column is what the module holds, with `@@` in place of what is changed; `target` is the operation.
"""

# ruff: noqa: E501 (one change is one line of the table)

from __future__ import annotations

import importlib
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import pytest

import holdfast as hf

HEAD = """
import collections, contextlib, dataclasses, enum, functools, itertools, math, operator, random, types, typing
import numba
import numpy as np
import hf_reached_other as other
"""

CHANGES = [
    # installed things, under whatever name
    ("a function of Python's by another name", "f = math.@@\ndef target(x): return f(x)", "sin", "cos"),
    ("an import under the same name", "from math import @@ as f\ndef target(x): return f(x)", "sin", "cos"),
    ("an import from elsewhere", "from @@ import sqrt\ndef target(x): return sqrt(x)", "math", "cmath"),
    ("a module by another name", "import @@ as m\ndef target(x): return m.sqrt(x)", "math", "cmath"),
    ("a type of NumPy's", "f = np.@@\ndef target(x): return f(x)", "float32", "float64"),
    ("a function of NumPy's", "f = np.linalg.@@\ndef target(x): return f(x)", "norm", "det"),
    ("a compiled function of NumPy's", "f = np.@@\ndef target(x): return f(x)", "sin", "cos"),
    ("a bound method of a generator", "f = np.random.default_rng(@@).random\ndef target(x): return f()", "1", "2"),
    ("the default of a dictionary", "d = collections.defaultdict(@@)\ndef target(x): return d[x]", "int", "list"),
    ("an iterator", "d = itertools.count(@@)\ndef target(x): return next(d)", "1", "2"),
    ("a base of Python's", "B = @@\nclass A(B): pass\ndef target(x): return A()", "dict", "list"),
    # functions
    ("an implementation of a generic function", "@functools.singledispatch\ndef f(x): return x\n@f.register\ndef _(x: int): return x + @@\ndef target(x): return f(x)", "1", "2"),
    ("an attribute of a function", "def f(x): return x\nf.k = @@\ndef target(x): return f.k", "1", "2"),
    ("an attribute that a function reads of itself", "def f(x): return x + f.k\nf.k = @@\ndef target(x): return f(x)", "1", "2"),
    ("a docstring that is read", "def f(x):\n    '''@@'''\ndef target(x): return f.__doc__", "one", "two"),
    ("a table that functions enter themselves in", "t = {}\ndef enter(f):\n    t[f.__name__] = f\n    return f\n@enter\ndef a(): return @@\ndef target(x): return t['a']()", "1", "2"),
    ("a function made by numba", "@numba.njit\ndef f(x): return x + @@\ndef target(x): return f(x)", "1", "2"),
    ("a helper of a function made by numba", "@numba.njit\ndef g(x): return x + @@\n@numba.vectorize\ndef f(x): return g(x)\ndef target(x): return f(x)", "1", "2"),
    ("an option of numba's", "@numba.njit(fastmath=@@)\ndef f(x): return x\ndef target(x): return f(x)", "True", "False"),
    ("a constant behind numba", "K = @@\n@numba.njit\ndef f(x): return x + K\ndef target(x): return f(x)", "1", "2"),
    ("a context manager", "@contextlib.contextmanager\ndef f():\n    yield @@\ndef target(x):\n    with f() as y: return y", "1", "2"),
    ("a decorator without functools.wraps", "def d(f):\n    def w(x): return f(x)\n    return w\n@d\ndef f(x): return x + @@\ndef target(x): return f(x)", "1", "2"),
    ("a decorator that is a class", "class D:\n    def __init__(self, f): self.f = f\n    def __call__(self, x): return self.f(x)\n@D\ndef f(x): return x + @@\ndef target(x): return f(x)", "1", "2"),
    ("state in a closure", "def make():\n    s = {'k': @@}\n    return lambda x: s['k']\nf = make()\ndef target(x): return f(x)", "1", "2"),
    # classes
    ("a protocol", "class A(typing.Protocol):\n    def go(self): return @@\nclass B(A): pass\ndef target(x): return B().go()", "1", "2"),
    ("a typed dictionary", "class A(typing.TypedDict):\n    a: @@\ndef target(x): return A(a=x)", "int", "float"),
    ("a cached property", "class A:\n    @functools.cached_property\n    def v(self): return @@\ndef target(x): return A().v", "1", "2"),
    ("a value of an enumeration that is a global", "V = @@\nclass A(enum.Enum):\n    X = V\ndef target(x): return A.X.value", "1", "2"),
    ("an enumeration made by a call", "A = enum.Enum('A', 'X @@')\ndef target(x): return list(A)", "Y", "Z"),
    ("a dataclass made by a call", "A = dataclasses.make_dataclass('A', [('a', int, @@)])\ndef target(x): return A()", "1", "2"),
    ("a named tuple made by a call", "A = collections.namedtuple('A', 'a b', defaults=[@@])\ndef target(x): return A(x)", "1", "2"),
    ("an object kept in its own class", "class A:\n    def __init__(self, v): self.v = v\nA.one = A(@@)\ndef target(x): return A.one.v", "1", "2"),
    ("a metaclass", "class M(type):\n    def v(cls): return @@\nclass A(metaclass=M): pass\ndef target(x): return A.v()", "1", "2"),
    ("a descriptor", "class D:\n    def __get__(self, o, t): return @@\nclass A:\n    d = D()\ndef target(x): return A().d", "1", "2"),
    ("an object that holds itself", "class A:\n    def __init__(self): self.me, self.v = self, @@\na = A()\ndef target(x): return a.v", "1", "2"),
    ("a method put into a class later", "class A: pass\ndef g(self): return @@\nA.f = g\ndef target(x): return A().f()", "1", "2"),
]  # fmt: skip

LATE = [
    ("a list filled in a loop", "X = []\nfor i in range(@@):\n    X.append(i)", "3", "4"),
    ("a table in a branch", "X = {}\nif True:\n    X['a'] = @@", "1", "2"),
    ("a table that functions enter themselves in", "X = {}\ndef enter(f):\n    X[f.__name__] = f\n    return f\n@enter\ndef a(): return @@", "1", "2"),
    ("a table that is filled by a call", "X = []\ndef enter(v): X.append(v)\nenter(@@)", "1", "2"),
]  # fmt: skip

STRANGE = ["memoryview(b'a')", "(i for i in range(3))", "open('/dev/null')", "np.frompyfunc(abs, 1, 1)"]


class Load(Protocol):
    def __call__(self, text: str, other: str = "") -> hf.Operation: ...


@pytest.fixture
def load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Load]:
    """Return the operation of a module text, loaded from a folder of its own."""
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    places = iter(range(9))

    def make(text: str, other: str = "X = 1\n") -> hf.Operation:
        folder = tmp_path / str(next(places))
        folder.mkdir()
        (folder / "hf_reached.py").write_text(HEAD + text)
        (folder / "hf_reached_other.py").write_text(other)
        forget()
        monkeypatch.syspath_prepend(str(folder))
        return hf.operation(importlib.import_module("hf_reached").target)

    yield make
    forget()


def forget() -> None:
    for name in ("hf_reached", "hf_reached_other"):
        sys.modules.pop(name, None)


@pytest.mark.parametrize(("what", "text", "old", "new"), CHANGES, ids=lambda value: value if " " in value else "")
def test_whatever_a_function_reaches_counts_and_is_the_same_when_loaded_again(
    load: Load, what: str, text: str, old: str, new: str
) -> None:
    first, again, changed = (load(text.replace("@@", word)).implementation for word in (old, old, new))
    assert first.parts == again.parts
    assert first.uid != changed.uid, what


@pytest.mark.parametrize(("what", "text", "old", "new"), LATE, ids=[line[0] for line in LATE])
def test_what_fills_a_table_of_a_module_imported_late_counts(
    load: Load, what: str, text: str, old: str, new: str
) -> None:
    reading = "def target(x):\n    from hf_reached_other import X\n    return X"
    uids = [load(reading, f"{text.replace('@@', word)}\nY = {word}\n").implementation.uid for word in (old, old, new)]
    assert uids[0] == uids[1] != uids[2], what


def test_what_else_stands_in_a_module_imported_late_does_not_count(load: Load) -> None:
    reading = "def target(x):\n    from hf_reached_other import X\n    return X"
    other = "X = {}\nZ = {}\ndef enter(v): X[v] = v\ndef note(v): Z[v] = v\nenter(1)\nnote(@@)\n"
    uids = {load(reading, other.replace("@@", word)).implementation.uid for word in ("1", "2")}
    assert len(uids) == 1


@pytest.mark.parametrize("value", STRANGE)
def test_what_cannot_be_followed_is_told(load: Load, value: str) -> None:
    made = load(f"V = {value}\ndef target(x): return V")
    with pytest.warns(UserWarning, match="version="):
        assert made.implementation.uid


def test_a_lock_and_a_random_number_are_no_reason_to_run_again_in_another_process(load: Load) -> None:
    text = "import threading\nfrom random import random\nlock = threading.Lock()\ndef target(x):\n    with lock: return random()"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert load(text).implementation.uid == load(text + "\n").implementation.uid


def test_an_implementation_registered_later_counts_from_then_on(load: Load) -> None:
    made = load("@functools.singledispatch\ndef f(x): return x\ndef target(x): return f(x)")
    before = made.implementation.uid
    sys.modules["hf_reached"].f.register(int, lambda x: x + 1)
    assert made.implementation.uid != before
