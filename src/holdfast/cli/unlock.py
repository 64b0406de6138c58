"""`holdfast unlock`: take a working directory from an owner on another machine that is known to be dead. Never robs one that lives here."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict

from holdfast.storage.ownership import unlock
from holdfast.storage.workdir import open_workdir

HELP = "take a working directory from an owner on another machine that you know to be dead"

EXAMPLE = "example:\n  holdfast unlock --work runs/adaptive"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the arguments of the command."""
    parser.add_argument("--work", default="work", metavar="DIR", help="working directory (default: %(default)s)")
    parser.add_argument("--json", action="store_true", help="print as JSON")


def run(arguments: argparse.Namespace) -> int:
    """Run the command; return the exit status."""
    workdir = open_workdir(arguments.work, create=False)
    owners = unlock(workdir)
    if arguments.json:
        print(json.dumps({"directory": str(workdir.path), "owners": [asdict(owner) for owner in owners]}, indent=2))
    elif not owners:
        print(f"{workdir.path} is held by nobody. Nothing was to be done.")
    else:
        held = "; ".join(
            f"session {owner.session} of process {owner.process} on {owner.host}, since {owner.since}"
            for owner in owners
        )
        print(
            f"{workdir.path} is free. It was held by {held}. Should that one live after all, it can commit nothing more "
            "as soon as another session has come in."
        )
    return 0
