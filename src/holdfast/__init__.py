"""Computations as a graph of content-addressed nodes that never loses, repeats or corrupts a finished one.

The public names are imported when they are first used (Scientific Python's SPEC 1), so that workers and commands load only what they need.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from holdfast.authoring.decorate import graph, operation
    from holdfast.authoring.flow import broadcast, gather, map, reduce, scatter  # noqa: A004 (JAX's name)
    from holdfast.authoring.loop import cond, fori_loop, scan, while_loop
    from holdfast.authoring.resolve import allow
    from holdfast.authoring.trace import trace
    from holdfast.errors import (
        GraphError,
        HoldfastError,
        OperationFailed,
        OwnershipError,
        UnsupportedValue,
        WorkingDirectoryError,
    )
    from holdfast.model.checkpoint import Checkpoint
    from holdfast.model.datatype import Boolean, Bytes, Complex128, File, Float64, Integer64, Mapping, Null, String
    from holdfast.model.declared import datatype
    from holdfast.model.layout import node_dtype, node_shape
    from holdfast.model.lifecycle import NodeState
    from holdfast.model.placeholder import Placeholder
    from holdfast.model.workgraph import WorkGraph
    from holdfast.runtime.context import WorkerContext
    from holdfast.runtime.session import Session
    from holdfast.version import __version__
    from holdfast.views.progress import watch

__all__ = [
    "Boolean",
    "Bytes",
    "Checkpoint",
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
    "WorkGraph",
    "WorkerContext",
    "WorkingDirectoryError",
    "__version__",
    "allow",
    "broadcast",
    "cond",
    "datatype",
    "fori_loop",
    "gather",
    "graph",
    "map",
    "node_dtype",
    "node_shape",
    "operation",
    "reduce",
    "scan",
    "scatter",
    "trace",
    "watch",
    "while_loop",
]

_HOMES = {
    "authoring.decorate": ("graph", "operation"),
    "authoring.flow": ("broadcast", "gather", "map", "reduce", "scatter"),
    "authoring.loop": ("cond", "fori_loop", "scan", "while_loop"),
    "authoring.resolve": ("allow",),
    "authoring.trace": ("trace",),
    "errors": (
        *("GraphError", "HoldfastError", "OperationFailed"),
        *("OwnershipError", "UnsupportedValue", "WorkingDirectoryError"),
    ),
    "model.checkpoint": ("Checkpoint",),
    "model.datatype": (
        *("Boolean", "Bytes", "Complex128", "File", "Float64"),
        *("Integer64", "Mapping", "Null", "String"),
    ),
    "model.declared": ("datatype",),
    "model.layout": ("node_dtype", "node_shape"),
    "model.lifecycle": ("NodeState",),
    "model.placeholder": ("Placeholder",),
    "model.workgraph": ("WorkGraph",),
    "runtime.context": ("WorkerContext",),
    "runtime.session": ("Session",),
    "version": ("__version__",),
    "views.progress": ("watch",),
}
"""Where each public name lives."""


def __getattr__(name: str) -> object:
    """Import a public name when it is first used."""
    for home, names in _HOMES.items():
        if name in names:
            found = globals()[name] = getattr(import_module(f"holdfast.{home}"), name)
            return found
    raise AttributeError(f"module 'holdfast' has no attribute {name!r}")


def __dir__() -> list[str]:
    """Return the public names, for completion."""
    return __all__
