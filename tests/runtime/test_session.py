from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy
import pytest

import holdfast as hf
from holdfast.errors import GraphError, NotFound, OwnershipError, SessionClosed
from holdfast.runtime.events import CodeChanged, NodeDone, NodeStarted
from holdfast.storage.workdir import open_workdir
from holdfast.storage.writer import CatalogWriter


@hf.operation
def add(a: Any, b: Any = 1) -> Any:
    return a + b


@hf.operation
def describe(value: Any) -> dict[str, Any]:
    return {"kind": type(value).__name__, "text": repr(value)}


@hf.operation
def split(values: numpy.ndarray) -> dict[str, Any]:
    return {"low": values[:2], "high": values[2:], "names": ["low", "high"], "count": len(values)}


@pytest.mark.parametrize(
    "value",
    [
        3,
        -1.5,
        float("inf"),
        True,
        None,
        "text",
        b"bytes",
        1 + 2j,
        [1, "a", None],
        {"a": [1, {"b": 2.0}]},
        [],
        {},
        "x" * 500_000,
        b"y" * 500_000,
    ],
)
def test_values_go_in_and_come_out_as_they_were(session: hf.Session, value: Any) -> None:
    same = hf.operation(lambda x: x, name="demo.same")
    assert session.result(same(value)) == value
    assert session.result(describe(value))["kind"] == type(value).__name__


@pytest.mark.parametrize("shape", [(3,), (2, 3), (0,), (0, 4), (300, 100)])
@pytest.mark.parametrize("dtype", ["f8", "f4", "i8", "?", "c16", "U3"])
def test_arrays_keep_dtype_and_shape_and_are_read_only(session: hf.Session, dtype: str, shape: tuple[int, ...]) -> None:
    same = hf.operation(lambda x: {"kept": x}, name="demo.same")
    array = numpy.ones(shape).astype(dtype)
    result = session.result(same(array))["kept"]
    assert result.dtype == array.dtype
    assert result.shape == shape
    assert (result == array).all()
    assert not result.flags.writeable


def test_equal_bytes_of_other_dtype_or_shape_are_not_confused(session: hf.Session) -> None:
    arrays = [
        numpy.zeros(6),
        numpy.zeros((2, 3)),
        numpy.zeros(6, dtype="i8"),
        numpy.zeros(40_000),
        numpy.zeros((200, 200)),
    ]
    same = hf.operation(lambda xs: [x * 1 for x in xs], name="demo.same")
    results = session.result(same(arrays))
    assert [(result.dtype, result.shape) for result in results] == [(array.dtype, array.shape) for array in arrays]


def test_parts_of_results_are_results_too(session: hf.Session) -> None:
    node = split(numpy.arange(5.0))
    assert session.result(node["high"]).tolist() == [2.0, 3.0, 4.0]
    assert session.result(add(node["high"][1], node["count"])) == 8.0
    assert session.result({"a": node["names"][0], "b": [node["count"]]}) == {"a": "low", "b": [5]}
    with pytest.raises(NotFound, match="'high'"):
        session.result(node["middle"])
    with pytest.raises(hf.OperationFailed, match="shape"):
        session.result(add(node["high"][7]))


def test_only_what_is_missing_runs(tmp_path: Path, engine: str, counted: Any, ran: Any) -> None:
    chain = counted(counted(counted(1)))
    for _ in range(2):
        with hf.Session(tmp_path / "work", engine=engine) as session:
            assert session.result(chain) == 1
            session.result(counted(add(0, 1)))
    assert ran() == ["1"]  # four nodes, equal contents: one run


def test_large_arrays_stay_where_they_are(session: hf.Session, tmp_path: Path) -> None:
    grid = hf.operation(lambda n: numpy.full((n, n), 1.5), name="demo.grid")
    total = hf.operation(lambda x: float(x.sum()), name="demo.total")
    assert session.result(total(grid(500))) == 375_000.0
    (store,) = (tmp_path / "work" / "nodes").glob("??/*")
    assert store.name == grid(500).uid
    assert (store / "data.npy").exists()
    assert session.result(grid(500)).shape == (500, 500)


def test_an_operation_that_writes_into_its_input_gets_numpys_own_error(session: hf.Session) -> None:
    def spoil(x: Any) -> Any:
        x[0] = 7
        return x

    node = hf.operation(spoil, name="demo.spoil")(numpy.arange(3))
    with pytest.raises(hf.OperationFailed, match="read-only"):
        session.result(node)


def test_files_are_received_as_paths(session: hf.Session, tmp_path: Path) -> None:
    (tmp_path / "input.txt").write_text("41")
    read = hf.operation(lambda path: int(path.read_text()) + 1, name="demo.read")
    assert session.result(read(hf.File(tmp_path / "input.txt"))) == 42


def test_a_file_that_changed_since_is_not_used(session: hf.Session, tmp_path: Path) -> None:
    (tmp_path / "input.txt").write_text("41")
    node = hf.operation(lambda path: path.read_text(), name="demo.read")(hf.File(tmp_path / "input.txt"))
    (tmp_path / "input.txt").write_text("another")
    with pytest.raises(hf.OperationFailed, match="not the file"):
        session.result(node)


def test_states_are_told_apart(session: hf.Session) -> None:
    good, bad, unasked = add(1), add(1, "a"), add(5)
    assert session.status(good) is hf.NodeState.DECLARED
    session.result(good)
    with pytest.raises(hf.OperationFailed):
        session.result(bad)
    assert session.status(good) is session.status(good.uid) is hf.NodeState.DONE
    assert session.status(bad) is hf.NodeState.FAILED
    assert session.status(unasked) is hf.NodeState.DECLARED


def test_publishing_gives_a_future(session: hf.Session) -> None:
    futures = [session.publish(add(n)) for n in range(5)]
    assert [future.result(30) for future in futures] == [1, 2, 3, 4, 5]
    with pytest.raises(hf.OperationFailed):
        session.publish(add(1, "a")).result(30)


def test_a_late_subscriber_first_gets_what_already_happened(session: hf.Session) -> None:
    node = add(1)
    early = session.subscribe(node)
    session.publish(node).result(30)
    kinds = [type(event) for event in early]
    assert kinds == [NodeStarted, NodeDone]
    assert [type(event) for event in session.subscribe(node)] == [NodeDone]


def test_independent_nodes_run_at_the_same_time(tmp_path: Path) -> None:
    meet = hf.operation(_meet, name="demo.meet")
    with hf.Session(tmp_path / "work", engine="processes", workers=2) as session:
        assert session.results([meet(str(tmp_path), 0), meet(str(tmp_path), 1)]) == [0, 1]


def _meet(folder: str, number: int) -> int:
    """Return only once the other one is there too."""
    import time
    from pathlib import Path

    (Path(folder) / f"here-{number}").touch()
    end = time.monotonic() + 30
    while not (Path(folder) / f"here-{1 - number}").exists():
        if time.monotonic() > end:
            raise TimeoutError("the other one never came")
        time.sleep(0.005)
    return number


def test_an_executor_of_the_users_is_an_engine(tmp_path: Path) -> None:
    with ThreadPoolExecutor(2) as executor:
        with hf.Session(tmp_path / "work", engine=executor) as session:
            assert session.result(hf.map(add, [1, 2, 3])).tolist() == [2, 3, 4]
        assert executor.submit(int, 3).result() == 3  # left open


def test_changed_code_runs_again_and_says_so(tmp_path: Path, engine: str) -> None:
    told: list[Any] = []
    for body in ("lambda x: x + 1", "lambda x: x + 2", "lambda x: x + 2"):
        path = tmp_path / f"{len(body)}{body[-1]}.py"
        path.write_text(f"f = {body}\n")
        scope: dict[str, Any] = {"__name__": "edited"}
        exec(compile(path.read_text(), str(path), "exec"), scope)
        with hf.Session(tmp_path / "work", engine=engine) as session:
            session.listen(told.append)
            value = session.result(hf.operation(scope["f"], name="demo.edited")(1))
        assert value == 1 + int(body[-1])
    changes = [event for event in told if isinstance(event, CodeChanged)]
    assert len(changes) == 1
    assert changes[0].parts == ("demo.edited",)


def test_a_second_session_is_refused_and_told_who(tmp_path: Path) -> None:
    import os

    with hf.Session(tmp_path / "work") as first:
        with pytest.raises(OwnershipError, match="since") as caught:
            hf.Session(tmp_path / "work")
        assert caught.value.process == os.getpid()
        assert first.result(add(1)) == 2
    hf.Session(tmp_path / "work").close()


def test_a_session_that_was_followed_commits_nothing_more(tmp_path: Path) -> None:
    with hf.Session(tmp_path / "work") as late:
        assert late.result(add(1)) == 2
        with CatalogWriter.open(open_workdir(tmp_path / "work")) as catalog:
            catalog.enter("follower", lambda session: True)
        with pytest.raises(OwnershipError, match=f"taken from session {late.id}"):
            late.result(add(2))
    with hf.Session(tmp_path / "work") as session:
        assert session.result(add(1)) == 2
        assert session.result(add(2)) == 3
        assert (session.counts.done, session.counts.reused) == (1, 1)


def test_a_closed_session_says_so(tmp_path: Path) -> None:
    session = hf.Session(tmp_path / "work")
    session.close()
    session.close()
    with pytest.raises(SessionClosed, match="Open a new one"):
        session.result(add(1))


def test_closing_settles_what_is_under_way(tmp_path: Path) -> None:
    sleep = hf.operation(_sleep, name="demo.sleep")
    session = hf.Session(tmp_path / "work", engine="processes", workers=1)
    future = session.publish(sleep(600.0))
    while session.status(sleep(600.0)) is not hf.NodeState.RUNNING:
        pass
    session.close()
    with pytest.raises(SessionClosed):
        future.result(0)


def _sleep(seconds: float) -> None:
    import time

    time.sleep(seconds)


def test_waiting_has_a_limit_if_one_is_given(tmp_path: Path) -> None:
    with (
        hf.Session(tmp_path / "work", engine="processes", workers=1) as session,
        pytest.raises(TimeoutError, match=r"0\.05"),
    ):
        session.result(hf.operation(_sleep, name="demo.sleep")(600.0), timeout=0.05)


def test_an_abstract_node_cannot_be_asked_for(tmp_path: Path) -> None:
    leaked: list[Any] = []
    hf.trace(lambda x: leaked.append(add(x)) or x, x=hf.Placeholder("x"))
    with hf.Session(tmp_path / "work") as session, pytest.raises(GraphError, match="abstract"):
        session.result(leaked[0])


def test_a_chain_of_many_nodes_needs_no_recursion(tmp_path: Path) -> None:
    node: Any = 0
    for _ in range(5_000):
        node = add(node)
    with hf.Session(tmp_path / "work") as session:
        assert session.result(node) == 5_000
        assert session.counts.done == 5_000


def test_sessions_may_be_asked_from_several_threads(session: hf.Session) -> None:
    found: dict[int, Any] = {}
    threads = [threading.Thread(target=lambda n=n: found.update({n: session.result(add(n, 100))})) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert found == {n: n + 100 for n in range(8)}


def test_ten_thousand_separate_nodes_are_one_request(tmp_path: Path) -> None:
    nodes = [add(n) for n in range(10_000)]
    for _ in range(2):
        with hf.Session(tmp_path / "work") as session:
            assert session.results(nodes) == list(range(1, 10_001))


def test_dask_is_an_engine_through_its_executor(tmp_path: Path) -> None:
    from distributed import Client

    with (
        Client(n_workers=2, threads_per_worker=1, dashboard_address=None) as client,
        hf.Session(tmp_path / "work", engine=client.get_executor()) as session,
    ):
        ensemble = hf.map(lambda x: add(x, add(x)), numpy.arange(20.0))
        assert session.result(ensemble).tolist() == [2 * x + 1 for x in range(20)]
        large = hf.map(hf.operation(lambda n: numpy.full(50_000, n), name="demo.large"), [1.0, 2.0])
        assert session.result(large).sum() == 150_000.0
        with pytest.raises(hf.OperationFailed, match="TypeError"):
            session.result(add(1, "a"))


def test_an_engine_that_breaks_its_word_leaves_nobody_waiting(tmp_path: Path) -> None:
    class Broken:
        name, slots, is_inline, shares_memory = "broken", 1, False, True

        def submit(self, job: Any, report: Any) -> None:
            raise RuntimeError("out of order")

        def cancel(self, ticket: int) -> bool:
            return False

        def close(self) -> None:
            pass

    with hf.Session(tmp_path / "work", engine=Broken()) as session:
        with pytest.raises(RuntimeError, match="out of order"):
            session.result(add(1), timeout=30)
        with pytest.raises(RuntimeError, match="out of order"):
            session.result(add(2), timeout=30)


def test_a_worker_that_dies_again_and_again_fails_its_call_and_no_other(tmp_path: Path) -> None:
    die = hf.operation(_die_at_three, name="demo.die")
    with hf.Session(tmp_path / "work", engine="processes", workers=2) as session:
        with pytest.raises(hf.OperationFailed, match="lost 4 times"):
            session.result(hf.map(die, range(6)), timeout=60)
        assert session.counts.done == 5


def _die_at_three(x: int) -> int:
    import os

    if x == 3:
        os._exit(1)
    return x


def test_a_full_store_is_an_error_and_no_acknowledgement(tmp_path: Path) -> None:
    """A limit on the size of files stands for a full disk."""
    import subprocess
    import sys

    script = (
        "import resource, signal, sys, holdfast as hf\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "f = hf.operation(lambda n: 'x' * n, name='demo.text')\n"
        "with hf.Session(sys.argv[1], engine=sys.argv[2]) as session:\n"
        "    session.result(f(10))\n"
        "    resource.setrlimit(resource.RLIMIT_FSIZE, (600_000, 600_000))\n"
        "    try:\n"
        "        session.results([f(n) for n in range(100_000, 100_040)], timeout=60)\n"
        "    except hf.HoldfastError as error:\n"
        "        print(type(error).__name__, error)\n"
        "with hf.Session(sys.argv[1] + '-other') as session:\n"
        "    print(session.result(f(3)))\n"
    )
    ended = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path / "work"), "in_process"],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.startswith("StoreFailure"), ended.stdout
    assert ended.stdout.endswith("xxx\n")
    text = hf.operation(lambda n: "x" * n, name="demo.text")
    with hf.Session(tmp_path / "work") as session:
        assert len(session.result(text(100_039))) == 100_039


def test_ctrl_c_leaves_a_session_that_goes_on(tmp_path: Path, engine: str, counted: Any, ran: Any) -> None:
    import os
    import signal
    import time

    gate = str(tmp_path / "gate")

    def slowly(x: int) -> int:
        for _ in range(20_000):
            if x < 100 or os.path.exists(gate):
                break
            time.sleep(0.002)
        return x

    slow = hf.operation(slowly, name="demo.slow")
    ensemble = hf.map(lambda x: counted(slow(x)), range(300))
    with hf.Session(tmp_path / "work", engine=engine, workers=None if engine == "in_process" else 2) as session:
        for _ in range(3):
            caught = threading.Event()

            def interrupt(caught: threading.Event = caught) -> None:
                while not caught.wait(0.3):  # Python drops one that arrives in a finaliser; a person presses it again
                    os.kill(os.getpid(), signal.SIGINT)

            def ask(caught: threading.Event = caught) -> None:
                try:
                    session.result(ensemble)
                finally:
                    caught.set()

            presser = threading.Thread(target=interrupt)
            presser.start()
            with pytest.raises(KeyboardInterrupt):
                ask()
            presser.join()
        Path(gate).touch()
        assert session.result(ensemble).tolist() == list(range(300))
        assert session.counts.waiting == 0
    assert len(ran()) < 300 + 3 * 50  # what was under way, and not committed, is all that may run again
