"""Say what a working directory holds: how much is done, what failed, and who works there. Reads only, also beside a live session."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from holdfast.storage.catalog import Catalog
from holdfast.storage.ownership import is_alive, read_owner
from holdfast.storage.rows import FailureRow
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
    session: dict[str, Any]
    """The latest session: id, host, process, started, ended, progress, and whether it is alive; empty if there was none."""
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
        return Inventory(str(workdir.path), 0, 0, 0, {}, ())
    with Catalog.open(workdir, read_only=True) as catalog:
        totals = catalog.totals()
        sessions = catalog.find_sessions(1)
        failures = tuple(catalog.list_failures(FAILURES_SHOWN))
    session: dict[str, Any] = {}
    if sessions:
        row = sessions[0]
        owner = json.loads(row.owner)
        holder = read_owner(workdir.owner_path)
        alive = holder is not None and holder.session == row.id and is_alive(holder) is not False
        session = {
            "id": row.id, "host": owner.get("host"), "process": owner.get("process"), "engine": row.engine, "started": row.started,
            "ended": row.ended, "alive": alive, "progress": json.loads(row.progress),
        }  # fmt: skip
    return Inventory(str(workdir.path), totals.nodes, totals.calls, totals.failures, session, failures)


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
