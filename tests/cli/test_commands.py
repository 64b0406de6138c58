"""The command line, as a user types it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

SCRIPT = """
import holdfast as hf

@hf.operation
def square(x: float) -> float:
    return helper(x)

def helper(x):
    return x * x

@hf.operation
def slow(x: int) -> int:
    import time
    time.sleep(600)

@hf.operation
def broken(x: int) -> int:
    return 1 // x

final = square(3.0)
several = {"first": final, "second": hf.map(square, [1.0, 2.0])}
waits = slow(1)
fails = broken(0)
number = 3

if __name__ == "__main__":
    import sys
    with hf.Session(sys.argv[1]) as session:
        print(session.result(final), final.uid, session.counts.reused)
"""


IMPORTING = """
import sys
import holdfast as hf
import study

with hf.Session(sys.argv[1]) as session:
    print(session.result(study.final), study.final.uid, session.counts.reused)
"""


@pytest.fixture
def script(tmp_path: Path) -> Path:
    path = tmp_path / "study.py"
    path.write_text(SCRIPT)
    return path


def holdfast(*arguments: object, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "holdfast.cli.main", *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=60,
        cwd=cwd,
    )


@pytest.mark.parametrize("engine", ["in_process", "threads", "processes"])
def test_run_prints_the_value_and_reuses_it_the_next_time(script: Path, tmp_path: Path, engine: str) -> None:
    for message in ("1 done, 0 reused", "0 done, 1 reused"):
        ended = holdfast("run", f"{script}:final", "--work", tmp_path / "work", "--engine", engine)
        assert (ended.returncode, ended.stdout) == (0, "9.0\n")
        assert message in ended.stderr


def test_run_takes_a_mapping_of_nodes_and_prints_json(script: Path, tmp_path: Path) -> None:
    ended = holdfast("run", f"{script}:several", "--work", tmp_path / "work", "--json", "--workers", 2)
    assert json.loads(ended.stdout) == {"first": 9.0, "second": [1.0, 4.0]}


def test_a_script_has_one_uid_however_it_is_run(script: Path, tmp_path: Path) -> None:
    holdfast("run", f"{script}:final", "--work", tmp_path / "work")
    as_script = subprocess.run([sys.executable, str(script), str(tmp_path / "work")], capture_output=True, text=True)
    (tmp_path / "importing.py").write_text(IMPORTING)
    imported = subprocess.run(
        [sys.executable, "importing.py", str(tmp_path / "work")], capture_output=True, text=True, cwd=tmp_path
    )
    assert as_script.stdout == imported.stdout
    assert as_script.stdout.startswith("9.0 ")
    assert as_script.stdout.endswith(" 1\n")


def test_a_failing_operation_is_shown_with_its_own_traceback(script: Path, tmp_path: Path) -> None:
    ended = holdfast("run", f"{script}:fails", "--work", tmp_path / "work")
    assert ended.returncode == 1
    assert "operation study.broken failed: ZeroDivisionError" in ended.stderr
    assert "return 1 // x" in ended.stderr
    assert "holdfast/runtime" not in ended.stderr
    status = json.loads(holdfast("status", "--work", tmp_path / "work", "--json").stdout)
    assert status["failed"] == 1
    assert status["failures"][0]["operation"] == "study.broken"


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (["run", "study.py"], 1, "names no node"),
        (["run", "none.py:final"], 1, "no file"),
        (["run", "study.py:nothing"], 1, "Nodes in it: fails, final, waits"),
        (["run", "study.py:number"], 1, "is a int"),
        (["run", "study.py:final", "--engine", "nonsense"], 1, "in_process"),
        (["run", "study.py:final", "--workers", "0"], 2, "1 or more"),
        (["run", "study.py:final", "--work", "study.py"], 1, "study.py"),
        (["run", "bad.py:final"], 1, "failed while it was loaded: ZeroDivisionError"),
        (["status", "--work", "nowhere"], 1, "nowhere"),
        (["status", "--work", "."], 1, "holdfast"),
        (["unlock", "--work", "nowhere"], 1, "nowhere"),
        (["nonsense"], 2, "invalid choice"),
        ([], 2, "required"),
    ],
)
def test_bad_input_gets_one_clear_error(
    script: Path, tmp_path: Path, arguments: list[str], status: int, message: str
) -> None:
    (tmp_path / "bad.py").write_text("final = 1 / 0\n")
    ended = holdfast(*arguments, cwd=tmp_path)
    assert ended.returncode == status
    assert message in ended.stderr
    assert "site-packages" not in ended.stderr
    assert "holdfast/cli" not in ended.stderr


def test_ctrl_c_ends_at_once_and_the_directory_resumes(script: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "holdfast.cli.main", "run", f"{script}:waits", "--work", str(tmp_path / "work")]
    for engine in ("processes", "in_process"):
        process = subprocess.Popen(
            [*command, "--engine", engine], stderr=subprocess.PIPE, text=True, start_new_session=True
        )
        wait_until_running(tmp_path / "work")
        os.killpg(process.pid, signal.SIGINT)
        _, errors = process.communicate(timeout=20)
        assert process.returncode == 130, errors
        assert "goes on from there" in errors
        assert "Traceback" not in errors
    assert holdfast("run", f"{script}:final", "--work", tmp_path / "work").returncode == 0


def wait_until_running(work: Path) -> None:
    end = time.monotonic() + 30
    while time.monotonic() < end:
        status = holdfast("status", "--work", work, "--json")
        if status.returncode == 0 and (json.loads(status.stdout)["sessions"] or [{}])[0].get("alive"):
            time.sleep(0.7)
            return
    raise AssertionError("it never began")


def test_status_runs_beside_a_live_session(script: Path, tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "holdfast.cli.main", "run", f"{script}:waits", "--work", str(tmp_path / "work")],
        stderr=subprocess.PIPE,
    )
    try:
        wait_until_running(tmp_path / "work")
        assert "works here now" in holdfast("status", "--work", tmp_path / "work").stdout
        assert holdfast("run", f"{script}:final", "--work", tmp_path / "work").stdout == "9.0\n"
        refused = holdfast("verify", "--repair", "--work", tmp_path / "work")
        assert refused.returncode == 1
        assert str(process.pid) in refused.stderr
        assert "since" in refused.stderr
    finally:
        process.kill()
        process.communicate()
    assert "was cut off" in holdfast("status", "--work", tmp_path / "work").stdout


def test_unlock_frees_a_directory_of_a_dead_owner_elsewhere(script: Path, tmp_path: Path) -> None:
    work = tmp_path / "work"
    assert holdfast("run", f"{script}:final", "--work", work).returncode == 0
    names = {
        "host": "elsewhere",
        "boot": "other",
        "process": 7,
        "started": "1",
        "session": "far",
        "since": "",
        "space": "",
    }
    (work / "owner.json").write_text(json.dumps(names))
    refused = holdfast("run", f"{script}:final", "--work", work)
    assert refused.returncode == 1
    assert f"holdfast unlock --work {work}" in refused.stderr
    assert "is free. It was held by session far of process 7 on elsewhere" in holdfast("unlock", "--work", work).stdout
    assert holdfast("run", f"{script}:final", "--work", work).returncode == 0
    assert json.loads(holdfast("unlock", "--work", work, "--json").stdout)["owners"] == []


def test_what_the_file_system_refuses_is_told_in_one_sentence(script: Path, tmp_path: Path) -> None:
    work = tmp_path / "work"
    holdfast("run", f"{script}:final", "--work", work, "--engine", "in_process", "--quiet")
    (work / "owner.json").mkdir()  # it opens, and cannot be read
    refused = holdfast("status", "--work", work)
    assert refused.returncode == 1
    assert refused.stderr.startswith("holdfast: ")
    assert "Is a directory" in refused.stderr
    assert "Traceback" not in refused.stderr


def test_a_reader_that_has_seen_enough_is_no_failure(script: Path, tmp_path: Path) -> None:
    holdfast("run", f"{script}:final", "--work", tmp_path / "work")
    command = [sys.executable, "-m", "holdfast.cli.main", "status", "--work", str(tmp_path / "work")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as told:
        assert told.stdout is not None
        assert told.stderr is not None
        told.stdout.close()
        assert told.stderr.read() == ""
        assert told.wait(60) == 0


def test_the_version_is_told() -> None:
    import holdfast as hf

    assert holdfast("--version").stdout == f"holdfast {hf.__version__}\n"


@pytest.mark.parametrize("command", ["run", "export", "status", "unlock", "explain", "accept"])
def test_every_command_has_help_with_an_example(command: str) -> None:
    ended = holdfast(command, "--help")
    assert ended.returncode == 0
    assert "example:" in ended.stdout
