"""Declare data types of one's own. Pure; keeps no list of them: a type is known where its declaration is imported."""

from __future__ import annotations

from typing import Any

from holdfast.errors import InvalidData
from holdfast.model.datatype import BY_NAME, DataType, String
from holdfast.model.operation import BUILT_IN, BUILT_IN_DATA, OperationName
from holdfast.model.placeholder import Placeholder


def datatype(name: str, carrier: Any) -> DataType:
    """Declare a data type of your own namespace, as strict as the one that carries it.

    Parameters
    ----------
    name : str
        Dotted, with a namespace: ``"chemistry.Energy"``. It is part of the identity of the data, so a change of meaning (another unit,
        say) is a new name.
    carrier : DataType or type
        What the data is stored as, and what operations receive: ``float``, ``numpy.int32``, ``hf.String``.

    Returns
    -------
    DataType
        Makes data nodes when it is called, and may stand in annotations, which then take nothing else. Operations that declare the
        carrier take it too.

    Raises
    ------
    InvalidData
        The name is malformed or belongs to holdfast, or the carrier has no elements of one size.

    Examples
    --------
    >>> Energy = datatype("chemistry.Energy", float)
    >>> Energy([1.5, 2.5]).record["operation"], Energy(1.5).shape
    (['chemistry', 'Energy'], ())
    """
    scope = OperationName.parse(name).scope
    if scope[0] in (BUILT_IN, BUILT_IN_DATA):
        raise InvalidData(f"The namespace of {name!r} belongs to holdfast. Use one of your own.")
    carried = Placeholder("carrier", carrier).datatype
    built_in = None if carried is None else BY_NAME.get(carried)
    if built_in is None or not (built_in.dtype or built_in is String):
        raise InvalidData(f"{carrier!r} cannot carry {name!r}. Use a type of numbers or strings: float, numpy.float32.")
    return DataType(scope, built_in.dtype)
