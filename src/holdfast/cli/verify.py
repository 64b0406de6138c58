"""`holdfast verify`: read everything in a working directory and say what is not what was committed.

Changes nothing without `--repair`, and works beside a live session.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict

from holdfast.storage.repair import repair
from holdfast.storage.verify import Verification, verify

HELP = "read everything in a working directory, and say what is damaged or missing"

EXAMPLE = (
    "example:\n  holdfast verify --work runs/adaptive --repair\n\n"
    "exit status: 0 everything is whole, 1 something is not, or still is not"
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the arguments of the command."""
    parser.add_argument("--work", default="work", metavar="DIR", help="working directory (default: %(default)s)")
    parser.add_argument("--repair", action="store_true", help="take out what is damaged: a re-run makes it again")
    parser.add_argument("--json", action="store_true", help="print as JSON")


def run(arguments: argparse.Namespace) -> int:
    """Run the command; return the exit status."""
    found = repair(arguments.work) if arguments.repair else verify(arguments.work)
    left = verify(arguments.work).findings if arguments.repair and found.findings else found.findings
    if arguments.json:
        print(json.dumps({**asdict(found), "left": len(left)}, indent=2))
    else:
        print("\n".join(_lines(found, len(left), repaired=arguments.repair)))
    return 1 if left else 0


def _lines(found: Verification, left: int, *, repaired: bool) -> list[str]:
    lines = [found.directory, f"  read    {found.rows} rows, {found.stores} stores with {found.size} bytes"]
    for finding in found.findings:
        lines += [f"  ! {finding.node or 'node unknown'}", f"      {finding.file}", f"      {finding.reason}"]
    if not found.findings:
        return [*lines, "  all of it is what was committed"]
    lines.append(f"  {len(found.findings)} findings, {left} left")
    advice = "taken out, and kept in damaged/; run again what made it" if repaired else "Run: holdfast verify --repair"
    return [*lines, f"  {advice}"]
