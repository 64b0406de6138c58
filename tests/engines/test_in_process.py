from __future__ import annotations

import pytest

from holdfast.engines.in_process import InProcessEngine
from holdfast.testing.engines import EngineConformance, Reports, make_job


class TestInProcessEngine(EngineConformance):
    has_processes = False
    stops_running_calls = False

    def make_engine(self) -> InProcessEngine:
        return InProcessEngine()


def interrupt(number):
    raise KeyboardInterrupt


def test_an_interrupt_goes_through_and_nothing_is_reported():
    reports = Reports()
    with pytest.raises(KeyboardInterrupt):
        InProcessEngine().submit(make_job(1, interrupt, {"number": 1}), reports)
    assert reports.count(1) == 0
