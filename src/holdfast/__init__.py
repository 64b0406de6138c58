"""Computations as a graph of content-addressed nodes that never loses, repeats or corrupts a finished one."""

from holdfast.authoring.decorate import graph, operation
from holdfast.authoring.flow import gather, map, while_loop  # noqa: A004 (JAX's name)
from holdfast.authoring.trace import trace
from holdfast.errors import (
    GraphError,
    HoldfastError,
    OperationFailed,
    OwnershipError,
    UnsupportedValue,
    WorkingDirectoryError,
)
from holdfast.model.datatype import Boolean, Bytes, Complex128, File, Float64, Integer64, Mapping, Null, String
from holdfast.model.lifecycle import NodeState
from holdfast.model.placeholder import Placeholder
from holdfast.runtime.context import WorkerContext
from holdfast.runtime.session import Session
from holdfast.version import __version__

__all__ = [
    "Boolean",
    "Bytes",
    "Complex128",
    "File",
    "Float64",
    "GraphError",
    "HoldfastError",
    "Integer64",
    "Mapping",
    "NodeState",
    "Null",
    "OperationFailed",
    "OwnershipError",
    "Placeholder",
    "Session",
    "String",
    "UnsupportedValue",
    "WorkerContext",
    "WorkingDirectoryError",
    "__version__",
    "gather",
    "graph",
    "map",
    "operation",
    "trace",
    "while_loop",
]
