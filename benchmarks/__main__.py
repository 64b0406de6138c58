"""Run the benchmarks: `python -m benchmarks [--quick] [--only W1-cold …] [--out DIR]`.

Writes `results.json`, and with `--page` the page of the documentation with its plot. Says of each goal whether it is met; never fails
because one is not.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks.goals import Goal, Samples, Workload
from benchmarks.measure import ROOT, compile_ours, is_available, run_rounds
from benchmarks.page import machine, write_page
from benchmarks.workloads import workloads


@dataclass(frozen=True, slots=True)
class Verdict:
    """How a goal came out."""

    text: str
    wanted: float
    at_least: bool
    unit: str
    rounds: list[float]
    median: float
    met: bool


def main() -> int:
    """Run what was asked for."""
    parsed = _parser().parse_args()
    compile_ours()
    chosen = [load for load in workloads(parsed.quick) if not parsed.only or load.name in parsed.only]
    results = {
        "machine": machine(),
        "quick": parsed.quick,
        "workloads": [_run(load, parsed.scratch, parsed.quick) for load in chosen],
    }
    out = Path(parsed.out)
    out.mkdir(parents=True, exist_ok=True)
    (out / "results.json").write_text(json.dumps(results, indent=2) + "\n")
    print(f"\nwritten: {out / 'results.json'}")
    if parsed.page:
        write_page(results, ROOT / "docs")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a tenth of the size, under two minutes")
    parser.add_argument("--only", nargs="*", default=[], metavar="NAME", help="these workloads alone")
    parser.add_argument("--out", default=str(ROOT / "runs" / "bench"), help="where results.json goes")
    parser.add_argument("--page", action="store_true", help="write the figures into the documentation too")
    parser.add_argument("--scratch", default=tempfile.gettempdir(), help="where the working directories are made")
    return parser


def _run(load: Workload, scratch: str, quick: bool) -> dict[str, object]:
    print(f"\n{load.name}: {load.title}", flush=True)
    started = time.perf_counter()
    rounds = 1 if quick else load.rounds
    steps = [step for step in load.steps if is_available(step)]
    absent = {step.label for step in load.steps} - {step.label for step in steps}
    samples = run_rounds(steps, rounds, scratch)
    verdicts = [verdict for goal in load.goals if (verdict := _judge(goal, samples, rounds)) is not None]
    for label in sorted(absent):
        print(f"  {label:28} is not installed, and left out")
    for label, sample in samples.items():
        figure = "seconds" if "seconds" in sample.rounds[0] else "whole"
        low, high = min(sample.all(figure)), max(sample.all(figure))
        print(f"  {label:28} {sample.median(figure):9.3f} s  ({low:.3f} to {high:.3f})")
    for verdict in verdicts:
        sign = "≥" if verdict.at_least else "≤"
        state = "met" if verdict.met else "NOT MET"
        print(f"  {verdict.text}: {verdict.median:.3g} {verdict.unit}, wanted {sign} {verdict.wanted:g}: {state}")
    print(f"  ({time.perf_counter() - started:.0f} s)", flush=True)
    figures = {label: {"size": sample.step.size, "rounds": sample.rounds} for label, sample in samples.items()}
    return {
        "name": load.name,
        "title": load.title,
        "steps": figures,
        "goals": [asdict(verdict) for verdict in verdicts],
    }


def _judge(goal: Goal, samples: Samples, rounds: int) -> Verdict | None:
    try:
        figures = sorted(goal.measure(samples, number) for number in range(rounds))
    except KeyError:  # a contestant that is not installed was left out
        return None
    middle = figures[len(figures) // 2] if len(figures) % 2 else sum(figures[len(figures) // 2 - 1 :][:2]) / 2
    met = middle >= goal.wanted if goal.at_least else middle <= goal.wanted
    return Verdict(goal.text, goal.wanted, goal.at_least, goal.unit, figures, middle, met)


if __name__ == "__main__":
    sys.exit(main())
