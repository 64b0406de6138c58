from __future__ import annotations

import sys
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context

import pytest

from holdfast.engines.executor import ExecutorEngine, run_remotely
from holdfast.runtime.job import Lost
from holdfast.testing import calculations
from holdfast.testing.engines import EngineConformance, Reports, make_job, value_of


class TestThreadPool(EngineConformance):
    has_processes = False
    stops_running_calls = False

    @pytest.fixture(autouse=True)
    def pool(self):
        self.executor = ThreadPoolExecutor(2)
        yield
        self.executor.shutdown(wait=False)

    def make_engine(self) -> ExecutorEngine:
        return ExecutorEngine(self.executor)


class TestProcessPool(EngineConformance):
    stops_running_calls = False
    replaces_workers = False

    @pytest.fixture(autouse=True)
    def pool(self):
        self.executor = ProcessPoolExecutor(2, mp_context=get_context("forkserver"))
        yield
        for process in list((self.executor._processes or {}).values()):
            process.kill()
        self.executor.shutdown()

    def make_engine(self) -> ExecutorEngine:
        return ExecutorEngine(self.executor)


class TestDask(EngineConformance):
    stops_running_calls = False

    @pytest.fixture(autouse=True, scope="class")
    @classmethod
    def cluster(cls):
        distributed = pytest.importorskip("distributed")
        dask = pytest.importorskip("dask")
        options = {"n_workers": 2, "threads_per_worker": 1, "dashboard_address": None, "processes": True}
        with (
            dask.config.set({"distributed.scheduler.allowed-failures": 0}),
            distributed.LocalCluster(**options) as cluster,
            distributed.Client(cluster) as client,
        ):
            cls.client = client
            yield

    def make_engine(self) -> ExecutorEngine:
        return ExecutorEngine(self.client.get_executor())

    def test_asks_dask_for_its_cores(self):
        self.client.wait_for_workers(2, timeout=30)  # one may be just restarting
        assert ExecutorEngine(self.client.get_executor()).slots == 2


class Broken(Executor):
    """Refuses, or loses whatever it takes."""

    def __init__(self, error, *, is_refusing):
        self.error = error
        self.is_refusing = is_refusing

    def submit(self, fn, /, *args, **kwargs):
        if self.is_refusing:
            raise self.error
        future = Future()
        future.set_exception(self.error)
        return future


@pytest.mark.parametrize("is_refusing", [True, False])
@pytest.mark.parametrize("error", [RuntimeError("the pool is broken"), OSError("no connection")])
def test_whatever_an_executor_does_wrong_loses_jobs_and_raises_nothing(error, is_refusing):
    reports = Reports()
    ExecutorEngine(Broken(error, is_refusing=is_refusing)).submit(
        make_job(1, calculations.add, {"left": 1, "right": 1}), reports
    )
    (lost,) = reports.wait_for(1)[0].outcomes
    assert isinstance(lost, Lost)
    assert str(error) in lost.reason


def test_an_interrupt_on_the_far_side_is_lost_and_not_failed():
    def interrupt(number):
        raise KeyboardInterrupt

    reports = Reports()
    with ThreadPoolExecutor(1) as executor:
        ExecutorEngine(executor).submit(make_job(1, interrupt, {"number": 1}), reports)
        assert isinstance(reports.wait_for(1)[0].outcomes[0], Lost)


def test_the_executor_outlives_the_engine():
    with ThreadPoolExecutor(1) as executor:
        ExecutorEngine(executor).close()
        assert executor.submit(int, "3").result() == 3


def test_missing_folders_of_modules_are_added_at_the_end(monkeypatch):
    monkeypatch.setattr(sys, "path", ["first", "second"])
    report = run_remotely(make_job(1, calculations.add, {"left": 1, "right": 1}), ("third", "first"))
    assert sys.path == ["first", "second", "third"]
    assert value_of(report.outcomes[0]) == 2


def test_the_number_of_slots_can_be_given_and_is_asked_from_a_pool():
    with ThreadPoolExecutor(3) as executor:
        assert ExecutorEngine(executor).slots == 3
        assert ExecutorEngine(executor, slots=5).slots == 5
