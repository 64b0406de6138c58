from __future__ import annotations

import sys

import numpy
import pytest

from holdfast.model.canonical import array_digest, canonical_array
from holdfast.model.content import encode, write_token
from holdfast.runtime.code import describe
from holdfast.runtime.job import Call, Code, Failed, Finished, Inline, InMemory, Job, Lost, Stack
from holdfast.runtime.worker import lost, run_job
from holdfast.storage.staging import read_staged
from holdfast.storage.store import INLINE_LIMIT
from holdfast.storage.workdir import WorkDirectory
from holdfast.testing import calculations
from holdfast.testing.engines import make_job, value_of


def run(function, *inputs, **options):
    return run_job(make_job(1, function, *inputs, **options)).outcomes


@pytest.mark.parametrize(
    "value", [1, 2.5, "text", None, True, 1 + 2j, b"raw", [1, [2, {"a": 3}]], {"$x": 1}, float("inf")]
)
def test_values_arrive_and_return_as_they_were(value):
    (outcome,) = run(lambda value: value, {"value": value}, name="same")
    assert value_of(outcome) == value
    assert isinstance(outcome, Finished)
    assert outcome.digest == encode(value).digest


@pytest.mark.parametrize("dtype", ["f8", "i2", "?", "c16", "U3", "S2", "M8[ns]"])
@pytest.mark.parametrize("shape", [(), (0,), (3,), (2, 0, 3), (2, 3)])
def test_arrays_of_any_kind_travel_inline(dtype, shape):
    array = numpy.zeros(shape, dtype)
    (outcome,) = run(lambda array: {"kept": array}, {"array": array}, name="same")
    kept = value_of(outcome)["kept"]
    assert numpy.array_equal(kept, array)


def job_with(source, token, function):
    text = b'{"values":' + token.encode() + b"}"
    digest = token.rpartition('"')[0].rpartition('"')[2]
    return Job(1, describe(function, "demo", in_memory=True), (Call(bytes(32), text),), {digest: source})


def token_of(array):
    return write_token(array.dtype.str, array.shape, array_digest(array))


def is_read_only(values):
    return not values.flags.writeable


def test_an_array_in_memory_is_handed_over_without_a_copy_and_read_only():
    array = numpy.arange(4.0)
    seen = []

    def look(values):
        seen.append(values)
        return is_read_only(values)

    (outcome,) = run_job(job_with(InMemory(array), token_of(canonical_array(array)), look)).outcomes
    assert value_of(outcome) is True
    assert numpy.shares_memory(seen[0], array)
    assert array.flags.writeable


def test_a_stack_becomes_one_read_only_array_with_a_new_leading_axis():
    members = tuple(Inline("<f8", (2,), numpy.full(2, float(number)).tobytes()) for number in range(3))
    token = write_token("<f8", (3, 2), "ab" * 32, stacked=True)

    def look(values):
        return {"values": values.tolist(), "is_read_only": is_read_only(values)}

    (outcome,) = run_job(job_with(Stack(members), token, look)).outcomes
    assert value_of(outcome) == {"values": [[0, 0], [1, 1], [2, 2]], "is_read_only": True}


def test_an_input_that_cannot_be_read_is_lost_and_not_failed():
    token = write_token("<f8", (3,), "ab" * 32)
    job = job_with(Inline("<f8", (3,), b"short"), token, is_read_only)
    (outcome,) = run_job(job).outcomes
    assert isinstance(outcome, Lost)
    assert outcome.reason.startswith("cannot read its input: ")


def test_a_traceback_begins_at_the_users_function_and_shows_its_source():
    def inner(x):
        return 1 / x  # the very line

    def outer(x):
        return inner(x)

    (failed,) = run(outer, {"x": 0})
    lines = failed.traceback.splitlines()
    assert lines[0] == "Traceback (most recent call last):"
    assert "in outer" in lines[1]
    assert "# the very line" in failed.traceback
    assert (failed.kind, failed.reason) == ("ZeroDivisionError", "division by zero")
    assert not [line for line in lines if 'worker.py"' in line and "test_worker" not in line]


def test_the_cause_of_an_error_is_in_the_traceback():
    def wrap(x):
        try:
            return 1 / x
        except ZeroDivisionError as error:
            raise ValueError("no x") from error

    (failed,) = run(wrap, {"x": 0})
    assert failed.kind == "ValueError"
    assert "ZeroDivisionError" in failed.traceback
    assert "direct cause" in failed.traceback


def test_wrong_arguments_fail_with_their_reason():
    (failed,) = run(calculations.add, {"left": 1})
    assert failed.kind == "TypeError"
    assert "right" in failed.reason


def test_an_error_that_cannot_be_printed_is_still_a_failure():
    class SilentError(Exception):
        def __str__(self):
            raise RuntimeError

    def fail(x):
        raise SilentError

    (failed,) = run(fail, {"x": 1})
    assert failed.kind == "SilentError"
    assert "cannot be had" in failed.reason


def test_endless_recursion_fails():
    def descend(x):
        return descend(x + 1)

    (failed,) = run(descend, {"x": 1})
    assert failed.kind == "RecursionError"


@pytest.mark.parametrize("error", [SystemExit, GeneratorExit, KeyboardInterrupt])
def test_what_is_no_exception_fails_too(error):
    def leave(x):
        raise error

    (failed,) = run(leave, {"x": 1})
    assert failed.kind == error.__name__


def test_an_interrupt_goes_through_where_the_user_could_have_pressed_ctrl_c():
    def interrupt(x):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_job(make_job(1, interrupt, {"x": 1}), interruptible=True)


def test_a_failure_does_not_stop_the_calls_after_it():
    outcomes = run(lambda x: 1 / x, {"x": 0}, {"x": 2}, name="invert")
    assert [type(outcome) for outcome in outcomes] == [Failed, Finished]


def test_code_that_cannot_be_loaded_fails_every_call():
    job = Job(1, Code("demo.gone", "no_such_module_at_all", "f", b""), (Call(b"a", b"{}"), Call(b"b", b"{}")))
    for outcome in run_job(job).outcomes:
        assert isinstance(outcome, Failed)
        assert outcome.kind == "ModuleNotFoundError"
        assert "no_such_module_at_all" in outcome.reason


@pytest.mark.parametrize("value", [{1, 2}, object(), [1, {"a": print}], {1: 2}])
def test_an_unsupported_result_names_its_place(value):
    code = describe(lambda: value, "demo.odd", in_memory=True)
    (failed,) = run_job(Job(1, code, (Call(bytes(32), b"{}"),))).outcomes
    assert failed.kind == "UnsupportedValue"
    assert "the result of demo.odd" in failed.reason


def test_a_result_that_changes_later_does_not_change_what_was_returned():
    kept = numpy.zeros(3)

    def give(step):
        kept[:] = step
        return kept

    code = describe(give, "demo.give", in_memory=True)
    calls = tuple(Call(bytes([step]) * 32, b'{"step":%d}' % step) for step in range(3))
    values = [value_of(outcome).tolist() for outcome in run_job(Job(1, code, calls)).outcomes]
    assert values == [[0.0] * 3, [1.0] * 3, [2.0] * 3]


@pytest.fixture
def workdir(tmp_path):
    found = WorkDirectory(tmp_path / "work")
    found.tmp.mkdir(parents=True)
    return found


def test_small_results_travel_and_large_ones_are_staged(workdir):
    limit = INLINE_LIMIT // 8 - 100
    small, large = run(calculations.ramp, {"size": limit}, {"size": limit + 200}, directory=workdir.path)
    assert small.arrays
    assert not small.staged
    assert not large.arrays
    assert large.text
    assert read_staged(workdir, large.staged.name).metadata.digest == large.digest


def test_a_long_text_is_staged_and_not_sent(workdir):
    (outcome,) = run(lambda size: "x" * size, {"size": 2 * INLINE_LIMIT}, name="long", directory=workdir.path)
    assert outcome.text == b""
    assert outcome.digest == encode("x" * 2 * INLINE_LIMIT).digest
    assert read_staged(workdir, outcome.staged.name).metadata.digest == outcome.digest


def test_without_a_directory_everything_travels():
    (outcome,) = run(calculations.ramp, {"size": INLINE_LIMIT})
    assert not outcome.staged
    assert value_of(outcome)[-1] == INLINE_LIMIT - 1


def test_once_a_result_cannot_be_stored_no_further_call_is_made(tmp_path):
    made = []

    def ramp(size):
        made.append(size)
        return numpy.zeros(size)

    code = describe(ramp, "demo.ramp", in_memory=True)
    calls = tuple(Call(bytes([step]) * 32, b'{"size":%d}' % INLINE_LIMIT) for step in range(3))
    outcomes = run_job(Job(1, code, calls, {}, str(tmp_path / "missing"))).outcomes
    assert len(made) == 1
    assert all(isinstance(outcome, Lost) and outcome.reason.startswith("cannot store: ") for outcome in outcomes)


def test_calls_are_not_begun_once_it_is_asked_to_stop():
    made = []

    def note(x):
        made.append(x)
        return x

    code = describe(note, "demo.note", in_memory=True)
    calls = tuple(Call(bytes([x]) * 32, b'{"x":%d}' % x) for x in range(3))
    outcomes = run_job(Job(1, code, calls), wants_stop=lambda: len(made) == 2).outcomes
    assert [type(outcome) for outcome in outcomes] == [Finished, Finished, Lost]


def test_printing_is_left_alone(capfd):
    def speak(text):
        print(text)
        print(text, file=sys.stderr)

    run(speak, {"text": "hello"})
    assert capfd.readouterr() == ("hello\n", "hello\n")


def test_a_lost_job_names_every_call():
    report = lost(make_job(4, calculations.add, {"left": 1}, {"left": 2}), "why not")
    assert report.ticket == 4
    assert [outcome.reason for outcome in report.outcomes] == ["why not", "why not"]
