from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path

import pytest

from holdfast.engines import process_handle
from holdfast.engines.processes import ProcessesEngine
from holdfast.runtime.job import Call, Code, Failed, Finished, Job, Lost
from holdfast.testing import calculations
from holdfast.testing.engines import EngineConformance, Reports, make_job, value_of, wait_until


class TestProcessesEngine(EngineConformance):
    def make_engine(self) -> ProcessesEngine:
        return ProcessesEngine(2)


@pytest.fixture
def make_engine():
    engines = []

    def make(workers):
        engines.append(ProcessesEngine(workers))
        return engines[-1]

    yield make
    for engine in engines:
        engine.close()


def is_alive(process: int) -> bool:
    """Whether a process is there and no zombie, which only waits for its parent to look."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def run_coordinator(source: str, folder: Path, *arguments: str) -> subprocess.Popen[str]:
    """Run a script that uses an engine."""
    script = folder / "coordinator.py"
    script.write_text(textwrap.dedent(source))
    command = [sys.executable, str(script), str(folder), *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=folder, start_new_session=True)


COORDINATOR = """
    import subprocess, sys, time
    from pathlib import Path
    from holdfast.engines.processes import ProcessesEngine
    from holdfast.testing.engines import Reports, make_job

    folder = Path(sys.argv[1])

    def sleep(name):
        import os, time
        (folder / name).write_text(str(os.getpid()))
        time.sleep(60)

    def hold_the_interpreter(name):
        import os
        (folder / name).write_text(str(os.getpid()))
        return sum(range(10**12))

    def start_a_simulator(name):
        import os, subprocess
        child = subprocess.Popen(["sleep", "60"])
        (folder / (name + ".child")).write_text(str(child.pid))
        (folder / name).write_text(str(os.getpid()))
        child.wait()

    engine = ProcessesEngine(2)
    for ticket in range(4):
        engine.submit(make_job(ticket, globals()[sys.argv[2]], {"name": f"worker-{ticket}"}), Reports())
    time.sleep(60)
"""


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="looks at processes by /proc")
@pytest.mark.parametrize("function", ["sleep", "hold_the_interpreter", "start_a_simulator"])
@pytest.mark.parametrize("sent", [signal.SIGKILL, signal.SIGINT])
def test_nothing_outlives_a_killed_coordinator(tmp_path, function, sent):
    coordinator = run_coordinator(COORDINATOR, tmp_path, function)
    marks = [tmp_path / "worker-0", tmp_path / "worker-1"]
    if function == "start_a_simulator":
        marks += [tmp_path / "worker-0.child", tmp_path / "worker-1.child"]
    wait_until(lambda: all(mark.exists() and mark.read_text() for mark in marks))
    processes = [int(mark.read_text()) for mark in marks]
    assert all(map(is_alive, processes))
    coordinator.send_signal(sent)
    coordinator.communicate()
    limit = time.monotonic() + 5.0
    while any(map(is_alive, processes)):
        assert time.monotonic() < limit, "a worker has outlived its coordinator"
        time.sleep(0.01)


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="looks at processes by /proc")
def test_workers_end_though_a_forked_child_of_the_coordinator_keeps_their_sockets_open(tmp_path):
    fork = """
        import os
        child = os.fork()
        if child == 0:
            time.sleep(60)
            os._exit(0)
        (folder / "forked").write_text(str(child))
        time.sleep(60)
    """
    coordinator = run_coordinator(
        COORDINATOR.rpartition("    time.sleep(60)")[0] + fork.replace("        ", "    "), tmp_path, "sleep"
    )
    marks = [tmp_path / "worker-0", tmp_path / "worker-1", tmp_path / "forked"]
    wait_until(lambda: all(mark.exists() and mark.read_text() for mark in marks))
    *workers, forked = [int(mark.read_text()) for mark in marks]
    coordinator.kill()
    coordinator.wait()
    try:
        wait_until(lambda: not any(map(is_alive, workers)))
        assert is_alive(forked)
    finally:
        os.kill(forked, signal.SIGKILL)
        coordinator.communicate()


def test_ctrl_c_in_the_terminal_does_not_reach_the_workers(make_engine, tmp_path):
    engine, reports = make_engine(1), Reports()
    engine.submit(make_job(1, calculations.mark_and_sleep, {"path": str(tmp_path / "started")}), reports)
    wait_until((tmp_path / "started").exists)
    wait_until((tmp_path / "started").read_text)
    assert os.getpgid(int((tmp_path / "started").read_text())) != os.getpgid(0)


def test_a_script_needs_no_main_guard_and_is_not_run_again(tmp_path):
    (tmp_path / "beside.py").write_text("def double(x):\n    return 2 * x\n")
    coordinator = run_coordinator(
        """
        import beside
        from holdfast.engines.processes import ProcessesEngine
        from holdfast.testing.engines import Reports, make_job, value_of

        print("once")
        FACTOR = 10

        def scaled(x):
            return FACTOR * beside.double(x)

        engine, reports = ProcessesEngine(2), Reports()
        for ticket in range(3):
            engine.submit(make_job(ticket, scaled, {"x": ticket}), reports)
        print([value_of(report.outcomes[0]) for report in reports.wait_for(0, 1, 2)])
        engine.close()
        """,
        tmp_path,
    )
    assert coordinator.communicate(timeout=60)[0].splitlines() == ["once", "[0, 20, 40]"]


def test_what_a_function_prints_appears(tmp_path):
    coordinator = run_coordinator(
        """
        from holdfast.engines.processes import ProcessesEngine
        from holdfast.testing.engines import Reports, make_job

        def speak(x):
            print("it says", x)

        engine, reports = ProcessesEngine(1), Reports()
        engine.submit(make_job(1, speak, {"x": 5}), reports)
        reports.wait_for(1)
        engine.close()
        """,
        tmp_path,
    )
    assert coordinator.communicate(timeout=60)[0] == "it says 5\n"


def test_modules_that_become_importable_later_are_found(make_engine, tmp_path, monkeypatch):
    engine, reports = make_engine(1), Reports()
    engine.submit(make_job(1, calculations.add, {"left": 1, "right": 1}), reports)
    reports.wait_for(1)
    (tmp_path / "found_later.py").write_text("def triple(x):\n    return 3 * x\n")
    monkeypatch.syspath_prepend(tmp_path)
    import found_later

    engine.submit(make_job(2, found_later.triple, {"x": 5}), reports)
    assert value_of(reports.wait_for(2)[0].outcomes[0]) == 15


@pytest.mark.parametrize(("number", "name"), [(signal.SIGKILL, "SIGKILL"), (signal.SIGSEGV, "SIGSEGV")])
def test_the_reason_names_the_signal_that_ended_a_worker(make_engine, number, name):
    def end_by(number):
        import faulthandler
        import os

        faulthandler.disable()
        os.kill(os.getpid(), number)

    engine, reports = make_engine(1), Reports()
    engine.submit(make_job(1, end_by, {"number": int(number)}), reports)
    (lost,) = reports.wait_for(1)[0].outcomes
    assert isinstance(lost, Lost)
    assert name in lost.reason


def test_the_job_that_waits_behind_a_dying_worker_runs_elsewhere(make_engine, tmp_path):
    engine, reports = make_engine(1), Reports()
    started = tmp_path / "started"
    engine.submit(make_job(1, calculations.mark_and_sleep, {"path": str(started)}), reports)
    engine.submit(make_job(2, calculations.add, {"left": 2, "right": 3}), reports)
    engine.submit(make_job(3, calculations.add, {"left": 3, "right": 3}), reports)
    wait_until(started.exists)
    wait_until(started.read_text)
    os.kill(int(started.read_text()), signal.SIGKILL)
    first, *others = reports.wait_for(1, 2, 3)
    assert isinstance(first.outcomes[0], Lost)
    assert [value_of(report.outcomes[0]) for report in others] == [5, 6]


def test_other_jobs_do_not_notice_that_a_worker_dies(make_engine, tmp_path):
    engine, reports = make_engine(2), Reports()
    engine.submit(make_job(0, calculations.wait_for_file, {"path": str(tmp_path / "gate")}), reports)
    for ticket in range(1, 6):
        engine.submit(make_job(ticket, calculations.vanish, {"status": 1}), reports)
    assert all(isinstance(report.outcomes[0], Lost) for report in reports.wait_for(*range(1, 6)))
    (tmp_path / "gate").touch()
    assert isinstance(reports.wait_for(0)[0].outcomes[0], Finished)


def test_a_short_job_does_not_stay_behind_a_long_one_while_a_worker_is_idle(make_engine, tmp_path):
    engine, reports = make_engine(2), Reports()
    gates = [tmp_path / "gate-0", tmp_path / "gate-1"]
    for ticket, gate in enumerate(gates):
        engine.submit(make_job(ticket, calculations.wait_for_file, {"path": str(gate)}), reports)
    for ticket in (2, 3):
        engine.submit(make_job(ticket, calculations.process_of, {"number": ticket}), reports)
    gates[1].touch()
    found = reports.wait_for(1, 2, 3)
    assert len({value_of(report.outcomes[0]) for report in found[1:]}) == 1
    gates[0].touch()
    reports.wait_for(0)


def test_what_waits_behind_a_cancelled_job_runs(make_engine, tmp_path):
    engine, reports = make_engine(1), Reports()
    started = tmp_path / "started"
    engine.submit(make_job(1, calculations.mark_and_sleep, {"path": str(started)}), reports)
    for ticket in (2, 3):
        engine.submit(make_job(ticket, calculations.add, {"left": ticket, "right": 0}), reports)
    wait_until(started.exists)
    assert engine.cancel(2)
    assert engine.cancel(1)
    outcomes = [report.outcomes[0] for report in reports.wait_for(1, 2, 3)]
    assert [type(outcome) for outcome in outcomes] == [Lost, Lost, Finished]


def test_large_jobs_and_results_travel_whole(make_engine):
    import numpy

    engine, reports = make_engine(2), Reports()
    values = numpy.arange(1_000_000.0)
    for ticket in range(6):
        engine.submit(make_job(ticket, calculations.add, {"left": values, "right": ticket}), reports)
    for ticket, report in enumerate(reports.wait_for(*range(6))):
        assert value_of(report.outcomes[0])[-1] == 999_999.0 + ticket


def test_what_a_function_leaves_running_ends_with_its_worker(make_engine, tmp_path):
    def leave_running(path):
        import os
        import subprocess

        child = subprocess.Popen(["sleep", "60"])
        with open(path, "w") as file:
            file.write(str(child.pid))
        os._exit(1)

    engine, reports = make_engine(1), Reports()
    engine.submit(make_job(1, leave_running, {"path": str(tmp_path / "child")}), reports)
    reports.wait_for(1)
    child = int((tmp_path / "child").read_text())
    wait_until(lambda: not is_alive(child))


def test_a_function_that_closes_all_files_loses_its_call_only(make_engine):
    def close_all(number):
        import os

        os.closerange(3, 256)

    engine, reports = make_engine(1), Reports()
    engine.submit(make_job(1, close_all, {"number": 1}), reports)
    engine.submit(make_job(2, calculations.add, {"left": 1, "right": 1}), reports)
    lost, finished = reports.wait_for(1, 2)
    assert isinstance(lost.outcomes[0], Lost)
    assert value_of(finished.outcomes[0]) == 2


def test_a_job_that_cannot_be_pickled_has_failed(make_engine):
    reports = Reports()
    code = Code("demo.lock", "", "", b"", (), threading.Lock)
    make_engine(1).submit(Job(1, code, (Call(bytes(32), b"{}"),)), reports)
    (failed,) = reports.wait_for(1)[0].outcomes
    assert isinstance(failed, Failed)
    assert "cannot be sent" in failed.reason


def test_workers_that_cannot_start_do_not_start_for_ever(make_engine, monkeypatch):
    monkeypatch.setattr(process_handle, "_START", "import sys; sys.exit(7)")
    engine, reports = make_engine(2), Reports()
    for ticket in range(5):
        engine.submit(make_job(ticket, calculations.add, {"left": 1, "right": 1}), reports)
    for report in reports.wait_for(*range(5)):
        assert isinstance(report.outcomes[0], Lost)
        assert "code 7" in report.outcomes[0].reason


def test_without_a_program_to_start_jobs_are_lost_and_nothing_is_raised(make_engine, monkeypatch):
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    engine, reports = make_engine(2), Reports()
    engine.submit(make_job(1, calculations.add, {"left": 1, "right": 1}), reports)
    (lost,) = reports.wait_for(1)[0].outcomes
    assert isinstance(lost, Lost)
    assert "/nowhere/python" in lost.reason


def test_each_code_is_told_once_and_forgotten_codes_are_told_again(make_engine, monkeypatch):
    monkeypatch.setattr(process_handle, "CODES_LIMIT", 2)
    engine, reports = make_engine(1), Reports()
    functions = [lambda x, step=step: x + step for step in range(5)]
    tickets = range(20)
    for ticket in tickets:
        engine.submit(make_job(ticket, functions[ticket % 5], {"x": 0, "step": ticket % 5}), reports)
    assert [value_of(report.outcomes[0]) for report in reports.wait_for(*tickets)] == [ticket % 5 for ticket in tickets]


def test_cores_are_shared_out_unless_the_user_says_otherwise(make_engine, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "17")
    monkeypatch.delenv("MKL_NUM_THREADS", raising=False)

    def threads(number):
        import os

        return [os.environ["OMP_NUM_THREADS"], os.environ["MKL_NUM_THREADS"]]

    engine, reports = make_engine(1000), Reports()
    engine.submit(make_job(1, threads, {"number": 1}), reports)
    assert value_of(reports.wait_for(1)[0].outcomes[0]) == ["17", "1"]


def test_workers_start_as_they_are_needed_and_end_with_the_engine(make_engine):
    engine, reports = make_engine(8), Reports()
    for ticket in range(10):
        engine.submit(make_job(ticket, calculations.process_of, {"number": 1}), reports)
        reports.wait_for(ticket)
    processes = {value_of(report.outcomes[0]) for report in reports.wait_for(*range(10))}
    assert len(processes) == 1
    engine.close()
    assert not any(map(is_alive, processes))


def test_outcomes_that_were_sent_before_a_worker_died_count(make_engine, tmp_path):
    """A worker may die right after it has reported; what it has reported is not lost."""

    def die_later(number):
        import os
        import threading

        threading.Timer(0.05, os._exit, (1,)).start()
        return number

    engine, reports = make_engine(1), Reports()
    for ticket in range(5):
        engine.submit(make_job(ticket, die_later, {"number": ticket}), reports)
    found = [report.outcomes[0] for report in reports.wait_for(*range(5))]
    assert isinstance(found[0], Finished)
    assert json.dumps([reports.count(ticket) for ticket in range(5)]) == "[1, 1, 1, 1, 1]"
