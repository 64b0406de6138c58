"""One process at a time comes through, in turn, and nobody waits for ever."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from holdfast.errors import StoreFailure
from holdfast.storage.lockfile import LockFile
from holdfast.storage.turnstile import Turnstile

Start = Callable[..., "subprocess.Popen[str]"]

HOLD = """
import sys
from pathlib import Path
from holdfast.storage.turnstile import Turnstile
with Turnstile(Path(sys.argv[1])).passing():
    print("through", flush=True)
    sys.stdin.readline()
print("out", flush=True)
sys.stdin.readline()
"""

COUNT = """
import sys
from pathlib import Path
from holdfast.storage.turnstile import Turnstile
turnstile, count = Turnstile(Path(sys.argv[1])), Path(sys.argv[2])
for _ in range(200):
    with turnstile.passing():
        count.write_text(str(int(count.read_text()) + 1))
"""


def wait_for(program: subprocess.Popen[str], line: str) -> None:
    assert program.stdout is not None
    assert program.stdout.readline() == f"{line}\n"


def tell(program: subprocess.Popen[str]) -> None:
    assert program.stdin is not None
    program.stdin.write("\n")
    program.stdin.flush()


def test_who_waits_too_long_is_told_for_whom(tmp_path: Path, start: Start) -> None:
    holder = start(HOLD, tmp_path / "lock")
    wait_for(holder, "through")
    os.kill(holder.pid, signal.SIGSTOP)
    late = Turnstile(tmp_path / "lock", patience=0.2)
    with pytest.raises(StoreFailure, match=f"process {holder.pid} has kept lock locked"), late.passing():
        pass
    os.kill(holder.pid, signal.SIGCONT)
    tell(holder)
    wait_for(holder, "out")
    with Turnstile(tmp_path / "lock", patience=0.2).passing():
        pass


def test_a_killed_process_is_in_nobodys_way(tmp_path: Path, start: Start) -> None:
    holder = start(HOLD, tmp_path / "lock")
    wait_for(holder, "through")
    holder.kill()
    with Turnstile(tmp_path / "lock", patience=5).passing():
        pass


def test_only_one_is_through_at_a_time(tmp_path: Path, start: Start) -> None:
    count = tmp_path / "count"
    count.write_text("0")
    programs = [start(COUNT, tmp_path / "lock", count) for _ in range(3)]
    assert [program.wait(60) for program in programs] == [0, 0, 0]
    assert count.read_text() == "600"


def test_who_waits_longest_is_next_however_often_another_comes(tmp_path: Path, start: Start) -> None:
    """Whoever is through cannot pass again before the one that waits: the place of the next is taken."""
    here = Turnstile(tmp_path / "lock", patience=0.2)
    with here.passing():
        waiting = start(HOLD, tmp_path / "lock")
        while not here._lock.is_held(1):  # until it stands in the place of the next
            assert waiting.poll() is None
            time.sleep(0.01)
    with pytest.raises(StoreFailure), here.passing():
        pass
    wait_for(waiting, "through")
    tell(waiting)
    wait_for(waiting, "out")


def test_a_forked_child_holds_nothing(tmp_path: Path) -> None:
    held = LockFile(tmp_path / "lock")
    assert held.take(7)
    child = os.fork()
    if child == 0:
        os._exit(0 if held.is_held(7) else 1)
    assert os.waitpid(child, 0)[1] == 0
    assert held.holder(7) == 0  # of others
    held.close()
