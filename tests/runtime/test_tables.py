"""Tables and datasets go through operations, ensembles, loops, engines and documents like any other value."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import xarray as xr

import holdfast as hf
from holdfast.errors import GraphError, InvalidData, NotFound, OperationFailed
from holdfast.model.content import encode
from holdfast.model.datatype import Dataset, Table
from holdfast.storage.datastore import get_datastore
from holdfast.storage.owner import current_owner
from holdfast.storage.ownership import Ownership
from holdfast.storage.verify import verify
from holdfast.storage.workdir import open_workdir

LARGE = 30_000
ENGINES = ["in_process", "threads", "processes"]


def columns(rows: int) -> dict[str, Any]:
    return {"x": np.arange(rows) / 2, "name": [f"row {number}" for number in range(rows)]}


@hf.operation(name="tables.pandas", version="1")
def of_pandas(rows: int) -> pd.DataFrame:
    return pd.DataFrame(columns(rows)).set_index("name")


@hf.operation(name="tables.polars", version="1")
def of_polars(rows: int) -> pl.DataFrame:
    return pl.DataFrame(columns(rows))


@hf.operation(name="tables.pyarrow", version="1")
def of_pyarrow(rows: int) -> pa.Table:
    return pa.table(columns(rows))


@hf.operation(name="tables.class", version="1")
def class_of(table) -> str:  # type: ignore[no-untyped-def]
    return f"{type(table).__module__.partition('.')[0]}.{type(table).__name__}"


@hf.operation(name="tables.mean", version="1")
def mean(table: pl.DataFrame) -> float:
    assert isinstance(table, pl.DataFrame)
    return float(table["x"].mean())  # type: ignore[arg-type]


@hf.operation(name="tables.both", version="1")
def both(tables: list, more: dict) -> dict:  # type: ignore[type-arg]
    return {"rows": [len(table) for table in tables], "kept": more["one"], "first": tables[0]}


@hf.operation(name="tables.grow", version="1")
def grow(table: pd.DataFrame) -> pd.DataFrame:
    return pd.concat([table, pd.DataFrame({"x": [float(len(table))]})], ignore_index=True)


@hf.operation(name="tables.short", version="1")
def is_short(table: pd.DataFrame) -> bool:
    return len(table) < 4


@hf.operation(name="tables.field", version="1", format="hdf5")
def field(size: int) -> xr.Dataset:
    return xr.Dataset({"t": (("x",), np.arange(float(size)), {"unit": "K"})}, {"x": np.arange(size)}, {"who": "we"})


@hf.operation(name="tables.warm", version="1")
def warm(found: xr.Dataset) -> xr.DataArray:
    return found["t"] + 1.0


MAKERS = {"pandas.DataFrame": of_pandas, "polars.DataFrame": of_polars, "pyarrow.Table": of_pyarrow}


@pytest.fixture(params=ENGINES)
def session(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    with hf.Session(tmp_path / "work", engine=request.param, workers=2) as opened:
        yield opened


def test_a_table_is_given_and_returned_as_it_was_made(session: hf.Session) -> None:
    for name, make in MAKERS.items():
        for rows in (3, LARGE):
            found = session.result(make(rows))
            assert session.result(class_of(make(rows))) == name
            assert f"{type(found).__module__.partition('.')[0]}.{type(found).__name__}" == name
            assert found.equals(make.function(rows))


def test_an_input_that_declares_a_library_gets_its_tables(session: hf.Session) -> None:
    for make in MAKERS.values():
        assert session.result(mean(make(LARGE))) == (LARGE - 1) / 4
    assert session.result(mean(pd.DataFrame({"x": [1.0, 3.0]}))) == 2.0


def test_tables_stand_in_lists_and_mappings_and_come_back_in_them(session: hf.Session) -> None:
    given = pl.DataFrame({"a": [1, 2]})
    found = session.result(both([of_pandas(3), given, of_polars(LARGE)], {"one": of_pyarrow(2)}))
    assert found["rows"] == [3, 2, LARGE]
    assert found["kept"].equals(of_pyarrow.function(2))
    assert found["first"].equals(of_pandas.function(3))
    part = both([given], {"one": 1})["first"]
    assert session.result(mean(part.source.replace(tables=[of_polars(5)])["first"])) == 1.0


def test_tables_are_members_of_ensembles_and_states_of_loops(session: hf.Session) -> None:
    tables = hf.map(of_polars, rows=[1, 2, 3])
    assert [len(table) for table in session.result(tables)] == [1, 2, 3]
    assert session.result(hf.map(mean, table=tables)).tolist() == [0.0, 0.25, 0.5]
    assert session.result(hf.map(mean, table=[of_polars.function(3), of_pandas.function(5)])).tolist() == [0.5, 1.0]
    final = hf.while_loop(is_short, grow, pd.DataFrame({"x": [0.0]}))
    assert [*session.result(final)["x"]] == [0.0, 1.0, 2.0, 3.0]


def test_datasets_go_the_same_ways(session: hf.Session) -> None:
    assert session.result(field(LARGE)).identical(field.function(LARGE))
    assert session.result(warm(field(LARGE))).identical(warm.function(field.function(LARGE)))
    assert [*session.result(hf.map(field, size=[1, 2]))[1]["t"].values] == [0.0, 1.0]
    assert session.result(warm(field.function(3))).values.tolist() == [1.0, 2.0, 3.0]


def test_what_is_stored_is_an_arrow_file_and_is_verified(tmp_path: Path) -> None:
    with hf.Session(tmp_path / "work") as session:
        session.result(of_pandas(LARGE))
        session.result(field(LARGE))
    (file,) = (tmp_path / "work").glob("nodes/*/*/*.arrow")
    with pa.memory_map(str(file)) as mapped:
        table = pa.ipc.open_file(mapped).read_all()
        table.validate(full=True)
        assert table.column_names == ["x", "__index_level_0__"]
        assert table["x"].to_numpy()[-1] == (LARGE - 1) / 2
    assert {path.suffix for path in (tmp_path / "work").glob("nodes/*/*/*")} == {".arrow", ".h5", ".json"}
    assert verify(tmp_path / "work").findings == []
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)
    assert verify(tmp_path / "work").findings[0].file == str(file.parent)
    with hf.Session(tmp_path / "work") as session, pytest.raises(hf.HoldfastError, match=file.name):
        session.result(of_pandas(LARGE))


def test_equal_tables_are_one_and_run_nothing_again(tmp_path: Path) -> None:
    frame = pd.DataFrame({"x": [1.0, 2.0]})
    assert mean(frame).uid == mean(frame.copy()).uid != mean(pl.DataFrame({"x": [1.0, 2.0]})).uid
    assert Table(frame) == mean(frame).inputs["table"]
    with hf.Session(tmp_path / "work") as session:
        session.result(mean(frame))
    with hf.Session(tmp_path / "work") as session:
        session.result(mean(frame.copy()))
        assert session.counts.done == 0


def test_a_change_of_the_callers_table_changes_nothing(tmp_path: Path) -> None:
    frame = pd.DataFrame({"x": [1.0, 2.0]})
    node = mean(frame)
    frame.loc[0, "x"] = 100.0
    with hf.Session(tmp_path / "work") as session:
        assert session.result(node) == 1.5


def test_a_work_graph_carries_tables(tmp_path: Path) -> None:
    graph = hf.WorkGraph({"mean": mean(of_pandas.function(4)), "sum": warm(field.function(2))})
    again = hf.WorkGraph.from_json(graph.to_json(), hf.allow(mean, warm))
    assert again["mean"] == graph["mean"]
    with hf.Session(tmp_path / "work") as session:
        assert session.result(again["mean"]) == 0.75
        assert session.result(again["sum"]).values.tolist() == [1.0, 2.0]


def test_a_document_whose_table_was_changed_is_refused() -> None:
    text = hf.WorkGraph({"mean": mean(pl.DataFrame({"x": [1.0, 2.0]}))}).to_json()
    for old, new in (
        ('"rows":2', '"rows":3'),
        ('"polars"', '"pandas"'),
        ('"float64"', '"int64"'),
        ('"nulls":0', '"nulls":1'),
    ):
        assert old in text
        with pytest.raises(InvalidData, match=r"^\$\.referents"):
            hf.WorkGraph.from_json(text.replace(old, new), hf.allow(mean))


def test_annotations_are_checked_when_the_graph_is_built() -> None:
    for wrong in (3, "text", np.arange(3), field(3)):
        with pytest.raises(GraphError, match="declares its input 'table' as a table of polars"):
            mean(wrong)
    with pytest.raises(GraphError, match=r"as xarray\.Dataset"):
        warm(of_pandas(3))
    assert hf.map(mean, table=hf.map(of_pandas, rows=[1, 2])).uid


def test_placeholders_take_the_classes_of_tables_and_datasets(tmp_path: Path) -> None:
    graph = hf.trace(
        lambda table, found: [mean(table), warm(found)],
        table=hf.Placeholder("table", pl.DataFrame),
        found=hf.Placeholder("found", xr.Dataset),
    )
    bound = graph.bind(table=pd.DataFrame({"x": [1.0, 2.0]}), found=field.function(2))
    with hf.Session(tmp_path / "work") as session:
        assert session.result(bound)[0] == 1.5
    with pytest.raises(GraphError):
        graph.bind(table=3)


@hf.operation(name="tables.interrupted", version="1")
def interrupted(steps: int, checkpoint: hf.Checkpoint) -> pd.DataFrame:
    state = checkpoint.load() or {"done": 0, "frame": pd.DataFrame({"x": pd.Series([], dtype="f8")})}
    for step in range(state["done"], steps):
        state = {"done": step + 1, "frame": pd.concat([state["frame"], pd.DataFrame({"x": [float(step)]})])}
        if step == 1 and not checkpoint.load():
            checkpoint.write(state)
            checkpoint.flush()
            raise RuntimeError("stop")
    return state["frame"].reset_index(drop=True)


def test_a_checkpoint_holds_tables(tmp_path: Path) -> None:
    with hf.Session(tmp_path / "work") as session, pytest.raises(OperationFailed, match="stop"):
        session.result(interrupted(4))
    with hf.Session(tmp_path / "work") as session:
        assert [*session.result(interrupted(4))["x"]] == [0.0, 1.0, 2.0, 3.0]


def test_a_data_store_holds_tables(tmp_path: Path) -> None:
    workdir, uid = open_workdir(tmp_path / "work"), "ef" * 32
    ownership = Ownership.acquire(workdir, current_owner("test"))
    try:
        with get_datastore(workdir, uid, ownership=ownership) as store:
            handle = store.open("w")
            handle.write(encode({"frame": of_polars.function(5)}))
            handle.commit()
    finally:
        ownership.release()
    assert get_datastore(workdir, uid).open("r").read()["frame"].equals(of_polars.function(5))


def test_a_table_has_no_parts_and_no_elements_and_says_so(tmp_path: Path) -> None:
    with hf.Session(tmp_path / "work") as session:
        with pytest.raises(NotFound, match=r"the part \.x of a table\. Take it out in an operation"):
            session.result(of_pandas(3)["x"])
        with pytest.raises(OperationFailed, match="no elements to run over: its value is a table"):
            session.result(hf.map(class_of, table=of_pandas(3)))


def test_a_column_that_cannot_be_kept_fails_the_operation_with_advice(tmp_path: Path) -> None:
    bad = hf.operation(lambda: pd.DataFrame({"a": [object()]}), name="tables.bad", version="1")
    with (
        hf.Session(tmp_path / "work") as session,
        pytest.raises(OperationFailed, match=r"tables\.bad\['a'\] is a column of Python"),
    ):
        session.result(bad())


def test_explain_tells_which_table_was_another(tmp_path: Path) -> None:
    first, second = pd.DataFrame({"x": [1.0, 2.0]}), pd.DataFrame({"x": [1.0, 2.0, 3.0]})
    with hf.Session(tmp_path / "work") as session:
        session.result(mean(first))
        session.result(warm(field.function(2)))
    with hf.Session(tmp_path / "work") as session:
        session.result(mean(second))
        session.result(warm(field.function(2).assign_attrs(who="they")))
        told = str(session.explain(mean(second)))
        assert "of pandas, 2 rows: x" in told
        assert "of pandas, 3 rows: x" in told
        assert 'from "we" to "they"' in str(session.explain(warm(field.function(2).assign_attrs(who="they"))))


def test_show_tells_what_a_table_looks_like(tmp_path: Path) -> None:
    with hf.Session(tmp_path / "work") as session:
        session.result(of_pandas(LARGE))
    command = [
        sys.executable,
        "-m",
        "holdfast.cli.main",
        "show",
        of_pandas(LARGE).uid,
        "--work",
        str(tmp_path / "work"),
    ]
    told = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout
    assert f"of pandas, {LARGE} rows and 2 columns in {tmp_path}" in told
    assert "x float64, __index_level_0__ largestring" in told
    assert "array " not in told
    parsed = json.loads(
        subprocess.run([*command, "--json"], capture_output=True, text=True, check=True, timeout=60).stdout
    )
    assert parsed["tables"][0]["columns"][0] == ["x", "float64"]


def test_data_nodes_hold_tables_and_datasets() -> None:
    for datatype, value in ((Table, pl.DataFrame({"a": [1]})), (Dataset, field.function(1))):
        node = datatype(value)
        with pytest.raises(InvalidData, match="by digest only"):
            datatype.from_json(node.to_json())
        assert node.record["operation"] == ["scalems", datatype.scope[-1]]
        with pytest.raises(InvalidData, match="expected a"):
            datatype(3)
