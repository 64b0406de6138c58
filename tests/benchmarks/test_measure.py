"""The benchmarks themselves: what they measure is really done, and what they conclude follows from the figures."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.__main__ import _judge
from benchmarks.goals import HOLDFAST, Goal, faster
from benchmarks.measure import Sample, Step, is_available, run_rounds
from benchmarks.workloads import workloads


def test_steps_of_one_round_share_a_directory_if_they_say_so_and_start_afresh_in_the_next(tmp_path: Path) -> None:
    steps = [Step(label, HOLDFAST, "tasks_in_process", 20, "shared") for label in ("cold", "warm")]
    samples = run_rounds(steps, 2, str(tmp_path))
    assert samples["cold"].all("value") == samples["warm"].all("value") == [sum(range(1, 21))] * 2
    assert all(measured["written"] > 0 for measured in samples["cold"].rounds)
    assert list(tmp_path.iterdir()) == []


def test_a_step_that_fails_is_an_error_and_not_a_figure(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="broken failed"):
        run_rounds([Step("broken", command=("-c", "raise SystemExit(3)"))], 1, str(tmp_path))


def test_a_goal_is_met_by_the_median_of_its_rounds_and_left_out_if_a_contestant_is_missing() -> None:
    goal = Goal("twice as fast", 2.0, faster("ours", "theirs"))
    ours = Sample(Step("ours", size=100), [{"seconds": 1.0}, {"seconds": 1.0}, {"seconds": 9.0}])
    theirs = Sample(Step("theirs", size=10), [{"seconds": 0.3}, {"seconds": 0.1}, {"seconds": 0.1}])
    verdict = _judge(goal, {"ours": ours, "theirs": theirs}, 3)
    assert verdict is not None
    assert verdict.rounds == pytest.approx([0.1 / 9 * 10, 1.0, 3.0])
    assert verdict.median == pytest.approx(1.0)
    assert not verdict.met
    assert _judge(goal, {"ours": ours}, 3) is None


@pytest.mark.parametrize("quick", [False, True])
def test_every_goal_compares_steps_that_its_workload_has(quick: bool) -> None:
    for load in workloads(quick):
        labels = [step.label for step in load.steps]
        assert len(set(labels)) == len(labels)
        figures = {"seconds": 1.0, "whole": 1.0, "memory": 1.0, "touch seconds": 1.0, "inner seconds": 1.0}
        figures |= {"share of a core": 0.0, "wake-ups per second": 0.0}
        samples = {step.label: Sample(step, [figures]) for step in load.steps}
        assert all(_judge(goal, samples, 1) is not None for goal in load.goals)


def test_a_contestant_whose_package_is_missing_is_not_available() -> None:
    assert is_available(Step("holdfast", HOLDFAST))
    assert is_available(Step("any command", command=("-c", "pass")))
    assert not is_available(Step("unheard of", "nosuchpackage_threads"))
