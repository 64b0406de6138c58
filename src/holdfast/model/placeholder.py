"""Leave a typed hole in a graph.

Pure. Two placeholders are the same if name, datatype, shape and level are. The level counts the graphs nested inside the graph that
the placeholder belongs to, so that the hole of an inner graph is never taken for one of an outer graph.
"""

from __future__ import annotations

from typing import Any

from holdfast.errors import GraphError
from holdfast.model.fingerprint import compact_json, data_text, operation_text, uid_of
from holdfast.model.operation import BUILT_IN
from holdfast.model.reference import Reference
from holdfast.model.shape import OpenShape

PLACEHOLDER = (BUILT_IN, "Placeholder")


class Placeholder(Reference):
    """A typed hole that `bind` fills.

    Parameters
    ----------
    name : str
        Unique in its graph.
    datatype : DataType or tuple of str, optional
        What may fill it; None for anything.
    shape : tuple, optional
        Sizes from the outermost; a name stands for one size wherever it is written, None for any. None for any shape.

    Examples
    --------
    >>> Placeholder("x", ("scalems", "Float64"), ("n", 3))
    Placeholder('x', scalems.Float64, ('n', 3))
    """

    __slots__ = ("datatype", "free", "level", "name", "shape", "uid")

    def __init__(self, name: str, datatype: Any = None, shape: OpenShape | None = None, *, level: int = 0) -> None:
        if not isinstance(name, str) or not name:
            raise GraphError(f"{name!r} is no name of a placeholder. Use a string.")
        self.name = name
        self.datatype: tuple[str, ...] | None = getattr(datatype, "scope", datatype)
        self.shape = None if shape is None else tuple(shape)
        self.level = level
        self.uid = uid_of(data_text(operation_text(PLACEHOLDER), compact_json(self.data)))
        self.free = frozenset([self])

    @property
    def data(self) -> dict[str, object]:
        """What identifies it."""
        return {
            "datatype": None if self.datatype is None else list(self.datatype),
            "level": self.level,
            "name": self.name,
            "shape": None if self.shape is None else list(self.shape),
        }

    @property
    def record(self) -> dict[str, object]:
        """The portable form."""
        return {"depends": [], "input": {"data": self.data}, "operation": list(PLACEHOLDER)}

    def at_level(self, level: int) -> Placeholder:
        """Return the same hole in a graph with other graphs nested inside."""
        return Placeholder(self.name, self.datatype, self.shape, level=level)

    def __repr__(self) -> str:
        datatype = "" if self.datatype is None else f", {'.'.join(self.datatype)}"
        return f"Placeholder({self.name!r}{datatype}{'' if self.shape is None else f', {self.shape}'})"
