"""Read what a function's annotations declare, as types of the graph.

An annotation that cannot be resolved, or that says what the graph does not know, is anything: it never breaks a user. Evaluates
annotations that are text in the function's own names, as `typing.get_type_hints` does; imports NumPy only where an annotation already has.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from inspect import signature, unwrap
from types import NoneType, UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from holdfast.model.datatype import (
    BY_DTYPE,
    Boolean,
    Bytes,
    Complex128,
    Dataset,
    DataType,
    File,
    Float64,
    Integer64,
    Null,
    String,
    Table,
)
from holdfast.model.foreign import is_dataset, library_of
from holdfast.model.reference import Input
from holdfast.model.shape import is_open_size
from holdfast.model.typecheck import (
    ELEMENTS,
    NUMBERS,
    Declaration,
    Kind,
    Type,
    data_kind,
    dict_kind,
    either,
    fits,
    list_kind,
    type_of,
)


def declaration_of(function: Callable[..., Any], name: str, defaults: Mapping[str, Input]) -> Declaration:
    """Return what a function declares; a default of another type than the annotation is taken as well."""
    described = signature(function)
    inputs = {}
    for label, parameter in described.parameters.items():
        found = read_annotation(_resolved(parameter.annotation, function))
        if label in defaults and not fits(type_of(defaults[label]), found, {}):
            found = either(found, type_of(defaults[label]))
        inputs[label] = found
    return Declaration(name, inputs, read_annotation(_resolved(described.return_annotation, function)))


def declared_tables(function: Callable[..., Any]) -> tuple[tuple[str, str], ...]:
    """Return the inputs that are declared as a table of one library, with that library: they are handed over as such."""
    parameters = signature(function).parameters.items()
    found = ((label, _table_library(_resolved(parameter.annotation, function))) for label, parameter in parameters)
    return tuple((label, library) for label, library in found if library)


def _table_library(annotation: Any) -> str:
    is_union = get_origin(annotation) in (Union, UnionType)
    named = {library_of(choice) for choice in (get_args(annotation) if is_union else [annotation])} - {""}
    return named.pop() if len(named) == 1 else ""


def read_annotation(annotation: Any) -> Type:
    """Return the type that an annotation stands for; None, which is anything, for what is not known.

    Examples
    --------
    >>> [kind.name for kind in read_annotation(float | None)]
    ['float', 'None']
    """
    if isinstance(annotation, DataType):
        return (data_kind(annotation),)
    origin = get_origin(annotation)
    if origin is Annotated:
        return _with_shape(*get_args(annotation))
    if origin is Union or origin is UnionType:
        return either(*map(read_annotation, get_args(annotation)))
    plain = annotation if origin is None else origin
    if plain is None or isinstance(plain, type):
        python = _PYTHON.get(plain)
        if python is not None:
            return (python,)
    if isinstance(plain, type) and plain.__module__ == "numpy":
        return _numpy_type(plain, get_args(annotation))
    if library_of(plain):
        return (Kind(f"a table of {library_of(plain)}", _TABLE, _TABLE),)
    if is_dataset(plain):
        return (Kind(f"xarray.{plain.__name__}", _DATASET, _DATASET),)
    return None


def _resolved(annotation: Any, function: Callable[..., Any]) -> Any:
    if not isinstance(annotation, str):
        return annotation
    try:
        plain = unwrap(function)
        closed_over = zip(plain.__code__.co_freevars, plain.__closure__ or (), strict=False)
        return eval(annotation, plain.__globals__, {label: cell.cell_contents for label, cell in closed_over})
    except Exception:  # whatever a name that does not exist, or not yet, leads to
        return Any


def _with_shape(annotation: Any, *metadata: Any) -> Type:
    declared = read_annotation(annotation)
    shapes = [item for item in metadata if isinstance(item, tuple) and all(map(is_open_size, item))]
    if not shapes or declared is None:
        return declared
    return tuple(
        Kind(kind.name, kind.is_a, kind.takes, kind.takes_scalars, shapes[0]) if kind.is_a <= ELEMENTS else kind
        for kind in declared
    )


def _numpy_type(plain: type, parameters: tuple[Any, ...]) -> Type:
    import numpy

    if plain is numpy.ndarray:
        dtypes = get_args(parameters[1]) if len(parameters) == 2 else ()
        scalar = dtypes[0] if dtypes and isinstance(dtypes[0], type) else numpy.generic
        return _elements(scalar, "an array" if scalar is numpy.generic else f"an array of {scalar.__name__}", axes=1)
    if issubclass(plain, numpy.generic):
        return _elements(plain, f"numpy.{plain.__name__}", shape=())
    return None


def _elements(scalar: type, name: str, *, axes: int = 0, shape: tuple[()] | None = None) -> Type:
    """Return the type of single values or arrays of a NumPy scalar type, or of any below it."""
    import numpy

    names = {found.text for dtype, found in BY_DTYPE.items() if issubclass(numpy.dtype(dtype).type, scalar)}
    if issubclass(numpy.str_, scalar):
        names.add(String.text)
    if not names:
        return None
    found = frozenset(names)
    takes_scalars = NUMBERS["biu"] if Float64.text in found else frozenset()
    return (Kind(name, found, found, takes_scalars, shape, axes),)


def _single(name: str, datatype: DataType, takes: frozenset[str] = frozenset()) -> Kind:
    own = frozenset({datatype.text})
    return Kind(name, own, own, takes, ())


_TABLE, _DATASET = frozenset({Table.text}), frozenset({Dataset.text})

_TEXT = _single("str", String, frozenset({File.text}))

_PYTHON: Mapping[Any, Kind] = {
    int: _single("int", Integer64, NUMBERS["biu"]),
    float: _single("float", Float64, NUMBERS["biuf"]),
    complex: _single("complex", Complex128, NUMBERS["biufc"]),
    bool: _single("bool", Boolean),
    str: _TEXT,
    bytes: _single("bytes", Bytes),
    None: _single("None", Null),
    NoneType: _single("None", Null),
    list: list_kind(),
    dict: dict_kind(),
}
