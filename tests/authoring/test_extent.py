"""What was reached before makes no difference to what is reached now, but to the time that it takes."""

from __future__ import annotations

import linecache
import types
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from holdfast.authoring import extent
from holdfast.authoring.implementation import Implementation, implementation_of

KINDS = {
    "function": "def f{number}(x):\n    return K{number} + sum(g(x) for g in ({calls}))\n",
    "lambda": "f{number} = lambda x: K{number} + sum(g(x) for g in ({calls}))\n",
    "other name": "def g{number}(x):\n    return K{number} + sum(g(x) for g in ({calls}))\nf{number} = g{number}\n",
    "same name": "def inner(x):\n    return K{number} + sum(g(x) for g in ({calls}))\nf{number} = inner\n",
    "partial": "def p{number}(k, x):\n    return K{number} + sum(g(x) for g in ({calls}))\nf{number} = functools.partial(p{number}, 2)\n",
    "class": "class f{number}:\n    def go(self):\n        return K{number}, ({calls})\n",
}

Definition = tuple[str, tuple[int, ...]]
"""A kind, and which of the others it reads."""


@st.composite
def definitions(draw: Any) -> list[Definition]:
    count = draw(st.integers(2, 7))
    reads = st.lists(st.integers(0, count - 1), max_size=3, unique=True).map(tuple)
    return [(draw(st.sampled_from(sorted(KINDS))), draw(reads)) for _ in range(count)]


def module_of(written: list[Definition], name: str = "hf_extent") -> types.ModuleType:
    text = "import functools\n"
    for number, (kind, reads) in enumerate(written):
        calls = "".join(f"f{read}, " for read in reads)
        text += f"K{number} = {number}\n" + KINDS[kind].format(number=number, calls=calls)
    text += "".join(f"def start{number}(x):\n    return f{number}(x)\n" for number in range(len(written)))
    module, file = types.ModuleType(name), f"<{name}>"
    linecache.cache[file] = (len(text), None, text.splitlines(keepends=True), file)
    exec(compile(text, file, "exec", dont_inherit=True), vars(module))
    return module


@pytest.fixture(autouse=True)
def nothing_kept() -> Iterator[None]:
    extent._kept.cache_clear()
    yield
    linecache.cache.pop("<hf_extent>", None)


def implementation(module: types.ModuleType, number: int) -> Implementation:
    return implementation_of(getattr(module, f"start{number}"), f"start{number}")


def texts(found: Implementation) -> dict[str, str]:
    return {digest: source.text for digest, source in found.sources.items()}


def alone(module: types.ModuleType, number: int) -> Implementation:
    extent._kept.cache_clear()
    return implementation(module, number)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(definitions(), st.data())
def test_an_implementation_is_the_same_after_any_others(written: list[Definition], data: Any) -> None:
    module = module_of(written)
    expected = [alone(module, number) for number in range(len(written))]
    extent._kept.cache_clear()
    for number in data.draw(st.permutations(range(len(written)))):
        found = implementation(module, number)
        assert (found.parts, found.uid) == (expected[number].parts, expected[number].uid)
        assert texts(found) == texts(expected[number])
        assert sorted((each.name, id(each.value)) for each in found.bindings) == sorted(
            (each.name, id(each.value)) for each in expected[number].bindings
        )


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(definitions(), st.data())
def test_what_is_bound_anew_counts_also_where_something_was_kept(written: list[Definition], data: Any) -> None:
    module = module_of(written)
    before = [implementation(module, number) for number in range(len(written))]
    changed = data.draw(st.integers(0, len(written) - 1))
    setattr(module, f"K{changed}", -1)
    after = [implementation(module, number) for number in range(len(written))]
    for number, found in enumerate(after):
        assert found.parts == alone(module, number).parts
        assert (found.uid == before[number].uid) == (changed not in reached(written, number))


def reached(written: list[Definition], number: int) -> set[int]:
    found = {number}
    while more := {read for each in found for read in written[each][1]} - found:
        found |= more
    return found
