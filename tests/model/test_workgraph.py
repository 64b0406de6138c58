"""A work graph is data that travels."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from importlib.resources import files
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import holdfast as hf
from holdfast.errors import HoldfastError, InvalidData, NotFound, UnsupportedValue
from holdfast.model.control import CONTROL
from holdfast.runtime.expansion import RUNS

LONG = os.environ.get("HOLDFAST_CRASH") == "long"

SCHEMA = json.loads(files("holdfast.model").joinpath("workgraph.schema.json").read_text())


@hf.operation(name="travel.pair", version="1")
def pair(a: Any, b: Any = None) -> Any:
    return {"a": a, "b": b}


@hf.operation(name="travel.below", version="1")
def below(x: Any) -> bool:
    return bool(x < 6.0)


@hf.operation(name="travel.add", version="1")
def add(x: float, y: float = 1.0) -> float:
    return x + y


ALLOWED = hf.allow(pair, below, add)

LOOP = hf.while_loop(below, add, 1.0, max_iterations=10)
NESTED = hf.map(lambda x: hf.map(lambda y: add(x, y), y=[1.0, 2.0, 3.0]), x=[1.0, 2.0])
WIDE = np.arange(5000.0).reshape(50, 100)

EXAMPLE = hf.WorkGraph(
    {
        "loop": LOOP,
        "nested": [NESTED, {"part": pair(LOOP, WIDE)["b"][3]}],
        "abstract": hf.trace(lambda x: pair(a=x, b=LOOP), x=hf.Placeholder("x", hf.Float64, ("n", None))),
        "plain": {"odd label!": 3},
    }
)


def changed(path: list[Any], value: Any) -> str:
    document = json.loads(EXAMPLE.to_json())
    place = document
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    return json.dumps(document)


def index_of(operation: list[str]) -> int:
    referents = json.loads(EXAMPLE.to_json())["referents"]
    return next(index for index, referent in enumerate(referents) if referent["operation"] == operation)


def attempt(text: str) -> tuple[hf.WorkGraph | None, str]:
    """Return the graph of a text, or why there is none; `$` if all is well."""
    try:
        return hf.WorkGraph.from_json(text, ALLOWED), "$"
    except HoldfastError as error:
        return None, str(error)


def same(text: str) -> bool:
    return hf.WorkGraph.from_json(text, ALLOWED).to_json() == text


def test_reading_gives_the_same_targets_and_writing_the_same_bytes() -> None:
    text = EXAMPLE.to_json()
    again = hf.WorkGraph.from_json(text, ALLOWED)
    assert again["loop"] == LOOP
    assert again["nested"] == EXAMPLE["nested"]
    assert again.to_json() == text


def test_the_document_fits_its_schema_which_is_a_schema() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    jsonschema.validate(json.loads(EXAMPLE.to_json()), SCHEMA)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(json.loads(changed(["referents", 3, "uid"], "abc")), SCHEMA)


def test_every_kind_of_control_flow_can_travel() -> None:
    assert CONTROL.keys() == RUNS.keys()


def test_a_large_array_travels_and_runs(tmp_path: Path) -> None:
    graph = hf.WorkGraph.from_json(hf.WorkGraph({"wide": pair(WIDE)}).to_json(), ALLOWED)
    with hf.Session(tmp_path / "work") as session:
        assert np.array_equal(session.result(graph["wide"])["a"], WIDE)


def test_a_file_is_refused_with_advice(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("hello")
    with pytest.raises(UnsupportedValue, match="Read the file inside an operation"):
        hf.WorkGraph({"x": pair(hf.File(tmp_path / "data"))}).to_json()


def test_too_much_data_is_refused_with_advice() -> None:
    with pytest.raises(UnsupportedValue, match="16777216 bytes"):
        hf.WorkGraph({"x": pair(np.zeros(3_000_000))}).to_json()


def test_a_chain_of_twenty_thousand_nodes_is_no_recursion() -> None:
    node = add(0.0)
    for _ in range(20_000):
        node = add(node)
    assert same(hf.WorkGraph({"end": node}).to_json())


def test_an_open_placeholder_is_no_target() -> None:
    with pytest.raises(hf.GraphError, match="unbound placeholders: x"):
        hf.WorkGraph({"end": add(hf.Placeholder("x"))})


def test_an_unknown_target_says_which_there_are() -> None:
    with pytest.raises(NotFound, match="it has: abstract, loop, nested, plain"):
        EXAMPLE["lop"]


LOOP_AT, ADD_AT = index_of(["holdfast", "while_loop"]), index_of(["travel", "add"])
DATA_AT = index_of(["scalems", "Float64"])


@pytest.mark.parametrize(
    ("path", "value", "place", "reason"),
    [
        (["version"], "holdfast_work_graph_9", "$.version", "expected"),
        (["targets"], {}, "$.targets", "empty"),
        (["surplus"], 1, "$", "unknown member"),
        (["referents", ADD_AT, "input", "x"], "0" * 64, f"$.referents[{ADD_AT}].input.x", "missing"),
        (["referents", ADD_AT, "input", "x"], LOOP.uid, f"$.referents[{ADD_AT}].input.x", "topological"),
        (["referents", ADD_AT, "input", "x"], 3, f"$.referents[{ADD_AT}].input.x", "expected a reference"),
        (["referents", ADD_AT, "input", "z"], [], f"$.referents[{ADD_AT}].input", "no input 'z'"),
        (["referents", ADD_AT, "depends"], [], f"$.referents[{ADD_AT}].depends", "implementation"),
        (["referents", ADD_AT, "operation"], ["os", "system"], f"$.referents[{ADD_AT}].operation", "types"),
        (["referents", DATA_AT, "input", "data"], 7.5, f"$.referents[{DATA_AT}].uid", "has the uid"),
        (["referents", DATA_AT, "input", "data"], "text", f"$.referents[{DATA_AT}]", "does not fit"),
        (["referents", DATA_AT, "uid"], "ABC", f"$.referents[{DATA_AT}].uid", "lower-case"),
        (["referents", LOOP_AT, "input", "body"], [], f"$.referents[{LOOP_AT}].input", "expected an abstract graph"),
        (["targets", "loop"], {"deep": ["0" * 64]}, "$.targets.loop.deep[0]", "missing"),
        (["types", "travel.add"], {"kind": "data"}, "$.types['travel.add']", "missing or wrong"),
    ],
)
def test_what_is_wrong_is_refused_with_its_place(path: list[Any], value: Any, place: str, reason: str) -> None:
    with pytest.raises(InvalidData) as caught:
        hf.WorkGraph.from_json(changed(path, value), ALLOWED)
    assert place in str(caught.value)
    assert reason in str(caught.value)


@pytest.mark.parametrize(
    ("member", "value"),
    [("base64", "AAAA"), ("shape", [2**62, 2**62]), ("dtype", "|O"), ("shape", [100, 50]), ("dtype", ">f8")],
)
def test_carried_data_is_checked_before_it_is_believed(member: str, value: Any) -> None:
    (digest,) = json.loads(EXAMPLE.to_json())["data"]
    with pytest.raises(InvalidData, match=r"^\$\.data\['"):
        hf.WorkGraph.from_json(changed(["data", digest, member], value), ALLOWED)


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{", "nul", '{"a":1,"a":2}', "[" * 100_000, "NaN", '{"version":NaN}', "9" * 10_000, '"\\ud800"'],
)
def test_what_is_no_document_is_refused(text: str) -> None:
    with pytest.raises(InvalidData, match=r"^\$"):
        hf.WorkGraph.from_json(text, ALLOWED)


def test_an_operation_that_was_not_allowed_is_never_found() -> None:
    with pytest.raises(NotFound, match=r"\$\.referents\[\d+\].*travel.add is not among those allowed"):
        hf.WorkGraph.from_json(hf.WorkGraph({"x": add(1.0)}).to_json(), hf.allow(pair))
    with pytest.raises(InvalidData, match=r"\$\.referents\[\d+\] needs the operation travel.add"):
        hf.WorkGraph.from_json(hf.WorkGraph({"x": add(1.0)}).to_json())


def test_other_code_than_recorded_is_refused_with_the_names_of_its_parts() -> None:
    text = hf.WorkGraph({"x": add(1.0)}).to_json()
    other = hf.operation(add.function, name="travel.add", version="2")
    with pytest.raises(InvalidData, match=r"travel.add has other code here than was recorded: changed: version"):
        hf.WorkGraph.from_json(text, hf.allow(other))


def test_an_input_that_does_not_fit_its_annotation_is_refused_with_its_place() -> None:
    untyped = hf.operation(lambda x, y: x, name="travel.add", version="1")
    text = hf.WorkGraph({"x": pair(untyped("no number", 1.0))}).to_json()
    with pytest.raises(InvalidData, match=r"^\$\.referents\[\d\]\.input: .*travel\.add"):
        hf.WorkGraph.from_json(text, ALLOWED)


scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(allow_nan=False),
    st.just(math.nan),
    st.text(max_size=8),
)
values = st.one_of(
    scalars,
    st.binary(max_size=2000),
    st.complex_numbers(allow_nan=False),
    st.lists(st.integers(0, 255), max_size=2000).map(lambda items: np.array(items, dtype="u1")),
    st.lists(st.floats(width=32, allow_nan=False), min_size=1, max_size=6).map(
        lambda items: np.array(items, dtype="f4")
    ),
)


@st.composite
def graphs(draw: st.DrawFn) -> hf.WorkGraph:
    made: list[Any] = [pair(draw(values), draw(st.lists(values, max_size=3)))]
    for _ in range(draw(st.integers(0, 6))):
        item = draw(st.sampled_from(made))
        made.append(
            draw(
                st.sampled_from(
                    [
                        pair(item, draw(values)),
                        pair({"odd label": [item, draw(st.sampled_from(made))]}),
                        pair(item["b"][2], item["has.dot"]),
                        hf.while_loop(below, lambda x, item=item: pair(x, item), item),
                        hf.map(lambda x, item=item: pair(x, hf.map(pair, a=[x, item])), x=[1, 2]),
                    ]
                )
            )
        )
    return hf.WorkGraph({"first": made[0], "all": made, "last": {"x": made[-1]}})


@given(graphs())
@settings(max_examples=500 if LONG else 40, deadline=None)
def test_reading_and_writing_is_the_identity(graph: hf.WorkGraph) -> None:
    assert same(graph.to_json())


TEXT = EXAMPLE.to_json()
junk = st.recursive(
    scalars | st.sampled_from(["0" * 64, LOOP.uid, LOOP.uid + "[0]", "os", "$array", "scalems"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["data", "$array", "$bytes", "x"]), inner, max_size=2)
    ),
    max_leaves=5,
)


def places(item: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    members = item.items() if isinstance(item, dict) else enumerate(item) if isinstance(item, list) else ()
    return [path, *(place for key, value in members for place in places(value, (*path, key)))]


PLACES = [place for place in places(json.loads(TEXT)) if place]


@given(st.sampled_from(PLACES), junk)
@settings(max_examples=10_000 if LONG else 250, deadline=None)
def test_a_fuzzed_document_is_an_error_with_a_place_or_still_true(place: tuple[Any, ...], value: Any) -> None:
    text = changed(list(place), value)
    before = set(sys.modules)
    read, complaint = attempt(text)
    assert complaint.startswith("$")
    if read is not None:
        assert hf.WorkGraph.from_json(read.to_json(), ALLOWED).targets == read.targets
    assert not {name for name in set(sys.modules) - before if not name.startswith(("numpy", "holdfast", "_"))}


@given(st.integers(0, len(TEXT) - 1), st.characters(max_codepoint=127), st.booleans())
@settings(max_examples=10_000 if LONG else 150, deadline=None)
def test_a_document_with_a_damaged_character_is_an_error_with_a_place_or_still_true(
    at: int, char: str, cut: bool
) -> None:
    text = TEXT[:at] + ("" if cut else char + TEXT[at + 1 :])
    assert attempt(text)[1].startswith("$")


def test_writing_is_the_same_under_every_hash_seed(tmp_path: Path) -> None:
    code = (
        "import holdfast as hf, hashlib; f = hf.operation(lambda b, a: a, name='t.f', version='1')\n"
        "print(hashlib.sha256(hf.WorkGraph({'z': f(1, {'q': 2, 'p': f(3, 4)}), 'a': f(5, 6)}).to_json().encode()).hexdigest())"
    )
    seen = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("0", "1", "77")
    }
    assert len(seen) == 1
