"""`holdfast collect`: remove what the named targets of a working directory do not need. Changes nothing without `--apply`."""

from __future__ import annotations

import argparse
import json
import re
import time
from dataclasses import asdict

from holdfast.storage.collect import Choice, Collection, KeptTarget, RemovedGroup, collect

HELP = "remove what the named targets do not need; without --apply, only show what that would be"

EXAMPLE = (
    "example:\n  holdfast collect --work runs/adaptive --drop-target old.py:final"
    "\n  holdfast collect --work runs/adaptive --older-than 30d --apply"
    "\n  holdfast collect --work runs/adaptive --down-to 10GiB --apply"
)

_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 7 * 86400, "y": 365 * 86400}
_BYTES = {"": 1, "b": 1, **{f"{unit}ib": 1024**power for power, unit in enumerate("kmgt", 1)}}
_BYTES |= {f"{unit}b": 1000**power for power, unit in enumerate("kmgt", 1)}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the arguments of the command."""
    parser.add_argument("--work", default="work", metavar="DIR", help="working directory (default: %(default)s)")
    parser.add_argument("--apply", action="store_true", help="do it, as the only owner of the directory")
    parser.add_argument(
        "--drop-target", action="append", default=[], metavar="NAME", help="give this name up, and what only it needs"
    )
    parser.add_argument("--keep", action="append", metavar="NAME", help="give up all names but these")
    parser.add_argument(
        "--older-than", type=_age, metavar="AGE", help="only what was made longer ago: 12h, 30d, 8w (by the clock)"
    )
    parser.add_argument(
        "--down-to",
        type=_size,
        metavar="SIZE",
        help="only until so much is left, what was made first goes first: 10GiB",
    )
    parser.add_argument(
        "--results-only", action="store_true", help="keep results of targets, but not what they were computed from"
    )
    parser.add_argument("--everything", action="store_true", help="remove everything, if there are no targets")
    parser.add_argument("--json", action="store_true", help="print as JSON")


def run(arguments: argparse.Namespace) -> int:
    """Run the command; return the exit status."""
    choice = Choice(
        drop=arguments.drop_target,
        keep=arguments.keep,
        older_than=arguments.older_than,
        down_to=arguments.down_to,
        results_only=arguments.results_only,
        everything=arguments.everything,
    )
    found = collect(arguments.work, choice, apply=arguments.apply)
    if arguments.json:
        print(json.dumps({**asdict(found), "results": found.results, "size": found.size}, indent=2))
    else:
        print("\n".join(_lines(found)))
    return 0


def _lines(found: Collection) -> list[str]:
    lines = [found.directory, "kept, because a target needs it:", *map(_kept_line, found.kept)]
    if not found.kept:
        lines.append("  nothing: there is no target")
    if found.chosen.results:
        why = "it is as old as a result of an earlier holdfast that a target needs" if found.is_older else "of its age"
        lines.append(f"kept, because {why}: {_amount(found.chosen.results, found.chosen.size)}")
    lines.append("removed:" if found.is_done else "would be removed:")
    lines += [f"  the name {name}" for name in found.dropped]
    lines += map(_removed_line, found.removed)
    if found.orphans.results:
        lines.append(f"  {found.orphans.results} stores that nothing names, {_shown(found.orphans.size)}")
    if found.failures:
        lines.append(f"  {found.failures} failures of what nothing needs")
    if not (found.removed or found.orphans.results or found.failures or found.dropped):
        lines.append("  nothing")
    lines.append(f"together {_amount(found.results, found.size)}")
    if not found.is_done:
        lines.append(f"Nothing was changed. To do it, add {'--everything ' if found.is_everything else ''}--apply")
    elif found.gaps:
        lines.append(f"{_shown(found.gaps)} of the catalog are empty now, and are used for what comes next")
    return lines


def _kept_line(target: KeptTarget) -> str:
    state = "" if target.is_done else ", not finished"
    return f"  {target.name}  {_amount(target.results, target.size)}{state}"


def _removed_line(group: RemovedGroup) -> str:
    name = group.operation or "of an earlier holdfast"
    return f"  {name}  {_amount(group.results, group.size)}, {_ages(group)}"


def _ages(group: RemovedGroup) -> str:
    if not group.oldest:
        return "age not known"
    oldest, newest = _ago(group.oldest), _ago(group.newest)
    return f"{newest} old" if oldest == newest else f"from {newest} to {oldest} old"


def _ago(made: int) -> str:
    seconds = max(time.time() - made, 0)
    if seconds < 3600:
        return "under 1 h"
    return f"{seconds / 3600:.0f} h" if seconds < 2 * 86400 else f"{seconds / 86400:.0f} d"


def _amount(results: int, size: int) -> str:
    return f"{results} result{'' if results == 1 else 's'}, {_shown(size)}"


def _shown(size: float) -> str:
    for unit in ("B", "KiB", "MiB", "GiB"):
        if size < 1024:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1024
    return f"{size:.1f} TiB"


def _age(text: str) -> float:
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([smhdwy])", text)
    if found is None:
        raise argparse.ArgumentTypeError(f"{text!r} is no age; write 12h, 30d, 8w or 1y")
    return float(found[1]) * _SECONDS[found[2]]


def _size(text: str) -> int:
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([A-Za-z]*)", text)
    if found is None or found[2].lower() not in _BYTES:
        raise argparse.ArgumentTypeError(f"{text!r} is no size; write 500MB, 10GiB or a number of bytes")
    return int(float(found[1]) * _BYTES[found[2].lower()])
