"""The trials themselves: calls are seen, fail and kill as they are told, and a program that is wrong is caught."""

from __future__ import annotations

import platform
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(
    (sys.platform, platform.machine()) != ("linux", "x86_64"), reason="system calls are traced on Linux x86-64 only"
)

TRACE = """
import errno, os, sys, threading
from tracing import CALLS, Fate, run_traced

class Watcher:
    def __init__(self, at=None, fate=Fate.IS_SEEN):
        self.at, self.fate, self.seen, self.results = at, fate, [], []
    def entered(self, call):
        if not call.paths or not call.paths[0].startswith(sys.argv[1]):
            return Fate.HAPPENS
        self.seen.append(call.name)
        return self.fate if self.at in (None, call.name) else Fate.HAPPENS
    def left(self, call, result):
        self.results.append(result)

def make(name):
    path = os.path.join(sys.argv[1], name)
    with open(path, "wb") as stream:
        stream.write(b"abc")
    os.rename(path, path + ".done")

def program():
    threads = [threading.Thread(target=make, args=(name,)) for name in "abc"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return 7

def trace(**options):
    watcher = Watcher(**options)
    return run_traced(program, watcher, calls=frozenset(CALLS), seconds=20), watcher

"""


def run(code: str, place: Path) -> list[str]:
    """Run code beside the trials and return the lines that it prints."""
    command = [sys.executable, "-c", TRACE + code, str(place)]
    ended = subprocess.run(command, cwd=Path(__file__).parent, capture_output=True, text=True, timeout=120)
    assert ended.returncode == 0, ended.stderr
    return ended.stdout.splitlines()


def test_the_calls_of_all_threads_are_seen_with_their_results(tmp_path: Path) -> None:
    code = "status, watcher = trace(); print(status, *(watcher.seen.count(name) for name in ('openat', 'write', 'rename')))"
    code += "\nprint(watcher.results.count(3) >= 3, min(watcher.results) >= 0)"
    assert run(code, tmp_path) == ["7 3 3 3", "True True"]


def test_a_call_at_which_a_program_is_killed_does_not_happen(tmp_path: Path) -> None:
    assert run("print(trace(at='rename', fate=Fate.KILLS)[0])", tmp_path) == ["-9"]
    assert not list(tmp_path.glob("*.done"))
    assert any(path.stat().st_size == 3 for path in tmp_path.iterdir())


def test_a_call_that_fails_does_not_happen_and_says_why(tmp_path: Path) -> None:
    code = "program = lambda: make('a')\ntry: trace(at='write', fate=errno.ENOSPC)\nfinally: print(os.stat(sys.argv[1] + '/a').st_size)"
    assert run(code, tmp_path) == ["0"]


def test_a_program_that_hangs_is_ended(tmp_path: Path) -> None:
    code = "import time\nprint(run_traced(lambda: time.sleep(60), Watcher(), calls=frozenset({'write'}), seconds=0.5))"
    assert run(code, tmp_path) == ["None"]


PREPARED = """
import random
import programs
from report import Report
from situations import Prepared, Situation
from trials import Trials

def find(try_in, situation, *options):
    trials, report, chance = Trials(), Report(), random.Random(1)
    try:
        try_in(Prepared(trials, chance), situation, *options, chance, report)
        print(*report.violations, sep="\\n")
    finally:
        trials.close()

"""

HASTY = """
from kill import kill_in
ask = programs.hf.Session.result
def acknowledge_first(self, node):
    programs.leave("acknowledged", f"node {node.uid}")
    return ask(self, node)
programs.hf.Session.result = acknowledge_first

find(kill_in, Situation("acknowledge first", "small"), 12)
"""

FORGETFUL = """
from cut import cut_in
prepare = Prepared.begin
def begin(self, situation):
    os.fsync = lambda descriptor: None
    return prepare(self, situation)
Prepared.begin = begin
find(cut_in, Situation("forget to flush", "numpy"), False, 40)
"""


def test_a_session_that_acknowledges_too_early_is_caught(tmp_path: Path) -> None:
    assert any("acknowledged and lost" in line for line in run(PREPARED + HASTY, tmp_path))


def test_a_session_that_does_not_flush_is_caught(tmp_path: Path) -> None:
    assert any("is damaged" in line for line in run(PREPARED + FORGETFUL, tmp_path))


@pytest.mark.skipif(shutil.which("cc") is None, reason="turning the clock needs a C compiler: install gcc")
def test_the_clock_is_turned(tmp_path: Path) -> None:
    code = "import time\nfrom turn import Clock\nclock = Clock()\nbefore = time.time(), time.monotonic()\nclock.set(-1_000_000)\n"
    code += "print(round(time.time() - before[0], -3), time.monotonic() - before[1] < 100)\nclock.close()"
    assert run(code, tmp_path) == ["-1000000.0 True"]
