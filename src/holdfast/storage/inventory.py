"""Say what a working directory holds: how much is done, what failed, and who works there. Reads only, also beside a live session."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from holdfast.storage.catalog import Catalog
from holdfast.storage.owner import is_alive
from holdfast.storage.ownership import named
from holdfast.storage.rows import FailureRow, SessionRow
from holdfast.storage.workdir import WorkDirectory, open_workdir

FAILURES_SHOWN = 20


@dataclass(frozen=True, slots=True)
class Inventory:
    """What a working directory holds."""

    directory: str
    nodes: int
    """Nodes that are done."""
    calls: int
    """Results of operations and ensemble members."""
    failed: int
    sessions: tuple[dict[str, Any], ...]
    """All that work there or were cut off there lately, or else the latest: id, host, process, engine, started, ended, progress, and
    whether it is alive."""
    failures: tuple[FailureRow, ...]
    """The latest failures."""


def take_inventory(working_directory: str | os.PathLike[str]) -> Inventory:
    """Return what a working directory holds.

    Raises
    ------
    WorkingDirectoryError
        It is none.
    """
    workdir = open_workdir(working_directory, create=False)
    if not workdir.catalog_path.exists():
        return Inventory(str(workdir.path), 0, 0, 0, (), ())
    with Catalog.open(workdir, read_only=True) as catalog:
        totals = catalog.totals()
        latest = catalog.find_sessions(1)
        alive = {holder.session: is_alive(holder) is not False for _, holder in named(workdir)}
        working = [row for name in sorted(alive) if (row := catalog.find_session(name)) is not None]
        failures = tuple(catalog.list_failures(FAILURES_SHOWN))
    sessions = tuple(_describe(row, alive.get(row.id, False)) for row in working or latest)
    return Inventory(str(workdir.path), totals.nodes, totals.calls, totals.failures, sessions, failures)


def _describe(row: SessionRow, alive: bool) -> dict[str, Any]:
    owner = json.loads(row.owner)
    return {
        "id": row.id, "host": owner.get("host"), "process": owner.get("process"), "engine": row.engine, "started": row.started,
        "ended": row.ended, "alive": alive, "progress": json.loads(row.progress),
    }  # fmt: skip


def open_to_look(working_directory: str | os.PathLike[str]) -> tuple[WorkDirectory, Catalog]:
    """Open a working directory and its catalog to read, also beside a live session; one that is not made yet is empty.

    Raises
    ------
    WorkingDirectoryError
        It is something else.
    """
    place = Path(os.path.abspath(working_directory))
    if not place.exists() or (place.is_dir() and not os.listdir(place)):
        workdir = WorkDirectory(place)
        return workdir, Catalog.nothing(workdir)
    workdir = open_workdir(place, create=False)
    if not workdir.catalog_path.exists():
        return workdir, Catalog.nothing(workdir)
    return workdir, Catalog.open(workdir, read_only=True)
