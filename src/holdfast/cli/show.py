"""`holdfast show UID|NAME`: show what is kept for one node: record, inputs, place, size, digest, and what its arrays look like."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict

from holdfast.model.record import parse_record
from holdfast.storage.entry import Entry, find_entry
from holdfast.storage.summary import Summary, TableSummary

HELP = "show the record and the result of one node that is done"

EXAMPLE = "example:\n  holdfast show 3f2a91 --work runs/adaptive\n  holdfast show final --work runs/adaptive"

_SHOWN = 400


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the arguments of the command."""
    parser.add_argument("node", metavar="UID|NAME", help="uid or its beginning, or what was asked for")
    parser.add_argument("--work", default="work", metavar="DIR", help="working directory (default: %(default)s)")
    parser.add_argument("--json", action="store_true", help="print as JSON")


def run(arguments: argparse.Namespace) -> int:
    """Run the command; return the exit status."""
    entry = find_entry(arguments.work, arguments.node)
    if arguments.json:
        print(json.dumps({**asdict(entry), "record": parse_record(entry.record)}, indent=2, allow_nan=True))
    else:
        print("\n".join(_lines(entry)))
    return 0


def _lines(entry: Entry) -> list[str]:
    record = parse_record(entry.record)
    lines = [f"node       {entry.uid}", f"operation  {entry.operation}"]
    lines += [f"input      {label}: {_short(json.dumps(value))}" for label, value in sorted(record["input"].items())]
    lines += [
        f"depends    {', '.join(record['depends']) or 'nothing'}",
        f"place      {entry.place}",
        f"size       {entry.size} bytes, computed in {entry.seconds:.3g} s",
        f"digest     {entry.digest}",
        f"value      {_short(entry.text)}",
    ]
    for summary in entry.arrays:
        lines += _array_lines(summary)
    for table in entry.tables:
        lines += _table_lines(table)
    return lines


def _table_lines(table: TableSummary) -> list[str]:
    columns = ", ".join(f"{name} {kind}" for name, kind in table.columns)
    first = f"           of {table.library}, {table.rows} rows and {len(table.columns)} columns in {table.place}"
    return [f"table      {table.digest}", first, f"           {_short(columns)}"]


def _array_lines(summary: Summary) -> list[str]:
    lines = [f"array      {summary.digest}", f"           {summary.dtype} {list(summary.shape)} in {summary.place}"]
    if summary.mean is not None:
        lines.append(f"           from {summary.minimum:.6g} to {summary.maximum:.6g}, mean {summary.mean:.6g}")
    if summary.unusual:
        lines.append(f"           {summary.unusual} values are infinite or no numbers")
    lines.append(f"           begins with {', '.join(map(str, summary.first)) or 'nothing'}")
    return lines


def _short(text: str) -> str:
    return text if len(text) <= _SHOWN else text[: _SHOWN - 3] + "..."
