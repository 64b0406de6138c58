"""The page on checkpoints is run: as a script, killed, and continued; and without a session."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs/how-to/checkpoint-inside-an-operation.md"
SCRIPT, ALONE = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)


def test_the_script_goes_on_after_a_kill_and_its_function_works_alone(tmp_path: Path) -> None:
    (tmp_path / "walk.py").write_text(SCRIPT)
    command = [sys.executable, "walk.py"]
    first = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.DEVNULL)
    end = time.monotonic() + 60
    while not list((tmp_path / "work").glob("checkpoints/*/*/*.state")):
        assert first.poll() is None, "it ended before it wrote a state"
        assert time.monotonic() < end
        time.sleep(0.005)
    first.kill()
    first.wait()
    second = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True, timeout=120)
    assert not list((tmp_path / "work").glob("checkpoints/*/*/*"))
    alone = f"from walk import *\n{ALONE}\nprint(random_walk.function(1, steps=20_000, checkpoint=hf.Checkpoint()))\n"
    (tmp_path / "alone.py").write_text(alone)
    undisturbed = subprocess.run(
        [sys.executable, "alone.py"], cwd=tmp_path, capture_output=True, text=True, timeout=120
    )
    assert undisturbed.returncode == 0, undisturbed.stderr
    assert undisturbed.stdout == second.stdout
