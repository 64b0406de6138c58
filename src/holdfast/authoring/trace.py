"""Turn a function into an abstract graph by calling it on placeholders.

While it is traced, a graph's placeholders are provisional, with an identity of their own, so that graphs may be traced inside graphs;
afterwards they take their lasting names.
"""

from __future__ import annotations

import os
from collections.abc import Mapping

from holdfast.authoring.decorate import Body
from holdfast.errors import GraphError
from holdfast.model.argument import as_input
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


def trace_step(body: Body, found: Mapping[str, Input | None]) -> Graph:
    """Return the abstract graph of a function of so many inputs, whatever its parameters are called.

    `found` names them, and says what each will be given, if that is known.
    """
    if isinstance(body, Graph):
        _check_count(body, found)
        known = zip(body.parameters, found.values(), strict=True)
        return check_body(body, {name: item for name, item in known if item is not None})
    types = {name: None if item is None else type_of(item, deep=True) for name, item in found.items()}
    return _trace(body, {name: Placeholder(name, output_type=types[name]) for name in found}, by_position=True)


def _check_count(body: Graph, found: Mapping[str, Input | None]) -> None:
    if len(body.placeholders) != len(found):
        takes = ", ".join(body.parameters) or "nothing"
        raise GraphError(f"{body!r} takes {takes}, but is to be applied to {len(found)} inputs: {', '.join(found)}.")


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
