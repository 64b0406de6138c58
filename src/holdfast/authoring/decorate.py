"""Make operations and graph functions out of plain functions.

Calling an operation makes a node and runs nothing; calling a graph function composes nodes. An operation keeps the function itself as
`function`, and fingerprints its code when the first node is made.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from functools import partial
from inspect import Parameter, signature
from types import FunctionType, MethodType
from typing import Any, get_args, overload

from holdfast.authoring.annotation import declaration_of, declared_tables
from holdfast.authoring.implementation import Implementation, implementation_of, stated
from holdfast.authoring.naming import operation_name
from holdfast.authoring.recorded import same_code
from holdfast.authoring.source import remember_source
from holdfast.errors import GraphError, NotFound, UnstableCode, UnsupportedValue
from holdfast.model.argument import as_input
from holdfast.model.checkpoint import Checkpoint
from holdfast.model.node import Node
from holdfast.model.operation import OperationName
from holdfast.model.reference import Input
from holdfast.model.typecheck import Declaration, Type


class Operation:
    """A named unit of code; calling it makes a node.

    Attributes
    ----------
    name : OperationName
    function : callable
        The user's own function, unchanged.
    parameters : tuple of str
        Labels of the inputs, in the order of the function's parameters.
    format : str
        Name of the format for large arrays of its results; empty for that of the working directory.
    checkpoint : str
        Label of the parameter that is annotated with `Checkpoint`, which is no input; empty if there is none.
    """

    def __init__(
        self,
        function: Callable[..., Any],
        name: OperationName,
        version: str | None,
        format: str = "",  # noqa: A002
    ) -> None:
        self.format = format
        self.function = function
        self.name = name
        self.version = version
        self.__doc__ = function.__doc__
        self.__name__ = name.operation_name
        self.__qualname__ = getattr(function, "__qualname__", name.operation_name)
        self.__module__ = getattr(function, "__module__", "")
        self._read_signature()
        self._implementation: Implementation | None = None
        self._declaration: Declaration | None = None
        if isinstance(function, FunctionType):
            remember_source(function)

    def __call__(self, *args: Any, **kwargs: Any) -> Node:
        """Return the node that stands for this operation on these inputs; nothing runs.

        Raises
        ------
        GraphError
            An input is missing, unknown or given twice, or does not fit its annotation.
        UnsupportedValue, InvalidData
            A value cannot be stored; names the argument.
        """
        if args:
            if len(args) > len(self.parameters):
                raise GraphError(
                    f"{self.name} takes {len(self.parameters)} inputs ({self._listed()}), but was given {len(args)}."
                )
            if kwargs and (twice := [label for label in self.parameters[: len(args)] if label in kwargs]):
                raise GraphError(f"{self.name} was given its input {twice[0]!r} twice.")
            kwargs.update(zip(self.parameters, args, strict=False))
        inputs: dict[str, Input] = kwargs
        for label, value in kwargs.items():
            inputs[label] = as_input(value, label)
        if inputs.keys() != self._labels:
            self._complete(inputs)
        output_type = (self._declaration or self.declaration).check(inputs)
        return Node(self.name.scope, inputs, self.implementation.depends, self, output_type)

    @property
    def declaration(self) -> Declaration:
        """What the function's annotations say of inputs and output; read when the first node is made."""
        if self._declaration is None:
            self._declaration = declaration_of(self.function, str(self.name), self._defaults)
        return self._declaration

    @property
    def tables(self) -> tuple[tuple[str, str], ...]:
        """The inputs that its annotations declare as tables of one library, with that library."""
        return declared_tables(self.function)

    @property
    def implementation(self) -> Implementation:
        """The code behind it, fingerprinted anew if something that it reads has changed."""
        found = self._implementation
        if found is None or not found.holds():
            known = set(found.strange) if found is not None else set()
            found = self._fingerprint()
            self._implementation = found
            self._warn_of(sorted(set(found.strange) - known))
        return found

    def find(self, name: str, implementation: str, parts: Mapping[str, str]) -> Operation:
        """Return the operation of that name among those in reach: of its own module, of what it closes over, of modules that are loaded.

        Raises
        ------
        NotFound
            There is none.
        InvalidData
            Its code is not what was recorded; names the parts that differ.
        """
        for found in self._in_reach(name):
            if isinstance(found, Operation) and str(found.name) == name:
                return same_code(name, found, implementation, parts)
        raise NotFound(
            f"the operation {name} cannot be found from {self.name}, which returned a node of it. "
            "Define it at the top level of a module, so that a restart finds it too."
        )

    def _in_reach(self, name: str) -> Iterator[object]:
        namespace, *word = name.rsplit(".", 1)
        yield self
        if isinstance(self.function, FunctionType):
            yield self.function.__globals__.get(word[0])
            for cell in self.function.__closure__ or ():
                with suppress(ValueError):  # not filled yet
                    yield cell.cell_contents
            yield from list(self.function.__globals__.values())
        for module in (sys.modules.get(namespace), sys.modules.get("__main__")):
            yield from list(vars(module).values()) if module is not None else ()

    def __getstate__(self) -> dict[str, object]:
        """Travel with the fingerprint that was taken here: a worker may lack the source, and has other namespaces."""
        return {**self.__dict__, "_implementation": replace(self.implementation, bindings=(), sources={})}

    def _fingerprint(self) -> Implementation:
        if self.version is not None:
            return stated(self.version)
        followed = isinstance(self.function, (FunctionType, MethodType, partial)) or hasattr(
            self.function, "__wrapped__"
        )
        if not followed:
            raise UnstableCode(
                f"The code of operation {self.name} cannot be read: it is a {type(self.function).__name__}. "
                "Wrap it in a function, or name its version: hf.operation(version='1')."
            )
        return implementation_of(self.function, str(self.name))

    def _warn_of(self, strange: list[str]) -> None:
        """Tell what a change of would rerun nothing; Python shows equal warnings once."""
        for thing in strange:
            message = f"Holdfast cannot follow {thing}: a change of it reruns nothing. Pass it as an input, or name "
            warnings.warn(f"{message}a version and raise it with each change: hf.operation(version='1').", stacklevel=3)

    def _read_signature(self) -> None:
        self.parameters: tuple[str, ...] = ()
        self.positional: tuple[str, ...] = ()
        self._defaults: dict[str, Input] = {}
        self.checkpoint = ""
        self._takes_any = False
        for label, parameter in self._signature().items():
            if parameter.kind is Parameter.VAR_POSITIONAL:
                raise GraphError(f"{self.name} takes *{label}, but inputs have names. Use a list as one input.")
            if parameter.kind is Parameter.VAR_KEYWORD:
                self._takes_any = True
                continue
            if parameter.kind is Parameter.POSITIONAL_ONLY:
                self.positional += (label,)
            if _is_checkpoint(parameter.annotation, self.function):
                self._note_checkpoint(label)
                continue
            self.parameters += (label,)
            if parameter.default is not Parameter.empty:
                self._note_default(label, parameter.default)
        self._labels = frozenset(self.parameters)
        self._required = self._labels - self._defaults.keys() - self._left_out

    _left_out: frozenset[str] = frozenset()

    def _signature(self) -> Mapping[str, Parameter]:
        try:
            return signature(self.function).parameters
        except ValueError:
            raise GraphError(
                f"{self.name} does not tell its inputs: it is compiled. Wrap it in a function that names them."
            ) from None

    def _note_default(self, label: str, value: object) -> None:
        """Keep a default as an input; one that cannot be stored is left to the function, as part of its implementation."""
        try:
            self._defaults[label] = as_input(value, label)
        except (UnsupportedValue, ValueError):
            self._left_out = self._left_out | {label}

    def _note_checkpoint(self, label: str) -> None:
        if self.checkpoint:
            raise GraphError(
                f"{self.name} takes two checkpoints, {self.checkpoint!r} and {label!r}. Keep one state, such as a dictionary."
            )
        self.checkpoint = label

    def check(self, inputs: Mapping[str, Input]) -> Type:
        """Refuse inputs of which one is unknown, missing, or does not fit its annotation; return what is known of the output."""
        self._check_labels(inputs)
        return self.declaration.check(inputs)

    def _check_labels(self, inputs: Mapping[str, Input]) -> None:
        if self.checkpoint in inputs:
            raise GraphError(f"{self.name} is given its checkpoint {self.checkpoint!r} by the run. Leave it out.")
        unknown = sorted(inputs.keys() - self._labels)
        if unknown and not self._takes_any:
            raise GraphError(f"{self.name} has no input {unknown[0]!r}; it has: {self._listed()}.")
        missing = sorted(self._required - inputs.keys())
        if missing:
            raise GraphError(f"{self.name} lacks its input {missing[0]!r}; it has: {self._listed()}.")

    def _complete(self, inputs: dict[str, Input]) -> None:
        self._check_labels(inputs)
        for label, default in self._defaults.items():
            inputs.setdefault(label, default)

    def _listed(self) -> str:
        return ", ".join(self.parameters) or "none"

    def __repr__(self) -> str:
        return f"<operation {self.name}>"


class GraphFunction:
    """A function that composes nodes; calling it returns what it composes."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self.function = function
        self.__doc__ = function.__doc__
        self.__name__ = getattr(function, "__name__", "graph")

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Return the nodes that the function composes from these inputs."""
        return self.function(*args, **kwargs)

    def __repr__(self) -> str:
        return f"<graph function {self.__name__}>"


@overload
def operation(function: Callable[..., Any], /) -> Operation: ...


@overload
def operation(
    function: Callable[..., Any],
    /,
    *,
    name: str | None = None,
    version: str | None = None,
    format: str = "",
) -> Operation: ...


@overload
def operation(
    *,
    name: str | None = None,
    version: str | None = None,
    format: str = "",
) -> Callable[[Callable[..., Any]], Operation]: ...


def operation(
    function: Callable[..., Any] | None = None,
    /,
    *,
    name: str | None = None,
    version: str | None = None,
    format: str = "",  # noqa: A002
) -> Operation | Callable[[Callable[..., Any]], Operation]:
    """Make an operation of a function; use it bare or with arguments.

    Parameters
    ----------
    function : callable
        Takes and returns numbers, strings, bytes, None, NumPy arrays, tables of pandas, polars and pyarrow, datasets of xarray, or lists
        and string-keyed dictionaries of these. Arrays that it receives are read-only. Equal inputs are expected to give equal outputs.
        A parameter annotated with `Checkpoint` is no input: a run gives it.
    name : str, optional
        Dotted name to use instead of that of module and function.
    version : str, optional
        A word that stands for the code: as long as it stays, a change of the code reruns nothing.
    format : str, optional
        Format in which large arrays of the results are kept: ``"numpy"``, ``"arrow"``, ``"hdf5"``, ``"xdr"`` or that of a plugin. Only a
        matter of layout: no part of the identity. Without it, that of the working directory counts. ``"pickle"`` lets the operation
        return any object, and take such objects of others: whoever can write to the directory can then run code in it.

    Returns
    -------
    Operation

    Examples
    --------
    >>> @operation(name="demo.square")
    ... def square(x: float) -> float:
    ...     return x * x
    >>> square(3.0).name
    'demo.square'
    """
    if function is None:
        return lambda later: operation(later, name=name, version=version, format=format)
    if isinstance(function, Operation):
        chosen = function.name if name is None else operation_name(function, name)
        return Operation(function.function, chosen, version, format)
    if not callable(function):
        raise GraphError(f"{function!r} is no function. Write @hf.operation, or @hf.operation(name=..., version=...).")
    return Operation(function, operation_name(function, name), version, format)


def graph(function: Callable[..., Any]) -> GraphFunction:
    """Mark a function that composes operations, as the body of a loop or of an ensemble.

    Examples
    --------
    >>> @graph
    ... def twice(x):
    ...     return {"first": x, "second": x}
    >>> twice(1)
    {'first': 1, 'second': 1}
    """
    return GraphFunction(function)


def parameter_names(function: Callable[..., Any] | Operation | GraphFunction) -> tuple[str, ...]:
    """Return the names under which a function takes its inputs."""
    if isinstance(function, Operation):
        return function.parameters
    plain = function.function if isinstance(function, GraphFunction) else function
    kinds = (Parameter.VAR_POSITIONAL, Parameter.VAR_KEYWORD)
    return tuple(label for label, parameter in signature(plain).parameters.items() if parameter.kind not in kinds)


def _is_checkpoint(annotation: object, function: Callable[..., Any]) -> bool:
    """Return whether an annotation is `Checkpoint`, or that or None; as text too, of which nothing is evaluated."""
    if isinstance(annotation, str):
        return any(_names_checkpoint(word.strip(), function) for word in annotation.split("|"))
    return annotation is Checkpoint or Checkpoint in get_args(annotation)


def _names_checkpoint(text: str, function: Callable[..., Any]) -> bool:
    first, *rest = text.split(".")
    namespace: Mapping[str, object] = getattr(function, "__globals__", {})
    if first not in namespace:  # imported inside a function, perhaps; then the usual names are believed
        return text in ("Checkpoint", "hf.Checkpoint", "holdfast.Checkpoint")
    found = namespace[first]
    for word in rest:
        found = getattr(found, word, None)
    return found is Checkpoint


Body = Operation | GraphFunction | Callable[..., Any]

Placed = Mapping[str, Input]
