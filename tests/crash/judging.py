"""Say what is wrong with a directory that a program left: as a new process would find it, and after the program was run again.

Nothing that was acknowledged may be missing, nothing may be damaged or wrong, and nothing that was committed may run again. What a session
leaves behind must be gone when the next one has ended.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import programs

import holdfast as hf
from holdfast.cli.main import main
from holdfast.storage.catalog import Catalog
from holdfast.storage.rows import CallRow
from holdfast.storage.workdir import open_workdir


def judge(trial: Path, name: str, *, may_lose: bool = False, repair: bool = False) -> list[str]:
    """Return what is wrong.

    Parameters
    ----------
    trial : Path
        Folder of the trial; the working directory is `work` in it.
    name : str
        Program.
    may_lose : bool
        What was acknowledged last may be missing, but nothing before something that is there.
    repair : bool
        The directory was damaged before, and is repaired first.
    """
    os.environ["TRIAL"] = str(trial)
    try:
        if repair:
            main(["verify", "--repair", "--work", str(trial / "work")])
        return [*_judge(trial, name, may_lose)]
    except Exception as error:
        return [f"the judge met {type(error).__name__}: {error}"]


def lines(trial: Path, file: str) -> list[str]:
    """Return the lines of a file of the trial; none if it was not made."""
    path = trial / file
    return path.read_text().splitlines() if path.exists() else []


def _judge(trial: Path, name: str, may_lose: bool) -> Iterator[str]:
    work, program = trial / "work", programs.PROGRAMS[name]
    acknowledged, before = list(dict.fromkeys(lines(trial, "acknowledged"))), lines(trial, "ran")
    if (work / "holdfast.json").exists():
        yield from verify(work, may_lose=may_lose)
    elif acknowledged and not may_lose:
        yield f"there is no directory, but {acknowledged[-1]} was acknowledged"
    with warnings.catch_warnings(record=True) as warned, hf.Session(work, **program.options) as session:
        warnings.simplefilter("always")
        kept = _texts(work) | {
            label for label, node in program.nodes.items() if session.status(node) is hf.NodeState.DONE
        }
        yield from _lost([line for line in acknowledged if not _is_there(line, session)], acknowledged, may_lose)
        for label, node in program.nodes.items():
            if not _is_equal(value := session.result(node), program.values[label]):
                yield f"{label} is {value!r:.80}"
    yield from (f"a warning: {warning.message}" for warning in warned)
    again = kept & set(lines(trial, "ran")[len(before) :])
    if again:
        yield f"ran again although committed: {sorted(again)[:5]}"
    yield from _left_behind(work)
    yield from verify(work, may_lose=may_lose)


def _is_there(line: str, session: hf.Session) -> bool:
    kind, uid, *number = line.split()
    if kind == "node":
        return session.status(uid) is hf.NodeState.DONE
    nodes = (node for program in programs.PROGRAMS.values() for node in program.nodes.values())
    return len(session.rounds(next(node for node in nodes if node.uid == uid))) >= int(number[0])


def _lost(lost: list[str], acknowledged: list[str], may_lose: bool) -> Iterator[str]:
    if lost and not (may_lose and lost == acknowledged[-len(lost) :]):
        yield f"acknowledged and lost: {lost[:3]} of {acknowledged}"


def _texts(work: Path) -> set[str]:
    """Return the values of all calls that are committed, as far as they stand in the catalog."""
    with Catalog.open(open_workdir(work, create=False), read_only=True) as catalog:
        return {row.text.decode() for row in catalog.walk(CallRow) if isinstance(row, CallRow) and row.text is not None}


def _is_equal(found: Any, expected: Any) -> bool:
    if isinstance(expected, np.ndarray):
        return isinstance(found, np.ndarray) and np.array_equal(found, expected)
    return bool(found == expected)


def verify(work: Path, *, may_lose: bool = False) -> Iterator[str]:
    """Ask the command line what is damaged. Where the newest may be lost, it may say so: that is of no node that it knows."""
    with contextlib.redirect_stdout(io.StringIO()) as output, contextlib.redirect_stderr(io.StringIO()) as errors:
        status = main(["verify", "--work", str(work), "--json"])
    findings = (
        json.loads(output.getvalue())["findings"] if output.getvalue() else [{"node": "", "said": errors.getvalue()}]
    )
    if status and not (may_lose and all(not finding["node"] for finding in findings)):
        yield f"holdfast verify: {findings}"


def _left_behind(work: Path) -> Iterator[str]:
    left = [path for path in work.rglob("*") if path.parent.name == "tmp" or path.suffix in (".state", ".writer")]
    left += [*work.glob("owner.json"), *work.glob("sessions/*")]
    if left:
        yield f"left behind: {[str(path.relative_to(work)) for path in left][:5]}"
