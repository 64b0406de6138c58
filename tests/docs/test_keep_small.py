"""The commands of the how-to page on the size of a directory do what it says."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

import holdfast as hf
from holdfast.cli import main

PAGE = (Path(__file__).parents[2] / "docs" / "how-to" / "keep-a-directory-small.md").read_text()


@hf.operation(name="page.square", version="1")
def square(x: int) -> int:
    return x * x


@hf.operation(name="page.total", version="1")
def total(values: object) -> int:
    return int(sum(values))  # type: ignore[call-overload]


def test_the_commands_keep_what_targets_need(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    commands = [line for block in re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL) for line in block.splitlines()]
    assert [command.partition("--work work")[2].split()[:1] for command in commands] == [
        [], ["--apply"], ["--drop-target"], ["--older-than"], ["--down-to"],
    ]  # fmt: skip
    final, old = total(hf.map(square, [1, 2, 3])), square(20)
    with hf.Session("work") as session:
        session.name_target("study.py:final", final)
        session.name_target("old", old)
        assert session.results([final, old, square(30)]) == [14, 400, 900]
    for command in commands:
        assert main.main(shlex.split(command)[1:]) == 0, command
    shown = capsys.readouterr().out
    assert "study.py:final  5 results" in shown
    assert "page.square  1 result, 3 B" in shown
    assert main.main([*shlex.split(commands[2])[1:], "--apply"]) == 0
    with hf.Session("work") as session:
        assert session.result(final) == 14
        assert session.counts.done == 0
        assert session.result(old) == 400
        assert session.counts.done == 1
