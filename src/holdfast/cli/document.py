"""Load the targets of a work graph's document, with operations of the modules and scripts that were allowed. Imports nothing else."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from holdfast.authoring.resolve import Allowable, allow
from holdfast.cli.script import load_script
from holdfast.errors import NotFound
from holdfast.model.workgraph import WorkGraph


def load_targets(path: Path, allowed: Sequence[str], name: str | None) -> Any:
    """Return a target of the document, or all of them by name.

    Raises
    ------
    NotFound
        There is no such file, module, operation or target.
    InvalidData
        The document is wrong; names the place in it.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise NotFound(f"The work graph {str(path)!r} cannot be read: {reason}. Check the path.") from error
    graph = WorkGraph.from_json(text, allow(*map(_source, allowed)))
    return graph[name] if name is not None else dict(graph.targets)


def _source(named: str) -> Allowable:
    """Return the module of a script, or the name of a module, which may stand in the current folder."""
    if named.endswith(".py"):
        script = Path(named)
        if not script.is_file():
            raise NotFound(f"There is no file {named!r} to allow.")
        module: Allowable = load_script(script)
        return module
    if os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())
    return named
