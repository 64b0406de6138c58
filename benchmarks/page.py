"""Write the figures of a run into the documentation: a table of goals and a plot, between the marks of the page."""

from __future__ import annotations

import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

BEGIN, END = "<!-- figures -->", "<!-- end of figures -->"
PEERS = ("numpy", "joblib", "dask", "parsl", "ray", "redun")


def machine() -> dict[str, Any]:
    """Return what the figures depend on."""
    return {
        "system": platform.system(),
        "processor": platform.machine(),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        **{name: _version(name) for name in PEERS},
    }


def write_page(results: dict[str, Any], docs: Path) -> None:
    """Put table and plot into `explanation/performance.md`."""
    page = docs / "explanation" / "performance.md"
    before, _, rest = page.read_text().partition(BEGIN)
    _, _, after = rest.partition(END)
    page.write_text(f"{before}{BEGIN}\n{_table(results)}\n{END}{after}")
    _draw(results, docs / "pictures" / "performance.png")


def _table(results: dict[str, Any]) -> str:
    facts = ", ".join(f"{name} {found}" for name, found in results["machine"].items())
    lines = [f"Measured on: {facts}.", ""]
    for load in results["workloads"]:
        lines += [
            f"**{load['name']}**: {load['title']}",
            "",
            "| what | median | spread | goal | |",
            "| --- | --- | --- | --- | --- |",
        ]
        for goal in load["goals"]:
            sign, state = "≥" if goal["at_least"] else "≤", "met" if goal["met"] else "not met"
            spread = f"{goal['rounds'][0]:.3g} to {goal['rounds'][-1]:.3g}"
            lines.append(
                f"| {goal['text']} | {goal['median']:.3g} {goal['unit']} | {spread} | {sign} {goal['wanted']:g} | {state} |"
            )
        lines.append("")
    return "\n".join(lines)


def _draw(results: dict[str, Any], path: Path) -> None:
    from matplotlib.figure import Figure

    loads = [load for load in results["workloads"] if load["name"] in ("W1-cold", "W2", "W3")]
    figure = Figure(figsize=(10, 1 + 2.2 * len(loads)), layout="constrained")
    for axes, load in zip(figure.subplots(len(loads), squeeze=False)[:, 0], loads, strict=True):
        sized = {label: step for label, step in load["steps"].items() if step["size"]}
        rates = {
            label: step["size"] / sorted(measured["seconds"] for measured in step["rounds"])[len(step["rounds"]) // 2]
            for label, step in sized.items()
            if "warm" not in label and "round" not in label
        }
        bars = axes.barh(list(rates)[::-1], list(rates.values())[::-1], color="tab:blue")
        axes.bar_label(bars, fmt="{:,.0f}", padding=3)
        axes.set_xscale("log")
        axes.set_title(load["title"], fontsize=10, loc="left")
        axes.set_xlabel("tasks per second")
    figure.savefig(path, dpi=110)


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"
