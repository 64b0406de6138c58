"""Measure what it takes to fingerprint 1 000 operations of a generated package of 50 modules, beside compiling its sources once.

python -m benchmarks.implementation

Each round has a fresh process, which has read no source yet; its start and the imports are not counted. Printed is the best of five.
The goal is less than one second.
"""

from __future__ import annotations

import importlib
import subprocess
import sys
import tempfile
import time
from itertools import pairwise
from pathlib import Path

MODULES, OPERATIONS, ROUNDS = 50, 20, 5
PACKAGE = "generated"

HEAD = """import numpy as np
import holdfast as hf
from dataclasses import dataclass
{before}

SCALE = {number}
TABLE = {{"a": 1, "b": [1, 2]}}


@dataclass
class Settings:
    steps: int = 4

    def total(self):
        return self.steps * SCALE
"""

BODY = '''

def helper{each}(x):
    # adds what the one before it has
    y = x * SCALE + {number}
    for i in range({each}):
        y += np.sum(y) + Settings().total()
    return y + {behind}


@hf.operation
def operation{each}(x: float) -> float:
    """Document it."""
    return helper{each}(x) + TABLE["a"] + {number}
'''


def main() -> None:
    """Write the package, measure each round in a process of its own, and print the best."""
    with tempfile.TemporaryDirectory() as folder:
        write(Path(folder) / PACKAGE)
        rounds = [_measured(folder) for _ in range(ROUNDS)]
    took, again, compiled = (min(values) for values in zip(*rounds, strict=True))
    count = MODULES * OPERATIONS
    print(f"{count} operations of {MODULES} modules: {took:.2f} s of processor time, {took / count * 1e3:.2f} ms each")
    print(f"asked again: {again * 1e3:.0f} ms, {again / count * 1e6:.0f} µs each")
    print(f"compiling the {MODULES} sources once: {compiled:.2f} s; ratio {took / compiled:.1f}")


def write(folder: Path) -> None:
    """Write the package: helpers that reach those before them, in chains of ten modules; no two texts are alike."""
    folder.mkdir()
    (folder / "__init__.py").touch()
    for number in range(MODULES):
        is_first = number % 10 == 0
        text = HEAD.format(number=number, before="" if is_first else f"from {PACKAGE} import m{number - 1} as before")
        for each in range(OPERATIONS):
            last = "x" if is_first else f"before.helper{OPERATIONS - 1}(x)"
            text += BODY.format(number=number, each=each, behind=f"helper{each - 1}(x)" if each else last)
        (folder / f"m{number}.py").write_text(text)


def measure(folder: str) -> None:
    """Print the seconds of processor time of the first fingerprints, of the second look, and of compiling the sources."""
    sys.path.insert(0, folder)
    modules = [importlib.import_module(f"{PACKAGE}.m{number}") for number in range(MODULES)]
    operations = [getattr(module, f"operation{each}") for module in modules for each in range(OPERATIONS)]
    sources = [Path(str(module.__file__)).read_text() for module in modules]
    times = [time.process_time()]
    uids = {operation.implementation.uid for operation in operations}
    times.append(time.process_time())
    if uids != {operation.implementation.uid for operation in operations} or len(uids) != len(operations):
        raise SystemExit("the operations have not one implementation each")
    times.append(time.process_time())
    for source in sources:
        compile(source, "<source>", "exec")
    times.append(time.process_time())
    print(*(end - start for start, end in pairwise(times)))


def _measured(folder: str) -> list[float]:
    command = [sys.executable, "-m", "benchmarks.implementation", folder]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    return [float(word) for word in ended.stdout.split()]


if __name__ == "__main__":
    if sys.argv[1:]:
        measure(sys.argv[1])
    else:
        main()
