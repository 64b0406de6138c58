"""Run one workload of one contestant in this process, and print what it took as JSON.

python -m benchmarks.one holdfast_session tasks_in_process 1000 DIRECTORY
"""

from __future__ import annotations

import json
import resource
import sys
import time
from importlib import import_module
from typing import Any

RSS_UNIT = 1 if sys.platform == "darwin" else 1024
"""Bytes in which `getrusage` counts memory."""


def main(contestant: str, workload: str, size: int, work: str) -> None:
    """Run it and print seconds, memory and notes."""
    module = import_module(f"benchmarks.contestants.{contestant}")
    module.prepare()
    notes: dict[str, float] = {}
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    started, cpu = time.perf_counter(), time.process_time()
    value: Any = getattr(module, workload)(size, work, notes)
    seconds, cpu_seconds = time.perf_counter() - started, time.process_time() - cpu
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - memory
    measured = {"seconds": seconds, "cpu": cpu_seconds, "memory": grown * RSS_UNIT, "value": float(value), **notes}
    print(json.dumps(measured))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4])
