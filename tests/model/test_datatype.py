from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy
import pytest

import holdfast as hf
from holdfast.errors import InvalidData
from holdfast.model.argument import pack
from holdfast.model.datatype import DataType

GOLDEN = "266bb4e33dfb7be89c04735cebe31cae8d7714243ccb9d137a1a37a46a645365"


def test_the_notebooks_node_has_the_golden_uid() -> None:
    node = hf.Integer64([[1, 2], [3, 4]])
    assert node.uid == GOLDEN
    assert node.fingerprint().uid() == bytes.fromhex(GOLDEN)
    assert len(node.fingerprint().uid()) == 32
    assert (
        node.fingerprint().compact_json()
        == '{"depends":[],"input":{"data":[[1,2],[3,4]]},"operation":["scalems","Integer64"]}'
    )
    assert hashlib.sha256(node.fingerprint().compact_json().encode()).hexdigest() == GOLDEN
    assert node.shape == (2, 2)
    assert node.dtype == numpy.int64


@pytest.mark.parametrize(
    ("datatype", "data"),
    [
        (hf.Integer64, 5),
        (hf.Integer64, [[1, 2], [3, 4]]),
        (hf.Integer64, []),
        (hf.Float64, [1.0, float("nan"), float("-inf"), -0.0, 1e300]),
        (hf.Float64, 2.5),
        (hf.Complex128, [1 + 2j, 3 - 4j]),
        (hf.Boolean, [True, False]),
        (hf.String, ["a", "ü"]),
        (hf.String, "x"),
        (hf.Bytes, b"\x00\xff"),
        (hf.String, "ends with zero\0"),
        (hf.Mapping, {"a": [1, None, {"b": 2.0}]}),
        (hf.Null, None),
    ],
)
def test_records_come_back_from_their_json(datatype: DataType, data: Any) -> None:
    node = datatype(data)
    assert datatype.from_json(node.to_json(indent=2)) == node
    assert node.record["operation"] == ["scalems", datatype.scope[-1]]


@pytest.mark.parametrize(
    ("datatype", "data"),
    [
        (hf.Integer64, [[1, 2], [3]]),
        (hf.Integer64, 1.0),
        (hf.Integer64, [2**63]),
        (hf.Integer64, [True]),
        (hf.Integer64, numpy.array([1.0])),
        (hf.Integer64, "1"),
        (hf.Float64, "1.0"),
        (hf.Float64, 2**53 + 1),
        (hf.Boolean, [1]),
        (hf.String, [b"a"]),
        (hf.String, ["ends with zero\0"]),
        (hf.Bytes, "a"),
        (hf.Mapping, [1]),
        (hf.Null, 0),
    ],
)
def test_nothing_is_silently_cast(datatype: DataType, data: Any) -> None:
    with pytest.raises(ValueError, match=r"data|expected"):
        datatype(data)


@pytest.mark.parametrize(
    ("text", "member"),
    [
        ("[]", "object"),
        ("{", "JSON"),
        ('{"depends":[],"input":{"data":1}}', "operation"),
        ('{"depends":[],"operation":["scalems","Integer64"]}', "input"),
        ('{"input":{"data":1},"operation":["scalems","Integer64"]}', "depends"),
        ('{"depends":[],"input":{"data":1},"operation":["other","Integer64"]}', "operation"),
        ('{"depends":[],"input":{"data":1,"more":2},"operation":["scalems","Integer64"]}', "input"),
        ('{"depends":["x"],"input":{"data":1},"operation":["scalems","Integer64"]}', "depends"),
        ('{"depends":[],"input":{"data":NaN},"operation":["scalems","Float64"]}', "NaN"),
        ('{"depends":[],"depends":[],"input":{"data":1},"operation":["scalems","Integer64"]}', "twice"),
        ("[" * 100_000, "nested|JSON"),
    ],
)
def test_a_wrong_record_is_refused_by_member(text: str, member: str) -> None:
    with pytest.raises(ValueError, match=member):
        hf.Integer64.from_json(text)


def test_large_arrays_are_named_by_digest_and_small_ones_written_out() -> None:
    small, large = hf.Integer64(numpy.arange(1024)), hf.Integer64(numpy.arange(1025))
    assert isinstance(small.record["input"]["data"], list)
    ((key, (dtype, shape, digest)),) = large.record["input"]["data"].items()
    assert (key, dtype, shape) == ("$array", "<i8", [1025])
    assert digest == hashlib.sha256(b'["<i8",[1025]]' + numpy.arange(1025, dtype="<i8").tobytes()).hexdigest()


def test_empty_arrays_keep_their_shape_in_their_identity() -> None:
    shapes = [(0,), (0, 3), (2, 0)]
    assert len({hf.Float64(numpy.zeros(shape)).uid for shape in shapes}) == 3
    assert [hf.Float64(numpy.zeros(shape)).shape for shape in shapes] == shapes


def test_files_count_by_contents_and_not_by_name(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"same")
    (tmp_path / "b").write_bytes(b"same")
    (tmp_path / "c").write_bytes(b"other")
    assert hf.File(tmp_path / "a") == hf.File(tmp_path / "b") != hf.File(tmp_path / "c")
    with pytest.raises(ValueError, match="cannot be read"):
        hf.File(tmp_path / "none")


def test_alike_scalars_are_packed_and_others_are_not() -> None:
    assert pack([1, 2, 3]) == hf.Integer64([1, 2, 3])
    assert pack([1.0, 2.0]) == hf.Float64([1.0, 2.0])
    assert pack(["a", "bb"]) == hf.String(["a", "bb"])
    assert pack([1, 2.0]) is None
    assert pack([1, True]) is None
    assert pack([[1]]) is None
    assert pack([2**63]) is None


def test_json_arguments_pass_through() -> None:
    assert json.loads(hf.Integer64(1).to_json(indent=4, sort_keys=True)) == hf.Integer64(1).record


@pytest.mark.parametrize(
    "data", ["/etc/passwd", 3, ["a" * 64, 3], {"$file": ["a" * 64]}, {"$file": ["/etc/passwd", 3]}]
)
def test_the_record_of_a_file_is_never_a_path_to_be_opened(data: Any) -> None:
    record = {"depends": [], "input": {"data": data}, "operation": ["scalems", "File"]}
    with pytest.raises(InvalidData, match="expected the digest and the size of a file"):
        hf.File.from_json(json.dumps(record))
