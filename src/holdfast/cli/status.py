"""`holdfast status`: say what a working directory holds and who works in it. Changes nothing, and runs beside a live session."""

from __future__ import annotations

import argparse
import json
from typing import Any

from holdfast.storage.inventory import Inventory, take_inventory

HELP = "say what is finished, running and failed in a working directory"

EXAMPLE = "example:\n  holdfast status --work runs/adaptive --json"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the arguments of the command."""
    parser.add_argument("--work", default="work", metavar="DIR", help="working directory (default: %(default)s)")
    parser.add_argument("--json", action="store_true", help="print as JSON")


def run(arguments: argparse.Namespace) -> int:
    """Run the command; return the exit status."""
    inventory = take_inventory(arguments.work)
    print(json.dumps(_as_json(inventory), indent=2) if arguments.json else "\n".join(_lines(inventory)))
    return 0


def _as_json(inventory: Inventory) -> dict[str, Any]:
    return {
        "directory": inventory.directory,
        "nodes": inventory.nodes,
        "calls": inventory.calls,
        "failed": inventory.failed,
        "sessions": list(inventory.sessions),
        "failures": [
            {"operation": row.operation, "node": row.member, "kind": row.kind, "reason": row.reason, "at": row.at}
            for row in inventory.failures
        ],
    }


def _lines(inventory: Inventory) -> list[str]:
    lines = [
        f"{inventory.directory}",
        f"  done    {inventory.nodes} nodes, {inventory.calls} results of operations and ensemble members",
        f"  failed  {inventory.failed}",
    ]
    for session in inventory.sessions:
        state = "works here now" if session["alive"] else "ended" if session["ended"] else "was cut off"
        lines.append(
            f"  session {session['id']} on {session['host']}, process {session['process']}, since {session['started']}: {state}"
        )
        progress = session["progress"]
        if session["alive"] and progress:
            lines.append("          " + ", ".join(_counted(progress)))
    lines += [f"  ! {row.operation} {row.member[:12]}…: {row.kind}: {row.reason}" for row in inventory.failures]
    return lines


def _counted(progress: dict[str, Any]) -> list[str]:
    counts = {**progress, **progress.get("reasons", {})}
    return [f"{label} {number}" for label, number in counts.items() if label != "reasons"]
