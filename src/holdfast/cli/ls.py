"""`holdfast ls`: list the nodes that are done in a working directory, newest first. Changes nothing."""

from __future__ import annotations

import argparse
import json

from holdfast.storage.entry import Entry, list_entries

HELP = "list the nodes that are done, newest first"

EXAMPLE = "example:\n  holdfast ls --work runs/adaptive --limit 20"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the arguments of the command."""
    parser.add_argument("--work", default="work", metavar="DIR", help="working directory (default: %(default)s)")
    parser.add_argument("--limit", type=int, default=100, metavar="N", help="at most so many (default: %(default)s)")
    parser.add_argument("--json", action="store_true", help="print as JSON")


def run(arguments: argparse.Namespace) -> int:
    """Run the command; return the exit status."""
    entries = list_entries(arguments.work, max(arguments.limit, 0))
    if arguments.json:
        print(json.dumps([_as_json(entry) for entry in entries], indent=2))
    else:
        for entry in entries:
            shown = entry.text if len(entry.text) <= 60 else entry.text[:57] + "..."
            print(f"{entry.uid[:16]}  {entry.size:>12}  {entry.operation}  {shown}")
    return 0


def _as_json(entry: Entry) -> dict[str, object]:
    return {
        "uid": entry.uid,
        "operation": entry.operation,
        "size": entry.size,
        "seconds": entry.seconds,
        "place": entry.place,
        "digest": entry.digest,
    }
