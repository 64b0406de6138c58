"""Whoever waits for a result can be interrupted."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

SCRIPT = """
import os, signal, sys, time
import holdfast as hf

signal.signal(signal.SIGINT, signal.default_int_handler)
signal.siginterrupt(signal.SIGINT, False)  # as polars does when it is imported

def work(x: int) -> int:
    open(sys.argv[1] + ".begun", "w").close()
    for _ in range(6000):
        time.sleep(0.01)
    return x

with hf.Session(sys.argv[1], engine="threads", workers=1) as session:
    try:
        session.result(hf.operation(work, name="driven.work")(1))
    except KeyboardInterrupt:
        print("interrupted", flush=True)
        os._exit(0)
"""


def test_ctrl_c_ends_the_wait_for_a_result_also_where_a_library_has_asked_that_it_ends_none(tmp_path: Path) -> None:
    command = [sys.executable, "-c", SCRIPT, str(tmp_path / "work")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        while not (tmp_path / "work.begun").exists() and process.poll() is None:
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        told, _ = process.communicate(timeout=30)
    assert told == "interrupted\n"
