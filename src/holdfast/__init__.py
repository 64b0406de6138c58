"""Computations as a graph of content-addressed nodes that never loses, repeats or corrupts a finished one."""

from holdfast.authoring.decorate import graph, operation
from holdfast.authoring.flow import gather, map, while_loop  # noqa: A004 (JAX's name)
from holdfast.authoring.trace import trace
from holdfast.model.datatype import Boolean, Bytes, Complex128, File, Float64, Integer64, Mapping, Null, String
from holdfast.model.placeholder import Placeholder
from holdfast.version import __version__
