"""Leave a typed hole in a graph.

Pure. Two placeholders are the same if name, datatype, shape and level are. The level counts the graphs nested inside the graph that
the placeholder belongs to, so that the hole of an inner graph is never taken for one of an outer graph.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from holdfast.errors import GraphError
from holdfast.model.fingerprint import compact_json, data_text, operation_text, uid_of
from holdfast.model.foreign import is_dataset, library_of
from holdfast.model.operation import BUILT_IN, BUILT_IN_DATA
from holdfast.model.reference import Reference
from holdfast.model.shape import OpenShape, check_open_shape

if TYPE_CHECKING:
    from holdfast.model.typecheck import Type

PLACEHOLDER = (BUILT_IN, "Placeholder")


class Placeholder(Reference):
    """A typed hole that `bind` fills.

    Parameters
    ----------
    name : str
        Unique in its graph.
    datatype : DataType, type or tuple of str, optional
        What may fill it: a data type, the Python or NumPy type of its elements (`float`, `numpy.float64`), or its name; None for anything.
    shape : tuple, optional
        Sizes from the outermost; a name stands for one size wherever it is written, None for any. None for any shape.

    Examples
    --------
    >>> Placeholder("x", ("scalems", "Float64"), ("n", 3))
    Placeholder('x', scalems.Float64, ('n', 3))
    >>> Placeholder("seed", int)
    Placeholder('seed', scalems.Integer64)
    """

    __slots__ = ("datatype", "free", "level", "name", "output_type", "shape", "uid")

    def __init__(
        self,
        name: str,
        datatype: Any = None,
        shape: OpenShape | None = None,
        *,
        level: int = 0,
        output_type: Type = None,
    ) -> None:
        if not isinstance(name, str) or not name:
            raise GraphError(f"{name!r} is no name of a placeholder. Use a string.")
        self.name = name
        self.datatype: tuple[str, ...] | None = _scope(datatype)
        self.shape = None if shape is None else check_open_shape(shape, f"the placeholder {name!r}")
        self.level = level
        self.output_type = output_type
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
        return Placeholder(self.name, self.datatype, self.shape, level=level, output_type=self.output_type)

    def __repr__(self) -> str:
        datatype = "" if self.datatype is None else f", {'.'.join(self.datatype)}"
        return f"Placeholder({self.name!r}{datatype}{'' if self.shape is None else f', {self.shape}'})"


def _scope(datatype: Any) -> tuple[str, ...] | None:
    """Return the name of a data type that is given as itself, by name, or as a type of Python, NumPy, or a library of tables."""
    if datatype is None:
        return None
    scope = getattr(datatype, "scope", datatype)
    if isinstance(scope, (tuple, list)) and len(scope) > 1 and all(isinstance(part, str) for part in scope):
        return tuple(scope)
    if isinstance(datatype, type):
        named = _PYTHON.get(datatype) or (_NUMPY.get(datatype.__name__) if datatype.__module__ == "numpy" else None)
        named = named or ("Table" if library_of(datatype) else "Dataset" if is_dataset(datatype) else None)
        if named is not None:
            return BUILT_IN_DATA, named
    raise GraphError(f"{datatype!r} is no data type. Use hf.Float64 and the like, float, or numpy.float64.")


_PYTHON: dict[type, str] = {
    int: "Integer64",
    float: "Float64",
    complex: "Complex128",
    bool: "Boolean",
    str: "String",
    bytes: "Bytes",
    dict: "Mapping",
    type(None): "Null",
}

_NUMPY = {
    **{f"int{size}": f"Integer{size}" for size in (8, 16, 32, 64)},
    **{f"uint{size}": f"UnsignedInteger{size}" for size in (8, 16, 32, 64)},
    **{f"float{size}": f"Float{size}" for size in (16, 32, 64)},
    **{f"complex{size}": f"Complex{size}" for size in (64, 128)},
    "bool": "Boolean",
    "bool_": "Boolean",
    "str_": "String",
}
