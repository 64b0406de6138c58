"""The table of the page on durability names tests that exist, and no promise twice."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/explanation/durability.md").read_text()
TABLE = PAGE.partition("## How it is tested")[2]


def rows() -> list[list[str]]:
    """Return the cells of the table of promises, without its head."""
    lines = [line for line in TABLE.splitlines() if line.startswith("|")][2:]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def test_every_promise_names_tests_that_exist_and_its_figures() -> None:
    assert rows()
    for number, promise, tests, short, long in rows():
        assert number.isdigit(), number
        assert promise
        assert short
        assert long
        named = re.findall(r"`((?:tests|benchmarks)/[^`:]+\.py)(?:::(\w+))?`", tests)
        assert named, f"promise {number} names no test"
        for file, function in named:
            assert (ROOT / file).is_file(), f"promise {number} is said to be shown by {file}"
            assert not function or f"def {function}(" in (ROOT / file).read_text(), f"{file} has no {function}"


def test_promises_stand_in_their_order_and_once_each() -> None:
    numbers = [int(row[0]) for row in rows()]
    assert numbers == sorted(set(numbers))
    assert set(numbers) <= set(range(1, 20))


def test_each_crash_test_of_the_table_has_a_long_form_that_make_crash_runs() -> None:
    for number, _, tests, _, long in rows():
        for file in re.findall(r"`(tests/crash/[^`:]+\.py)", tests):
            if long != "the same":
                text = (ROOT / file).read_text()
                assert "HOLDFAST_CRASH" in text, f"promise {number}: {file} has no long form"
                assert "pytest.mark.crash" in text, f"promise {number}: make crash does not run {file}"
