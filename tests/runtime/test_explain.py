"""A session says why each node ran, was reused, waits or failed."""

from __future__ import annotations

import importlib
import json
import linecache
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import holdfast as hf
from holdfast.errors import NotFound
from holdfast.model.explanation import Explanation, Reason

STUDY = """
import holdfast as hf
LIMIT = 3

def helper(x):
    return x + LIMIT

@hf.operation
def prepare(x: int) -> int:
    return helper(x)

@hf.operation
def halve(x: int) -> int:
    return x // 2

@hf.operation(version="1")
def simulate(a: int, seed: int) -> int:
    return a * seed

@hf.operation
def total(values) -> int:
    return int(sum(values))

start = prepare(4)
half = halve(start)
runs = hf.map(simulate, a=[half], seed=[1, 2, 3])
final = total(runs)

@hf.operation
def step(x: int) -> int:
    return x + 1

chain = step(step(step(0)))
"""

Load = Callable[..., Any]


@pytest.fixture
def load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Load]:
    """Write the study with some words replaced, and import it anew."""
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)

    def loaded(*changes: tuple[str, str]) -> Any:
        text = STUDY
        for old, new in changes:
            assert old in text
            text = text.replace(old, new)
        (tmp_path / "explained.py").write_text(text)
        sys.modules.pop("explained", None)
        linecache.clearcache()  # as in a new process
        importlib.invalidate_caches()
        return importlib.import_module("explained")

    yield loaded
    sys.modules.pop("explained", None)


def ask(work: Path, node: Any) -> Explanation:
    with hf.Session(work) as session:
        session.result(node)
        return session.explain(node)


def causes(explanation: Explanation) -> list[tuple[str, str, bool]]:
    return [(reason.cause, reason.operation.rpartition(".")[2], reason.upstream) for reason in explanation.reasons]


def only(explanation: Explanation) -> Reason:
    (reason,) = explanation.reasons
    return reason


def test_the_first_of_its_kind_ran_because_it_is_the_first(load: Load, tmp_path: Path) -> None:
    explanation = ask(tmp_path / "work", load().final)
    assert (explanation.outcome, causes(explanation)) == ("ran", [("first run", "total", False)])
    assert explanation.compared_with == ""


def test_a_changed_helper_upstream_is_named_with_a_diff(load: Load, tmp_path: Path) -> None:
    ask(tmp_path / "work", load().final)
    changed = load(("x + LIMIT", "x + 5 * LIMIT"))
    explanation = ask(tmp_path / "work", changed.final)
    reason = only(explanation)
    assert (reason.cause, reason.operation, reason.upstream) == ("code", "explained.prepare", True)
    assert "helper" in reason.path
    assert reason.place.endswith("explained.py:5")
    assert {"-    return x + LIMIT", "+    return x + 5 * LIMIT"} <= set(reason.diff.splitlines())
    assert explanation.first_changed == changed.start.uid
    assert "-    return x + LIMIT" in str(explanation)


def test_a_changed_constant_is_code_that_changed(load: Load, tmp_path: Path) -> None:
    ask(tmp_path / "work", load().start)
    reason = only(ask(tmp_path / "work", load(("LIMIT = 3", "LIMIT = 7")).start))
    assert (reason.cause, reason.upstream) == ("code", False)
    assert reason.diff.splitlines()[-2:] == ["-3", "+7"]


def test_a_changed_element_is_told_with_both_values(load: Load, tmp_path: Path) -> None:
    ask(tmp_path / "work", load().final)
    reason = only(ask(tmp_path / "work", load(("2, 3]", "2, 9]")).final))
    assert (reason.cause, reason.path, reason.old, reason.new) == ("input", "over.seed[2]", "3", "9")


def test_a_changed_version_word_inside_a_body_is_told(load: Load, tmp_path: Path) -> None:
    ask(tmp_path / "work", load().runs)
    changed = load(('version="1"', 'version="2"'), ("a * seed", "a * seed + 1"))
    reason = only(ask(tmp_path / "work", changed.runs))
    assert (reason.cause, reason.operation, reason.old, reason.new) == ("version", "explained.simulate", "1", "2")


def test_a_version_word_stands_for_all_that_the_code_reached(load: Load, tmp_path: Path) -> None:
    ask(tmp_path / "work", load().start)
    changed = load(("@hf.operation\ndef prepare", "@hf.operation(version='1')\ndef prepare"))
    reason = only(ask(tmp_path / "work", changed.start))
    assert (reason.cause, reason.old, reason.new) == ("version", None, "1")


def test_an_edit_within_a_session_as_in_a_notebook_is_told(load: Load, tmp_path: Path) -> None:
    with hf.Session(tmp_path / "work") as session:
        session.result(load().final)
        changed = load(("x + LIMIT", "x + 5 * LIMIT")).final
        session.result(changed)
        reason = only(session.explain(changed))
        assert (reason.cause, reason.operation, reason.upstream) == ("code", "explained.prepare", True)


def test_neighbours_in_one_graph_are_not_compared_with_each_other(load: Load, tmp_path: Path) -> None:
    study = load()
    nodes = [study.halve(study.prepare(number)) for number in (1, 10)]
    with hf.Session(tmp_path / "work") as session:
        session.results(nodes)
        assert [causes(session.explain(node)) for node in nodes] == [[("first run", "halve", False)]] * 2


def test_a_node_whose_inputs_came_out_equal_was_reused_and_the_change_is_told(load: Load, tmp_path: Path) -> None:
    ask(tmp_path / "work", load().final)
    changed = load(("LIMIT = 3", "LIMIT = 2"))  # 7 // 2 and 6 // 2 are equal
    explanation = ask(tmp_path / "work", changed.final)
    assert explanation.outcome == "reused"
    assert causes(explanation) == [("same call", "total", False), ("code", "prepare", True)]
    with hf.Session(tmp_path / "work") as session:
        assert causes(session.explain(changed.half)) == [("code", "prepare", True)]


def test_what_changed_behind_an_equal_input_is_no_reason_for_a_run(load: Load, tmp_path: Path) -> None:
    ask(tmp_path / "work", load().final)
    changed = load(("LIMIT = 3", "LIMIT = 2"), ("int(sum(values))", "int(sum(values) + 1)"))
    assert causes(ask(tmp_path / "work", changed.final)) == [("code", "total", False)]


def test_the_third_of_a_chain_is_compared_with_the_third(load: Load, tmp_path: Path) -> None:
    first = load().chain
    ask(tmp_path / "work", first)
    explanation = ask(tmp_path / "work", load(("x + 1", "x + 2")).chain)
    assert explanation.compared_with == first.uid
    assert causes(explanation) == [("code", "step", False), ("code", "step", True), ("code", "step", True)]


def test_a_changed_package_is_told_by_both_versions(tmp_path: Path) -> None:
    packages = tmp_path / "site-packages"
    metadata = packages / "acme-1.0.dist-info" / "METADATA"
    metadata.parent.mkdir(parents=True)
    (packages / "acme.py").write_text("def f(x):\n    return x\n")
    (tmp_path / "user_study.py").write_text(
        "import sys\nsys.path.insert(0, 'site-packages')\nimport acme\nimport holdfast as hf\n\n"
        "@hf.operation(name='user.use')\ndef use(x: int) -> int:\n    return acme.f(x)\n\n"
        "with hf.Session('work') as session:\n    session.result(use(1))\n    print(*session.explain(use(1)).reasons)\n"
    )
    for version in ("1.0", "2.0"):
        metadata.write_text(f"Metadata-Version: 2.1\nName: acme\nVersion: {version}\n")
        command = [sys.executable, "user_study.py"]
        ended = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True, timeout=60)
    assert "cause='package'" in ended.stdout
    assert "old='1.0', new='2.0'" in ended.stdout


def test_a_node_that_failed_says_so_and_remembers_it_when_it_is_done(tmp_path: Path) -> None:
    flag = tmp_path / "flag"

    @hf.operation(version="1", name="explained.fragile")
    def fragile(path: str) -> int:
        if not Path(path).exists():
            raise ValueError("no flag")
        return 1

    @hf.operation(version="1", name="explained.after")
    def after(x: int) -> int:
        return x

    node = fragile(str(flag))
    with hf.Session(tmp_path / "work") as session:
        with pytest.raises(hf.OperationFailed):
            session.result(after(node))
        failed, stopped = session.explain(node), session.explain(after(node))
    assert (failed.outcome, stopped.outcome) == ("failed", "failed")
    assert "ValueError: no flag" in failed.reasons[0].text
    assert [(reason.cause, reason.node, reason.upstream) for reason in stopped.reasons] == [("failure", node.uid, True)]
    flag.touch()
    explanation = ask(tmp_path / "work", node)
    assert explanation.outcome == "ran"
    assert [reason.cause for reason in explanation.reasons] == ["failed before", "first run"]
    assert "no flag" in explanation.reasons[0].text


def test_a_node_that_nobody_asked_for_names_what_is_missing(load: Load, tmp_path: Path) -> None:
    study = load()
    with hf.Session(tmp_path / "work") as session:
        session.result(study.half)
        explanation = session.explain(study.final)
    assert explanation.outcome == "not asked for"
    assert (explanation.reasons[0].cause, explanation.reasons[0].path) == ("missing", "values")


def test_a_beginning_of_a_uid_and_a_name_are_enough(load: Load, tmp_path: Path) -> None:
    study = load()
    with hf.Session(tmp_path / "work") as session:
        session.name_target("study:both", {"first": study.start, "last": study.final})
        session.results([study.start, study.final])
        assert session.explain(study.final.uid[:12]).uid == study.final.uid
        assert session.explain("both.last").uid == study.final.uid
        with pytest.raises(NotFound, match=r"study:both\.first, study:both\.last"):
            session.explain("nothing")
        with pytest.raises(NotFound):
            session.explain("0" * 64)


def test_an_explanation_is_json(load: Load, tmp_path: Path) -> None:
    told = json.loads(json.dumps(ask(tmp_path / "work", load().final).to_json()))
    assert (told["outcome"], told["reasons"][0]["cause"]) == ("ran", "first run")


def test_calls_are_counted_by_reason(load: Load, tmp_path: Path) -> None:
    with hf.Session(tmp_path / "work") as session:
        session.result(load().final)
        assert session.counts.reasons == {"first run": 6}
    with hf.Session(tmp_path / "work") as session:
        session.result(load(("2, 3]", "2, 9]"), ("int(sum(values))", "int(sum(values) + 1)")).final)
        assert session.counts.reasons == {"new inputs": 1, "changed code": 1}
