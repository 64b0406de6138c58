from __future__ import annotations

import threading

from holdfast.engines.threads import ThreadsEngine
from holdfast.runtime.code import describe
from holdfast.runtime.job import Call, Finished, Job, Lost
from holdfast.testing import calculations
from holdfast.testing.engines import EngineConformance, Reports, make_job, value_of


class TestThreadsEngine(EngineConformance):
    has_processes = False
    stops_running_calls = False

    def make_engine(self) -> ThreadsEngine:
        return ThreadsEngine(2)


def test_threads_start_as_they_are_needed():
    before = set(threading.enumerate())
    reports = Reports()
    engine = ThreadsEngine(50)
    engine.submit(make_job(1, calculations.add, {"left": 1, "right": 1}), reports)
    assert value_of(reports.wait_for(1)[0].outcomes[0]) == 2
    assert len(set(threading.enumerate()) - before) == 1
    engine.close()


def test_calls_that_have_not_begun_are_dropped_when_a_job_is_cancelled(tmp_path):
    engine, reports, gate, begun = ThreadsEngine(1), Reports(), threading.Event(), threading.Event()

    def wait(number):
        begun.set()
        gate.wait(30)
        return number

    code = describe(wait, "wait", in_memory=True)
    engine.submit(Job(1, code, tuple(Call(bytes([n]) * 32, b'{"number":%d}' % n) for n in range(3))), reports)
    assert begun.wait(30)
    assert engine.cancel(1) is False
    gate.set()
    (report,) = reports.wait_for(1)
    assert [type(outcome) for outcome in report.outcomes] == [Finished, Lost, Lost]
    engine.close()
