"""`holdfast accept FILE.py[:OPERATION]`: declare that a change of code does not matter, so that earlier results stand; or take it back."""

from __future__ import annotations

import argparse
import json
from typing import Any

from holdfast.authoring.decorate import Operation
from holdfast.cli.script import all_nodes, find_file, load_script, split_target
from holdfast.errors import NotFound
from holdfast.runtime.accept import Acceptance, look_at
from holdfast.runtime.plan import plan_in
from holdfast.runtime.session import Session
from holdfast.storage.inventory import open_to_look
from holdfast.storage.workdir import open_workdir

HELP = "declare that a change of an operation's code does not matter: its earlier results stand"

EXAMPLE = (
    "example:\n  holdfast accept adaptive.py:simulate --dry --work runs/adaptive"
    "\n  holdfast accept adaptive.py:simulate --why 'renamed a variable' --work runs/adaptive"
)

STAYS = "What stands by it already, stays; to have that computed anew, give the operation a version word."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the arguments of the command."""
    parser.add_argument(
        "operation",
        metavar="FILE.py[:OPERATION]",
        help="script and operation, with the code as it is now; without a name, all operations of the script that changed",
    )
    parser.add_argument("--why", default="", help="kept, with your name and the time, and told by `holdfast explain`")
    parser.add_argument(
        "--from", dest="earlier", default="", metavar="UID", help="code whose results stand (default: the latest other)"
    )
    parser.add_argument("--dry", action="store_true", help="say what changed and what would stand; write nothing")
    parser.add_argument(
        "--withdraw", action="store_true", help="take it back: nothing more stands by it; what stands already, stays"
    )
    parser.add_argument("--work", default="work", metavar="DIR", help="working directory (default: %(default)s)")
    parser.add_argument("--json", action="store_true", help="print as JSON")


def run(arguments: argparse.Namespace) -> int:
    """Run the command; return the exit status."""
    has_name = ":" in arguments.operation
    path, name = split_target(arguments.operation) if has_name else (find_file(arguments.operation), "")
    module = load_script(path)
    chosen = [_find(module, name)] if name else _changed(module, arguments.work)
    if arguments.dry:
        _look(chosen, module, arguments)
        return 0
    open_workdir(arguments.work, create=False)
    with Session(arguments.work) as session:
        if arguments.withdraw:
            for operation in chosen:
                session.withdraw(operation, earlier=arguments.earlier)
                print(f"{operation.name}: withdrawn. {STAYS}")
            return 0
        found = [session.accept(operation, why=arguments.why, earlier=arguments.earlier) for operation in chosen]
    _show(found, arguments)
    return 0


def _look(chosen: list[Operation], module: Any, arguments: argparse.Namespace) -> None:
    """Print what changed, and how many calls of the script's nodes an acceptance would save."""
    _, catalog = open_to_look(arguments.work)
    with catalog:
        found = [look_at(catalog, operation, earlier=arguments.earlier) for operation in chosen]
    _show(found, arguments)
    nodes = all_nodes(module)
    if nodes and not arguments.json:
        before, after = plan_in(arguments.work, nodes), plan_in(arguments.work, nodes, chosen)
        print(f"\nAs it is, for all nodes of {module.__name__}: {before}\n\nIf that were accepted: {after}")


def _show(found: list[Acceptance], arguments: argparse.Namespace) -> None:
    if arguments.json:
        print(json.dumps([acceptance.to_json() for acceptance in found], indent=2))
    else:
        print("\n".join(map(str, found)))


def _operations(module: Any) -> dict[str, Operation]:
    return {label: found for label, found in vars(module).items() if isinstance(found, Operation)}


def _find(module: Any, name: str) -> Operation:
    known = _operations(module)
    if name not in known:
        raise NotFound(f"{module.__name__} has no operation {name!r}. Operations in it: {', '.join(known) or 'none'}.")
    return known[name]


def _changed(module: Any, work: str) -> list[Operation]:
    """Return the operations of a script that have run, but not with the code as it is now."""
    _, catalog = open_to_look(work)
    with catalog:
        codes = {
            operation: [row.uid.hex() for row in catalog.list_implementations(str(operation.name))]
            for operation in _operations(module).values()
        }
    changed = [found for found, known in codes.items() if known and found.implementation.uid not in known]
    if not changed:
        raise NotFound(
            f"No operation of {module.__name__} has run here with other code only. Name the one that you mean."
        )
    return changed
