"""Load the user's script and find the node that was named.

The script runs under its own name, as if it were imported, so that its functions have the names that an import gives them. Its folder is
on the path, as when Python runs it.
"""

from __future__ import annotations

import importlib.util
import sys
import traceback
from pathlib import Path
from types import TracebackType
from typing import Any

from holdfast.errors import GraphError, HoldfastError, NotFound
from holdfast.model.node import Node
from holdfast.model.reference import Part, Reference


def split_target(target: str) -> tuple[Path, str]:
    """Return file and name of a target written `FILE.py:NAME`.

    Raises
    ------
    NotFound
        It is not written like that, or there is no such file.
    """
    path, colon, name = target.rpartition(":")
    if not colon or not name.isidentifier():
        raise NotFound(f"{target!r} names no node. Write the file and the name in it: adaptive.py:final")
    return find_file(path), name


def find_file(path: str) -> Path:
    """Return the file of a script; NotFound if there is none."""
    place = Path(path)
    if not place.is_file():
        raise NotFound(f"There is no file {path!r}. Write the script and a name in it: adaptive.py:final")
    return place


def load_script(path: Path) -> Any:
    """Return the module that a script makes.

    Raises
    ------
    GraphError
        The script fails while it is loaded; holds its traceback.
    """
    name = path.stem.replace(".", "_").replace(" ", "_")
    sys.path.insert(0, str(path.parent.resolve()))
    spec = importlib.util.spec_from_file_location(name, path.resolve())
    if spec is None or spec.loader is None:
        raise NotFound(f"{str(path)!r} is no Python script.")
    module = importlib.util.module_from_spec(spec)
    module.__holdfast_script__ = True  # type: ignore[attr-defined]
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except HoldfastError:
        raise
    except (Exception, SystemExit) as error:
        shown = "".join(traceback.format_exception(type(error), error, _from_script(error.__traceback__, path)))
        raise GraphError(
            f"{str(path)!r} failed while it was loaded: {type(error).__name__}: {error}\n\n{shown.rstrip()}"
        ) from error
    return module


def _from_script(frames: TracebackType | None, path: Path) -> TracebackType | None:
    """Return the traceback from the script's own first line on."""
    while frames is not None and frames.tb_frame.f_code.co_filename != str(path.resolve()):
        frames = frames.tb_next
    return frames


def find_nodes(module: Any, name: str) -> Any:
    """Return the node, or mapping or list of nodes, of that name in a script.

    Raises
    ------
    NotFound
        The script has no such name; says which nodes it has.
    GraphError
        The name stands for something else.
    """
    if not hasattr(module, name):
        known = sorted(label for label, value in vars(module).items() if isinstance(value, Reference))
        raise NotFound(f"{module.__name__} has no name {name!r}. Nodes in it: {', '.join(known) or 'none'}.")
    found = getattr(module, name)
    if not _holds_nodes(found):
        raise GraphError(
            f"{module.__name__}.{name} is a {type(found).__name__}, expected a node, or a mapping or list of nodes."
        )
    return found


def all_nodes(module: Any) -> list[Reference]:
    """Return every node that has a name of its own in a script, and is no abstract graph."""
    return [found for found in vars(module).values() if isinstance(found, (Node, Part)) and not found.free]


def _holds_nodes(found: Any) -> bool:
    if isinstance(found, dict):
        return bool(found) and all(map(_holds_nodes, found.values()))
    if isinstance(found, (list, tuple)):
        return bool(found) and all(map(_holds_nodes, found))
    return isinstance(found, Reference)
