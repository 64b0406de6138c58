"""Turn a function into an abstract graph by calling it on placeholders.

While it is traced, a graph's placeholders are provisional, with an identity of their own, so that graphs may be traced inside graphs;
afterwards they take their lasting names.
"""

from __future__ import annotations

import os
from collections.abc import Mapping

from holdfast.authoring.decorate import Body
from holdfast.errors import GraphError
from holdfast.model.datatype import as_input
from holdfast.model.graph import Graph, check_body, close
from holdfast.model.placeholder import Placeholder
from holdfast.model.reference import Input
from holdfast.model.typecheck import type_of


def trace(body: Body, **placeholders: Placeholder) -> Graph:
    """Return the abstract graph that a function composes.

    Parameters
    ----------
    body : operation, graph function or callable
    **placeholders : Placeholder
        One for each parameter, by name.

    Raises
    ------
    GraphError
        The function cannot be called with these, or used a placeholder as a value.

    Examples
    --------
    >>> trace(lambda x: {"kept": x}, x=Placeholder("x")).parameters
    ('x',)
    """
    return _trace(body, placeholders, by_position=False)


def trace_step(body: Body, name: str, found: Input | None = None) -> Graph:
    """Return the abstract graph of a function of one input, whatever its parameter is called; `found` says what it will be given."""
    known = None if found is None else type_of(found, deep=True)
    if isinstance(body, Graph):
        return body if found is None else check_body(body, {name: found})
    return _trace(body, {name: Placeholder(name, output_type=known)}, by_position=True)


def _trace(body: Body, placeholders: Mapping[str, Placeholder], *, by_position: bool) -> Graph:
    if isinstance(body, Graph):
        return body
    if not callable(body):
        raise GraphError(
            f"{body!r} is no function that could be traced. Give an operation or a function of references."
        )
    lasting = tuple(placeholders.values())
    for hole in lasting:
        if not isinstance(hole, Placeholder):
            raise GraphError(f"{hole!r} is no placeholder. Write hf.trace(f, x=hf.Placeholder('x')).")
    provisional = tuple(_provisional(hole) for hole in lasting)
    given = dict(zip(placeholders, provisional, strict=True))
    try:
        output = body(*provisional) if by_position else body(**given)
    except TypeError as error:
        raise GraphError(f"{body!r} cannot be traced with {', '.join(given)}: {error}.") from error
    return close(as_input(output, f"the output of {body!r}"), provisional, lasting)


def _provisional(hole: Placeholder) -> Placeholder:
    return Placeholder(
        hole.name, hole.datatype, hole.shape, level=-1 - int.from_bytes(os.urandom(12)), output_type=hole.output_type
    )
