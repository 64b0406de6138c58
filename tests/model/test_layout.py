from __future__ import annotations

from typing import Any

import numpy
import pytest

import holdfast as hf
from holdfast.errors import InvalidData
from holdfast.model.datatype import BY_NAME

ARRAYS = [
    datatype(numpy.zeros(shape, datatype.dtype))
    for datatype in BY_NAME.values()
    if datatype.dtype
    for shape in ((), (3,), (2, 2), (0, 3), (1025,))
]


@pytest.mark.parametrize("node", ARRAYS, ids=repr)
def test_the_record_alone_tells_shape_and_dtype(node: Any) -> None:
    for described in (node, node.record, node.to_json()):
        assert hf.node_shape(described) == node.shape
        assert hf.node_dtype(described) == node.dtype


@pytest.mark.parametrize(
    "node", [hf.String("a"), hf.Bytes(b"a"), hf.Mapping({"a": [1]}), hf.Null(None), hf.String(["a", "b"])], ids=repr
)
def test_what_has_no_elements_of_one_size_has_no_dtype(node: Any) -> None:
    assert hf.node_shape(node.record) == hf.node_shape(node) == node.shape
    assert hf.node_dtype(node.record) is None


def test_nodes_and_placeholders_have_what_they_declare() -> None:
    @hf.operation(name="demo.length")
    def length(x: str) -> int:
        return len(x)

    assert (hf.node_shape(length("a")), hf.node_dtype(length("a"))) == ((), numpy.int64)
    hole = hf.Placeholder("x", float, ("n", 3))
    assert (hf.node_shape(hole), hf.node_dtype(hole.record)) == (("n", 3), numpy.float64)
    assert hf.node_shape(hf.operation(lambda x: x, name="demo.same")(1)) is None


def test_what_is_no_record_of_data_is_refused() -> None:
    operation = hf.operation(lambda x: x, name="demo.same")(1)
    for wrong in (operation.record, {}, {"operation": ["other", "Type"], "input": {"data": 1}}):
        with pytest.raises(InvalidData):
            hf.node_dtype(wrong)
