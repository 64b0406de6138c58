"""Examine an engine: derive a test class, and say how the engine is made.

    class TestThreadsEngine(EngineConformance):
        def make_engine(self) -> ThreadsEngine:
            return ThreadsEngine(2)

Every engine must pass all of it; the attributes say what cannot be asked of an engine by its nature. Needs pytest,
from the extra `test`.
"""

# ruff: noqa: D102  the names of tests are sentences

from __future__ import annotations

import os
import queue
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from holdfast.model.content import decode, encode
from holdfast.runtime.code import describe
from holdfast.runtime.engine import Engine
from holdfast.runtime.job import ArraySource, Call, Failed, Finished, Inline, InMemory, Job, Lost, Outcome, Report
from holdfast.storage.staging import read_staged
from holdfast.storage.store import INLINE_LIMIT
from holdfast.storage.workdir import WorkDirectory
from holdfast.testing import calculations

PATIENCE = 30.0
"""Seconds until a test gives up; nothing is expected to take nearly as long."""


class Reports:
    """Collects reports from whatever thread they come, and counts how often each job was reported."""

    def __init__(self) -> None:
        self._arriving: queue.SimpleQueue[Report] = queue.SimpleQueue()
        self._arrived: dict[int, list[Report]] = {}

    def __call__(self, report: Report) -> None:
        """Take a report."""
        self._arriving.put(report)

    def wait_for(self, *tickets: int) -> list[Report]:
        """Return the reports of these jobs, in the order of their tickets."""
        limit = time.monotonic() + PATIENCE
        while not self._arrived.keys() >= set(tickets):
            self._take(self._arriving.get(timeout=max(0.0, limit - time.monotonic())))
        return [self._arrived[ticket][0] for ticket in tickets]

    def count(self, ticket: int) -> int:
        """Return how often a job was reported so far."""
        while not self._arriving.empty():
            self._take(self._arriving.get())
        return len(self._arrived.get(ticket, []))

    def _take(self, report: Report) -> None:
        self._arrived.setdefault(report.ticket, []).append(report)


def make_job(
    ticket: int,
    function: Callable[..., Any],
    *inputs: Mapping[str, Any],
    name: str = "",
    directory: str | os.PathLike[str] = "",
    positional: Sequence[str] = (),
    checkpoint: str = "",
) -> Job:
    """Return a job that calls `function` once with each of the `inputs`, all arrays inline.

    Parameters
    ----------
    ticket : int
    function : callable
    *inputs : mapping
        Arguments by name, one mapping per call.
    name : str, optional
        Name of the operation; that of the function if not given.
    directory : path, optional
        Where large results are staged; nowhere if empty.
    positional : sequence of str
        Arguments that the function takes by position only.
    checkpoint : str, optional
        Argument under which the function takes its checkpoint.
    """
    code = describe(function, name or function.__name__, positional=tuple(positional), checkpoint=checkpoint)
    sources: dict[str, ArraySource] = {}
    calls = []
    for number, values in enumerate(inputs):
        content = encode(dict(values))
        for digest, array in content.arrays.items():
            sources[digest] = Inline(array.dtype.str, array.shape, array.tobytes())
        calls.append(Call(f"{ticket}:{number}".encode().ljust(32), content.text))
    return Job(ticket, code, tuple(calls), sources, str(directory))


def value_of(outcome: Outcome) -> Any:
    """Return the value of a finished call."""
    import numpy

    assert isinstance(outcome, Finished), outcome
    arrays = {
        digest: found.array if isinstance(found, InMemory) else numpy.ndarray(found.shape, found.dtype, found.data)
        for digest, found in outcome.arrays.items()
    }
    return decode(outcome.text, arrays.__getitem__)


class EngineConformance:
    """What holds of every engine.

    Attributes
    ----------
    has_processes : bool
        Whether a call runs in a process of its own, that may die without taking this one along.
    stops_running_calls : bool
        Whether `cancel` ends a call that is under way.
    replaces_workers : bool
        Whether another worker takes the place of one that died.
    """

    has_processes = True
    replaces_workers = True
    stops_running_calls = True

    def make_engine(self) -> Engine:
        """Return a new engine with at least two slots, if it can have them."""
        raise NotImplementedError

    @contextmanager
    def engine(self) -> Iterator[Engine]:
        """Make an engine, and close it afterwards."""
        engine = self.make_engine()
        try:
            yield engine
        finally:
            engine.close()

    def run(self, job: Job) -> Report:
        """Return what a new engine reports of a job."""
        reports = Reports()
        with self.engine() as engine:
            engine.submit(job, reports)
            report = reports.wait_for(job.ticket)[0]
        assert reports.count(job.ticket) == 1
        return report

    def test_says_what_it_is(self) -> None:
        with self.engine() as engine:
            assert engine.name
            assert engine.slots >= 1
            assert isinstance(engine.is_inline, bool)
            assert isinstance(engine.shares_memory, bool)

    def test_runs_a_job_and_reports_it_once(self) -> None:
        report = self.run(make_job(7, calculations.add, {"left": 1, "right": 2}))
        assert report.ticket == 7
        (outcome,) = report.outcomes
        assert value_of(outcome) == 3
        assert isinstance(outcome, Finished)
        assert outcome.digest == encode(3).digest
        assert outcome.seconds >= 0.0

    def test_makes_the_calls_of_a_job_in_order(self) -> None:
        job = make_job(1, calculations.add, *({"left": number, "right": 0.5} for number in range(10)))
        report = self.run(job)
        assert [outcome.key for outcome in report.outcomes] == [call.key for call in job.calls]
        assert [value_of(outcome) for outcome in report.outcomes] == [number + 0.5 for number in range(10)]

    def test_reports_each_of_many_jobs_exactly_once(self) -> None:
        reports = Reports()
        with self.engine() as engine:
            for ticket in range(300):
                engine.submit(make_job(ticket, calculations.add, {"left": ticket, "right": 1}), reports)
            found = reports.wait_for(*range(300))
        assert [value_of(report.outcomes[0]) for report in found] == list(range(1, 301))
        assert [reports.count(ticket) for ticket in range(300)] == [1] * 300

    def test_takes_jobs_from_within_a_report(self) -> None:
        reports = Reports()
        with self.engine() as engine:

            def follow(report: Report) -> None:
                engine.submit(make_job(2, calculations.add, {"left": 2, "right": 2}), reports)

            engine.submit(make_job(1, calculations.add, {"left": 1, "right": 1}), follow)
            assert value_of(reports.wait_for(2)[0].outcomes[0]) == 4

    def test_a_failure_is_a_value_with_its_traceback(self) -> None:
        report = self.run(make_job(1, calculations.fail, {"text": "too cold"}, {"text": "too hot"}))
        failed = report.outcomes[1]
        assert isinstance(failed, Failed)
        assert (failed.kind, failed.reason) == ("ArithmeticError", "too hot")
        assert "raise ArithmeticError(text)" in failed.traceback
        assert "holdfast/runtime" not in failed.traceback
        assert isinstance(report.outcomes[0], Failed)

    def test_a_function_that_exits_has_failed(self) -> None:
        (failed,) = self.run(make_job(1, calculations.leave, {"status": 3})).outcomes
        assert isinstance(failed, Failed)
        assert failed.kind == "SystemExit"

    def test_functions_that_cannot_be_imported_travel_by_value(self) -> None:
        factor = 3

        def scaled(value: int) -> int:
            return factor * value

        reports = Reports()
        with self.engine() as engine:
            engine.submit(make_job(1, scaled, {"value": 14}), reports)
            engine.submit(make_job(2, lambda value: value + 1, {"value": 1}, name="successor"), reports)
            found = reports.wait_for(1, 2)
        assert [value_of(report.outcomes[0]) for report in found] == [42, 2]

    def test_positional_arguments_are_given_by_position(self) -> None:
        job = make_job(1, calculations.divide, {"below": 2.0, "above": 1.0}, positional=("above",))
        assert value_of(self.run(job).outcomes[0]) == 0.5

    def test_arrays_arrive_whole_and_read_only(self) -> None:
        import numpy

        values = numpy.arange(6.0).reshape(2, 3)
        report = self.run(make_job(1, calculations.inspect_array, {"values": values}))
        assert value_of(report.outcomes[0]) == {"sum": 15.0, "shape": [2, 3], "is_writeable": False}

    def test_writing_into_an_input_fails(self) -> None:
        import numpy

        (failed,) = self.run(make_job(1, calculations.overwrite, {"values": numpy.zeros(3)})).outcomes
        assert isinstance(failed, Failed)
        assert failed.kind == "ValueError"
        assert "read-only" in failed.reason

    def test_an_unsupported_result_is_named(self) -> None:
        (failed,) = self.run(make_job(1, calculations.make_set, {"size": 2}, name="sets.make")).outcomes
        assert isinstance(failed, Failed)
        assert failed.kind == "UnsupportedValue"
        assert "the result of sets.make" in failed.reason

    def test_a_large_result_is_staged_and_does_not_travel(self, tmp_path: Path) -> None:
        workdir = WorkDirectory(tmp_path / "work")
        workdir.tmp.mkdir(parents=True)
        size = INLINE_LIMIT
        (outcome,) = self.run(make_job(1, calculations.ramp, {"size": size}, directory=workdir.path)).outcomes
        assert isinstance(outcome, Finished), outcome
        assert not any(isinstance(array, Inline) for array in outcome.arrays.values())
        assert outcome.staged is not None
        metadata = read_staged(workdir, outcome.staged.name).metadata
        assert metadata.digest == outcome.digest
        assert metadata.files[0].layout.shape == (size,)

    def test_what_cannot_be_staged_is_lost_and_not_failed(self, tmp_path: Path) -> None:
        inputs = [{"size": INLINE_LIMIT}, {"size": 1}]
        report = self.run(make_job(1, calculations.ramp, *inputs, directory=tmp_path / "missing"))
        for outcome in report.outcomes:
            assert isinstance(outcome, Lost)
            assert outcome.reason.startswith("cannot store: ")

    def test_a_vanished_worker_is_lost_and_not_failed(self) -> None:
        if not self.has_processes:
            pytest.skip("the engine runs jobs in this process")
        reports = Reports()
        with self.engine() as engine:
            job = make_job(1, calculations.vanish, {"status": 5}, {"status": 5})
            engine.submit(job, reports)
            (report,) = reports.wait_for(1)
            assert [outcome.key for outcome in report.outcomes] == [call.key for call in job.calls]
            assert all(isinstance(outcome, Lost) and outcome.reason for outcome in report.outcomes)
            engine.submit(make_job(2, calculations.add, {"left": 1, "right": 1}), reports)  # must not raise
            reports.wait_for(2)

    def test_the_next_attempt_goes_on_from_the_checkpoint_of_one_that_was_cut_off(self, tmp_path: Path) -> None:
        can_vanish = self.has_processes and self.replaces_workers
        ending = "vanish" if can_vanish else "fail"
        (tmp_path / "tmp").mkdir()
        job = make_job(1, calculations.go_on, {"ending": ending}, directory=tmp_path, checkpoint="checkpoint")
        (cut_off,) = self.run(job).outcomes
        assert isinstance(cut_off, Lost if can_vanish else Failed), cut_off
        assert value_of(self.run(replace(job, ticket=2)).outcomes[0]) == 7  # the same call

    def test_a_job_that_waits_can_be_cancelled(self, tmp_path: Path) -> None:
        reports = Reports()
        with self.engine() as engine:
            if engine.is_inline:
                pytest.skip("whoever could cancel waits for the job")
            gate = tmp_path / "gate"
            running = range(1, 4 * engine.slots)
            for ticket in running:
                engine.submit(make_job(ticket, calculations.wait_for_file, {"path": str(gate)}), reports)
            engine.submit(make_job(0, calculations.add, {"left": 1, "right": 1}), reports)
            is_cancelled = engine.cancel(0)
            gate.touch()
            reports.wait_for(0, *running)
        assert isinstance(reports.wait_for(0)[0].outcomes[0], Lost if is_cancelled else Finished)
        assert {reports.count(ticket) for ticket in (0, *running)} == {1}

    def test_a_call_that_runs_can_be_cancelled(self, tmp_path: Path) -> None:
        if not self.stops_running_calls:
            pytest.skip("the engine cannot end a call that is under way")
        reports = Reports()
        started = tmp_path / "started"
        with self.engine() as engine:
            engine.submit(make_job(1, calculations.mark_and_sleep, {"path": str(started)}), reports)
            wait_until(started.exists)
            assert engine.cancel(1)
            assert isinstance(reports.wait_for(1)[0].outcomes[0], Lost)
            engine.submit(make_job(2, calculations.add, {"left": 1, "right": 1}), reports)
            assert value_of(reports.wait_for(2)[0].outcomes[0]) == 2

    def test_cancelling_what_is_unknown_does_nothing(self) -> None:
        with self.engine() as engine:
            assert engine.cancel(99) is False

    def test_closes_quickly_in_the_middle_of_a_call(self, tmp_path: Path) -> None:
        reports = Reports()
        started = tmp_path / "started"
        engine = self.make_engine()
        if engine.is_inline:
            pytest.skip("whoever could close waits for the job")
        tickets = range(3 * engine.slots)
        for ticket in tickets:
            engine.submit(make_job(ticket, calculations.mark_and_sleep, {"path": str(started)}), reports)
        wait_until(started.exists)
        begin = time.monotonic()
        engine.close()
        assert time.monotonic() - begin < 10.0
        (tmp_path / "started.stop").touch()
        for report in reports.wait_for(*tickets):
            assert isinstance(report.outcomes[0], Lost)
        assert {reports.count(ticket) for ticket in tickets} == {1}

    def test_a_closed_engine_loses_jobs_and_closes_again(self) -> None:
        reports = Reports()
        engine = self.make_engine()
        engine.close()
        engine.submit(make_job(1, calculations.add, {"left": 1, "right": 1}), reports)
        assert isinstance(reports.wait_for(1)[0].outcomes[0], Lost)
        engine.close()


def wait_until(is_so: Callable[[], bool]) -> None:
    """Wait until something is so, and fail if it takes too long."""
    limit = time.monotonic() + PATIENCE
    while not is_so():
        assert time.monotonic() < limit, "it takes too long"
        threading.Event().wait(0.005)
