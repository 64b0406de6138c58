"""Outlive the coordinator by a moment, and end what it leaves: its workers, and what they have started.

The workers watch the coordinator themselves, but one that is deep in compiled code may not get round to it. Runs as a
script of its own, so that it starts fast: imports nothing of holdfast. Reads lines from stdin: `+` or `-` and the
number of a process group.
"""

from __future__ import annotations

import os
import select
import signal

PROGRAM = __file__
"""What to run."""

CHECK_SECONDS = 0.5
"""A forked child of the coordinator may keep the pipe open, so the parent is looked at as well."""


def main() -> None:
    """Note the groups until the coordinator is gone, then end them."""
    parent = os.getppid()
    groups: set[int] = set()
    received = b""
    while os.getppid() == parent:
        if not select.select([0], [], [], CHECK_SECONDS)[0]:
            continue
        block = os.read(0, 65536)
        if not block:
            break
        *lines, received = (received + block).split(b"\n")
        for line in lines:
            (groups.add if line[:1] == b"+" else groups.discard)(int(line[1:]))
    for group in groups:
        try:
            os.killpg(group, signal.SIGKILL)
        except (ProcessLookupError, PermissionError):
            continue


if __name__ == "__main__":
    main()
