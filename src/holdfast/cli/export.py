"""`holdfast export FILE.py:NAME`: write a node of a script, and all that it depends on, as the document of a work graph."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from holdfast.cli.script import find_nodes, load_script, split_target
from holdfast.errors import WorkingDirectoryError
from holdfast.model.workgraph import WorkGraph

HELP = "write a node of a script as a work graph, which runs without the script's own commands"

EXAMPLE = "example:\n  holdfast export adaptive.py:final --output graph.json"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the arguments of the command."""
    parser.add_argument("target", metavar="FILE.py:NAME", help="script, and the node or mapping of nodes in it")
    parser.add_argument("--output", metavar="FILE", help="where to write it (default: standard output)")


def run(arguments: argparse.Namespace) -> int:
    """Run the command; return the exit status."""
    path, name = split_target(arguments.target)
    found = find_nodes(load_script(path), name)
    text = WorkGraph(found if isinstance(found, dict) else {name: found}).to_json()
    if arguments.output is None:
        sys.stdout.write(text)
        return 0
    try:
        Path(arguments.output).write_text(text, encoding="ascii")
    except OSError as error:
        raise WorkingDirectoryError(f"{arguments.output!r} cannot be written: {error.strerror}.") from error
    return 0
