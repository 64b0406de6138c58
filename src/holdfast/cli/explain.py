"""`holdfast explain UID|NAME|FILE.py:NAME`: say why a node ran, was reused or failed. Changes nothing, and runs beside a live session."""

from __future__ import annotations

import argparse
import json

from holdfast.runtime.explain import explain
from holdfast.storage.catalog import Catalog
from holdfast.storage.target import find_uid
from holdfast.storage.workdir import open_workdir

HELP = "say why a node ran, was reused or failed, and what has changed since the nearest earlier one"

EXAMPLE = "example:\n  holdfast explain adaptive.py:final --work runs/adaptive\n  holdfast explain 266bb4e3 --json"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the arguments of the command."""
    parser.add_argument("node", metavar="UID|NAME|FILE.py:NAME", help="uid or its beginning, or what was asked for")
    parser.add_argument("--work", default="work", metavar="DIR", help="working directory (default: %(default)s)")
    parser.add_argument("--json", action="store_true", help="print as JSON")


def run(arguments: argparse.Namespace) -> int:
    """Run the command; return the exit status."""
    workdir = open_workdir(arguments.work, create=False)
    with Catalog.open(workdir, read_only=True) as catalog:
        explanation = explain(catalog, find_uid(catalog, arguments.node))
    print(json.dumps(explanation.to_json(), indent=2) if arguments.json else explanation)
    return 0
