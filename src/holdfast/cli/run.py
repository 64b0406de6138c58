"""`holdfast run FILE.py:NAME` or `holdfast run graph.json`: compute the node of that name and print its value."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from holdfast.cli.document import load_targets
from holdfast.cli.script import find_nodes, load_script, split_target
from holdfast.errors import NotFound
from holdfast.runtime.events import ResultDiffers
from holdfast.runtime.plan import plan_in
from holdfast.runtime.session import Session
from holdfast.storage.workdir import open_workdir
from holdfast.views.progress import watch

DIFFERS = 3
"""Exit status when a call gave another result than before."""

HELP = "compute a node of a script or the targets of a work graph, reusing everything that is finished"

EXAMPLE = (
    "example:\n  holdfast run adaptive.py:final --work runs/adaptive --engine processes --workers 2"
    "\n  holdfast run graph.json --allow adaptive.py --target final"
    "\n  holdfast run adaptive.py:final --work runs/adaptive --check 100"
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the arguments of the command."""
    parser.add_argument("target", metavar="FILE.py:NAME|GRAPH.json", help="script and node, or work graph")
    parser.add_argument(
        "--allow",
        action="append",
        default=[],
        metavar="MODULE",
        help="module or script whose operations a graph may use",
    )
    parser.add_argument("--target", dest="name", metavar="NAME", help="of a graph, compute only this target")
    parser.add_argument("--work", default="work", metavar="DIR", help="working directory (default: %(default)s)")
    parser.add_argument("--engine", default="processes", help="in_process, threads or processes (default: %(default)s)")
    parser.add_argument(
        "--workers", type=_positive, metavar="N", help="jobs at once (default: as many as there are cores)"
    )
    parser.add_argument("--json", action="store_true", help="print the value, or what would run, as JSON")
    instead = parser.add_mutually_exclusive_group()
    instead.add_argument(
        "--dry", action="store_true", help="say what would run, how many, why and for how long; run and write nothing"
    )
    instead.add_argument(
        "--check",
        nargs="?",
        type=_sample,
        const=1.0,
        metavar="N|PART",
        help="make finished calls again and compare, all, so many or such a part; keep nothing of it; status 3 if one differs",
    )
    parser.add_argument("--quiet", action="store_true", help="show no progress")


def run(arguments: argparse.Namespace) -> int:
    """Run the command; return the exit status."""
    nodes = _nodes(arguments)
    if arguments.dry:
        found = plan_in(arguments.work, nodes)
        print(json.dumps(found.to_json(), indent=2) if arguments.json else found)
        return 0
    if arguments.check is not None:
        open_workdir(arguments.work, create=False)
    with Session(arguments.work, engine=arguments.engine, workers=arguments.workers) as session:
        if arguments.check is not None:
            return _check(session, nodes, arguments)
        for name, node in _targets(arguments, nodes):
            session.name_target(name, node)
        differing: list[ResultDiffers] = []
        session.listen(lambda event: differing.append(event) if isinstance(event, ResultDiffers) else None)
        try:
            with watch(session, show=not arguments.quiet):
                value = session.result(nodes)
        finally:
            _tell(differing)
        print(json.dumps(_plain(value), allow_nan=True) if arguments.json else _shown(value))
        sys.stdout.flush()
    return DIFFERS if differing else 0


def _check(session: Session, nodes: Any, arguments: argparse.Namespace) -> int:
    """Make finished calls again, and print what differs."""
    found = session.check(nodes, sample=arguments.check)
    print(json.dumps(found.to_json(), indent=2) if arguments.json else found)
    return DIFFERS if found.differences else 0


def _tell(differing: list[ResultDiffers]) -> None:
    if differing:
        print("holdfast: made again, with another result than before:", file=sys.stderr)
        print(*differing, sep="\n", file=sys.stderr)


def _targets(arguments: argparse.Namespace, nodes: Any) -> Iterable[tuple[str, Any]]:
    """Return under which names the nodes are to be found again."""
    if not arguments.target.endswith(".json"):
        return [(Path(arguments.target).name, nodes)]
    document = Path(arguments.target).name
    named = {arguments.name: nodes} if arguments.name else nodes
    return [(f"{document}:{name}", node) for name, node in named.items()]


def _nodes(arguments: argparse.Namespace) -> Any:
    if arguments.target.endswith(".json"):
        return load_targets(Path(arguments.target), arguments.allow, arguments.name)
    if arguments.allow or arguments.name:
        raise NotFound(
            "--allow and --target belong to a work graph. Of a script, write the name behind it: FILE.py:NAME"
        )
    path, name = split_target(arguments.target)
    return find_nodes(load_script(path), name)


def _sample(text: str) -> float:
    """Return how many calls are checked, or as a float which part of them."""
    try:
        number = int(text) if text.isdecimal() else float(text)
    except ValueError:
        number = 0.0
    if not (number > 0 and (isinstance(number, int) or number <= 1)):
        raise argparse.ArgumentTypeError(f"{text} is neither a number of calls nor a part of them, such as 0.1")
    return number


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text} is no number of workers; use 1 or more")
    return number


def _shown(value: Any) -> str:
    if isinstance(value, dict):
        return "\n".join(f"{label}: {_line(member)}" for label, member in value.items())
    return _line(value)


def _line(value: Any) -> str:
    if isinstance(value, bytes) and len(value) > 80:
        return f"{len(value)} bytes"
    return str(value)


def _plain(value: Any) -> Any:
    """Return a value in what JSON can say."""
    if isinstance(value, dict):
        return {label: _plain(member) for label, member in value.items()}
    if isinstance(value, list):
        return [_plain(member) for member in value]
    if hasattr(value, "tolist"):
        return _plain(value.tolist())
    if isinstance(value, complex):
        return [value.real, value.imag]
    if isinstance(value, bytes):
        import base64

        return base64.b64encode(value).decode("ascii")
    return value
