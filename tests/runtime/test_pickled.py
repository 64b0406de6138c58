"""Any object may be a result where the code names pickle, and nothing is ever unpickled where it does not."""

from __future__ import annotations

import base64
import io
import json
import os
import pickle
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import holdfast as hf
from holdfast.errors import GraphError, HoldfastError, InvalidData, OperationFailed
from holdfast.model.content import Content, decode, encode
from holdfast.model.fingerprint import compact_json, data_text, operation_text, uid_of
from holdfast.plugins import FORMATS, load_format
from holdfast.storage.checkpoint import CheckpointFacility
from holdfast.storage.generation import write_generation
from holdfast.storage.publish import publish
from holdfast.storage.staging import stage
from holdfast.storage.store import open_array, read_text, store_path, verify_store
from holdfast.storage.workdir import open_workdir

ENGINES = ["in_process", "threads", "processes"]
UID = "ab" * 32


class Model:
    """What a library might return: no numbers, no mapping."""

    def __init__(self, slope: float) -> None:
        self.slope = slope

    def predict(self, x: float) -> float:
        return self.slope * x


@hf.operation(name="pickled.fit", version="1", format="pickle")
def fit(slope: float) -> dict[str, Any]:
    return {"model": Model(slope), "score": slope / 2, "weights": np.full(30_000, slope), "seen": {1, 2}}


@hf.operation(name="pickled.predict", version="1", format="pickle")
def predict(model: Any, x: float) -> float:
    return float(model.predict(x))


@hf.operation(name="pickled.plain", version="1")
def plain(model: Any) -> float:
    return 1.0


@hf.operation(name="pickled.large", version="1", format="pickle")
def large(size: int) -> Any:
    return frozenset(range(size))


@hf.operation(name="pickled.better", version="1", format="pickle")
def better(model: Any) -> Any:
    return Model(model.slope + 1)


@hf.operation(name="pickled.bad", version="1", format="pickle")
def is_bad(model: Any) -> bool:
    return bool(model.slope < 3)


@pytest.fixture(params=ENGINES)
def session(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    with hf.Session(tmp_path / "work", engine=request.param, workers=2) as opened:
        yield opened


def test_any_object_may_be_a_result_where_the_operation_names_pickle(session: hf.Session) -> None:
    found = session.result(fit(2.0))
    assert found["model"].predict(3.0) == 6.0
    assert found["seen"] == {1, 2}
    assert found["weights"].sum() == 60_000.0
    assert session.result(predict(fit(2.0)["model"], 5.0)) == 10.0
    assert session.result(fit(2.0)["model"]).slope == 2.0
    assert session.result(large(50_000)) == frozenset(range(50_000))


def test_pickles_go_through_ensembles_and_loops(session: hf.Session) -> None:
    fits = hf.map(fit, slope=[1.0, 2.0])
    assert [found["model"].slope for found in session.result(fits)] == [1.0, 2.0]
    assert session.result(hf.map(predict, model=fits["model"], x=[3.0, 3.0])).tolist() == [3.0, 6.0]
    final = hf.while_loop(is_bad, better, fit(0.0)["model"])
    assert session.result(final).slope == 3.0
    with pytest.raises(GraphError, match="format='pickle'"):
        session.rounds(final)[0]


def test_only_what_nothing_else_can_hold_is_pickled(session: hf.Session) -> None:
    assert session.result(hf.map(plain, model=[fit(2.0)["score"]])).tolist() == [1.0]
    node = fit(4.0)
    assert session.result({"score": node["score"], "first": node["weights"][0]}) == {"score": 2.0, "first": 4.0}


def test_an_operation_that_does_not_name_pickle_is_given_none(session: hf.Session) -> None:
    with pytest.raises(
        OperationFailed, match=r"pickled\.plain is given an object that is kept as a pickle.*format='pickle'"
    ):
        session.result(plain(fit(2.0)["model"]))


def test_an_operation_that_does_not_name_pickle_returns_none(tmp_path: Path) -> None:
    other = hf.operation(fit.function, name="pickled.fit", version="1")
    with (
        hf.Session(tmp_path / "work") as session,
        pytest.raises(OperationFailed, match=r"one that names format='pickle'"),
    ):
        session.result(other(2.0))
    with hf.Session(tmp_path / "work") as session:
        assert session.result(fit(2.0))["score"] == 1.0  # the failure does not stay


def test_a_result_is_only_read_where_its_operation_still_names_pickle(tmp_path: Path) -> None:
    other = hf.operation(fit.function, name="pickled.fit", version="1")
    assert other(2.0).uid == fit(2.0).uid
    with hf.Session(tmp_path / "work") as session:
        session.result(fit(2.0))
    with hf.Session(tmp_path / "work") as session:
        for asked in (
            other(2.0),
            [other(2.0)],
            other(2.0)["model"],
            {"a": other(2.0), "b": fit(2.0)},
            hf.gather([other(2.0)]),
        ):
            with pytest.raises(GraphError, match="does not name pickle"):
                session.result(asked)
        with pytest.raises(GraphError, match="does not name pickle"):
            session.results([fit(2.0), other(2.0)])
        with pytest.raises(GraphError, match="does not name pickle"):
            session.publish(other(2.0)).result(timeout=60)
        assert session.result(other(2.0)["score"]) == 1.0
        assert session.result(fit(2.0))["model"].slope == 2.0


def test_equal_bytes_are_one_result(tmp_path: Path) -> None:
    with hf.Session(tmp_path / "work") as session:
        session.result(predict(fit(2.0)["model"], 1.0))
    with hf.Session(tmp_path / "work") as session:
        assert session.result(predict(fit(2.0)["model"], 1.0)) == 2.0
        assert session.counts.done == 0


def test_a_large_pickle_is_a_file_that_is_verified(tmp_path: Path) -> None:
    with hf.Session(tmp_path / "work") as session:
        session.result(large(100_000))
    (file,) = (tmp_path / "work").glob("nodes/*/*/*.pickle")
    assert pickle.loads(file.read_bytes()) == frozenset(range(100_000))
    data = bytearray(file.read_bytes())
    data[1000] ^= 1
    file.write_bytes(data)
    with hf.Session(tmp_path / "work") as session, pytest.raises(HoldfastError, match=file.name):
        session.result(large(100_000))


def test_what_cannot_be_pickled_fails_the_operation(tmp_path: Path) -> None:
    bad = hf.operation(lambda: (number for number in range(3)), name="pickled.generator", version="1", format="pickle")
    with hf.Session(tmp_path / "work") as session, pytest.raises(OperationFailed, match="cannot pickle 'generator'"):
        session.result(bad())


@pytest.mark.parametrize(
    ("name", "told"), [("pickle", "which only an operation can"), ("table", "whatever the format is")]
)
def test_the_settings_of_a_directory_cannot_name_pickle(tmp_path: Path, name: str, told: str) -> None:
    marker = open_workdir(tmp_path / "work").marker
    record = json.loads(marker.read_text())
    record["settings"]["format"] = name
    marker.write_text(json.dumps(record))
    with pytest.raises(InvalidData, match=told), hf.Session(tmp_path / "work"):
        pass


# 200 hostile files and documents


class Payload:
    """Runs something as soon as it is unpickled."""

    def __init__(self, run: Callable[..., Any], *arguments: Any) -> None:
        self.reduced = run, arguments

    def __reduce__(self) -> Any:
        return self.reduced


def payloads(marker: Path) -> Iterator[bytes]:
    """Return 20 pickles, each of which makes the marker when it is read."""
    code = f"__import__('os').mkdir({str(marker)!r})"
    bombs = [
        Payload(os.mkdir, str(marker)),
        Payload(eval, code),
        Payload(exec, code),
        Payload(os.system, f"mkdir {marker}"),
    ]
    for bomb in bombs:
        for protocol in (0, 2, 3, 4, 5):
            yield pickle.dumps(bomb, protocol)


def pickled(payload: bytes) -> Content:
    return encode(object(), pickled=lambda _: payload)


def as_document(payload: bytes, folder: Path) -> None:
    """Put it where a document has the data of a mapping."""
    content = pickled(payload)
    ((digest, array),) = content.arrays.items()
    data = f'{{"a":{content.text.decode()}}}'
    record = data_text(operation_text(("scalems", "Mapping")), data)
    described = {"base64": base64.b64encode(array.tobytes()).decode(), "dtype": "|u1", "shape": [array.size]}
    document = {
        "data": {digest: described},
        "referents": [{**json.loads(record), "uid": uid_of(record)}],
        "targets": {"x": uid_of(record)},
        "types": {"scalems.Mapping": {"kind": "data"}},
        "version": "holdfast_work_graph_1",
    }
    hf.WorkGraph.from_json(compact_json(document))


def as_table(payload: bytes, folder: Path) -> None:
    """Say that its bytes are a table."""
    content = pickled(payload)
    ((digest, array),) = content.arrays.items()
    column = {"kind": "binary", "name": "a", "nulls": 0, "sizes": [0, 8, array.size]}
    members = {
        "columns": [column],
        "data": {"$array": ["|u1", [array.size], digest]},
        "facts": {},
        "library": "pyarrow",
        "rows": 1,
    }
    decode(compact_json({"$table": members}).encode(), content.arrays.__getitem__)


def as_file(payload: bytes, folder: Path) -> None:
    """Give it to each format as a file."""
    for name in FORMATS:
        with pytest.raises(InvalidData) if name not in ("json", "pickle", "table") else io.BytesIO():
            load_format(name).read(io.BytesIO(payload))


def as_objects(payload: bytes, folder: Path) -> None:
    """Write it as NumPy does with arrays of objects."""
    head = np.lib.format
    stream = io.BytesIO()
    head.write_array_header_1_0(stream, {"descr": "|O", "fortran_order": False, "shape": (1,)})
    stream.write(payload)
    load_format("numpy").read(stream)


def as_checkpoint(payload: bytes, folder: Path) -> None:
    """Leave it as the state of an operation."""
    facility = CheckpointFacility(folder / "work", UID)
    facility.write(1)
    (place,) = (folder / "work").glob("checkpoints/*/*/*.state")
    with open(place, "wb") as stream:
        write_generation(pickled(payload), stream)
    facility.load(print)


def as_store(payload: bytes, folder: Path) -> None:
    """Publish it as the result of some node, and read that in each way."""
    workdir = open_workdir(folder / "work")
    staged = stage(workdir.path, pickled(payload))
    publish(workdir, staged.name, UID)
    verify_store(workdir, UID)
    (file,) = staged.metadata.arrays
    array = open_array(store_path(workdir, UID) / file.name)
    assert array.tobytes() == payload
    decode(read_text(workdir, UID), lambda digest: array)


def as_result(payload: bytes, folder: Path) -> None:
    """Have it stand for the result of a node whose operation does not name pickle."""
    made = hf.operation(lambda: Raw(payload), name="pickled.made", version="1", format="pickle")
    asked = hf.operation(lambda: None, name="pickled.made", version="1")
    with hf.Session(folder / "work") as session:
        with pytest.raises(OperationFailed):  # what it becomes cannot be kept here, so that nothing else reads it
            session.result(plain(made()))
        session.result(asked())


def as_argument(payload: bytes, folder: Path) -> None:
    """Pass it on to an operation that does not name pickle."""
    made = hf.operation(lambda: Raw(payload), name="pickled.made", version="1", format="pickle")
    with hf.Session(folder / "work") as session:
        session.result(plain([made()]))


def as_constant(payload: bytes, folder: Path) -> None:
    """Pass it to an operation in the graph."""
    plain(pickle.PickleBuffer(payload))


def as_record(payload: bytes, folder: Path) -> None:
    """Write it into the record of a data node."""
    encoded = base64.b64encode(payload).decode()
    hf.Mapping.from_json(data_text(operation_text(("scalems", "Mapping")), f'{{"$pickle":{{"$bytes":"{encoded}"}}}}'))


class Raw:
    """Is pickled as bytes that were written before."""

    def __init__(self, payload: bytes) -> None:
        self.payload = payload

    def __reduce__(self) -> Any:
        return pickle.loads, (self.payload,)


CARRIERS = [
    *(as_document, as_table, as_file, as_objects, as_checkpoint),
    *(as_store, as_result, as_argument, as_constant, as_record),
]


@pytest.mark.parametrize("carry", CARRIERS, ids=lambda carry: carry.__name__)
def test_of_200_hostile_files_and_documents_none_is_executed(
    carry: Callable[[bytes, Path], None], tmp_path: Path
) -> None:
    marker = tmp_path / "executed"
    for number, payload in enumerate(payloads(marker)):
        folder = tmp_path / str(number)
        folder.mkdir()
        refused = False
        try:
            carry(payload, folder)
        except (HoldfastError, ValueError, TypeError):
            refused = True
        assert not marker.exists()
        assert refused or carry is as_file


def test_the_payloads_are_live(tmp_path: Path) -> None:
    marker = tmp_path / "executed"
    for payload in payloads(marker):
        pickle.loads(payload)
        marker.rmdir()


def test_a_data_frame_of_objects_is_pickled_where_that_is_named(tmp_path: Path) -> None:
    made = hf.operation(lambda: pd.DataFrame({"a": [{1}, "x"]}), name="pickled.frame", version="1", format="pickle")
    with hf.Session(tmp_path / "work") as session:
        assert session.result(made())["a"].tolist() == [{1}, "x"]
