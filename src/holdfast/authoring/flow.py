"""Write ensembles: `map`, `reduce`, `gather`, `scatter`, `broadcast`.

Names and argument orders are those of JAX, and of the collectives of MPI. Runs nothing.
"""

from __future__ import annotations

from typing import Any

from holdfast.authoring.axes import move_axis
from holdfast.authoring.decorate import Body, parameter_names
from holdfast.authoring.trace import trace, trace_step
from holdfast.errors import GraphError
from holdfast.model.argument import as_input, pack
from holdfast.model.control import LEFT, RIGHT, gather_node, map_node, reduce_node
from holdfast.model.datatype import DataNode
from holdfast.model.node import Node
from holdfast.model.placeholder import Placeholder
from holdfast.model.reference import Input, Reference
from holdfast.model.typecheck import element_type, type_of


def map(f: Body, *xs: Any, **named_xs: Any) -> Node:  # noqa: A001 (JAX's name)
    """Return an ensemble: `f` applied to each element along the outermost axis of its inputs, in parallel.

    Parameters
    ----------
    f : operation, graph function or callable
        Takes one element of each input. A plain function composes operations, as one marked with `hf.graph` does.
    *xs, **named_xs : array, list, range or node
        Inputs of equal width, by position or name; one of width 1 broadcasts. A node's width need not be known yet.

    Returns
    -------
    Node
        Its value is an array ``[n, ...]`` if the members are alike and numeric, else a list. ``ensemble[3]`` is a
        member; a session that is asked for it computes no other.

    Raises
    ------
    GraphError
        The widths differ, or an input has no axis.

    Examples
    --------
    >>> import holdfast as hf
    >>> square = hf.operation(lambda x: x * x, name="demo.square")
    >>> hf.map(square, [1.0, 2.0, 3.0]).name
    'holdfast.map'
    """
    names = parameter_names(f)
    if len(xs) > len(names):
        raise GraphError(f"hf.map was given {len(xs)} inputs, but {f!r} takes {len(names)}.")
    given = dict(zip(names, xs, strict=False))
    if twice := sorted(given.keys() & named_xs.keys()):
        raise GraphError(f"hf.map was given its input {twice[0]!r} twice.")
    over = {label: elements(value, label) for label, value in {**given, **named_xs}.items()}
    body = trace(f, **{label: _element(label, item) for label, item in over.items()})
    return map_node(body, over)


def reduce(f: Body, ensemble: Any) -> Node:
    """Return what is left when `f` has combined the elements of an ensemble, two at a time, in a tree.

    Parameters
    ----------
    f : operation, graph function or callable
        Takes two elements, gives one of their kind. Has to be associative: the tree decides the brackets, never the order.
    ensemble : node, array or list
        Combined along the outermost axis; of one element, that element is the value.

    Returns
    -------
    Node
        Neighbours are combined, (0, 1), (2, 3), …, and their results again; the last one of an odd number waits for the
        next level. So the brackets are the same on every engine, and an ensemble that grows combines only what is new.

    Raises
    ------
    GraphError
        There are no elements. If that is known only when it runs, it fails with the same words.

    Examples
    --------
    >>> import holdfast as hf
    >>> add = hf.operation(lambda a, b: a + b, name="demo.add")
    >>> hf.reduce(add, [1.0, 2.0, 3.0]).name
    'holdfast.reduce'
    """
    return reduce_node(trace_step(f, {LEFT: None, RIGHT: None}), elements(ensemble, "ensemble", "hf.reduce"))


def scatter(x: Any, axis: int = 0) -> Input:
    """Return an input whose elements are the slices of `x` along one axis, for `map`, `scan` or `reduce` to run over.

    Parameters
    ----------
    x : array, list or node
    axis : int
        Which axis becomes the outermost. With 0 this is `x` itself: `map` scatters its inputs along axis 0 anyway.

    Returns
    -------
    node or list
        Of shape ``[n_axis, ...]``, the other axes in their order. Nothing is copied for axis 0.

    Raises
    ------
    GraphError
        `x` is known to have no such axis. If that is known only when it runs, the operation fails.

    See Also
    --------
    broadcast : the whole of a value for every member.
    gather : the way back.

    Examples
    --------
    >>> import holdfast as hf, numpy
    >>> hf.scatter(numpy.zeros((2, 3)), axis=1).name
    'holdfast.scatter'
    """
    item = elements(x, "x", "hf.scatter")
    if isinstance(axis, bool) or not isinstance(axis, int):
        raise GraphError(f"axis is {axis!r}, expected an integer.")
    shape = getattr(item, "shape", None) if isinstance(item, DataNode) else None
    if shape is not None and not -len(shape) <= axis < len(shape):
        raise GraphError(f"hf.scatter was given axis {axis} of {item!r}, which has {len(shape)}.")
    return item if axis == 0 else move_axis(item, axis)


def broadcast(x: Any) -> list[Input]:
    """Return an input of width 1 that gives the whole of `x` to every member of an ensemble.

    Parameters
    ----------
    x : value or node

    Returns
    -------
    list
        Holds `x` alone; `map` repeats it along the width of the other inputs, without a copy.

    Examples
    --------
    >>> import holdfast as hf
    >>> add = hf.operation(lambda a, b: a + b, name="demo.add")
    >>> hf.map(add, [1.0, 2.0], b=hf.broadcast(10.0)).name
    'holdfast.map'
    """
    return [as_input(x, "x")]


def gather(members: Any) -> Node:
    """Return one value made of many: an array if the members are alike and numeric, else a list.

    Parameters
    ----------
    members : node or list of nodes and values

    Examples
    --------
    >>> gather([1.0, 2.0]).name
    'holdfast.gather'
    """
    return gather_node(as_input(members, "members"))


def _element(label: str, over: Input) -> Placeholder:
    return Placeholder(label, output_type=element_type(type_of(over, deep=True)))


def elements(value: Any, label: str, caller: str = "hf.map") -> Input:
    """Return what an ensemble runs over; a list of alike plain scalars is packed into an array.

    Raises
    ------
    GraphError
        The value has no elements. Names the input.
    """
    if isinstance(value, Reference):
        return value
    if isinstance(value, range):
        import numpy

        return as_input(numpy.arange(value.start, value.stop, value.step), label)
    if isinstance(value, (list, tuple)):
        packed = pack(list(value))
        return as_input(value, label) if packed is None else packed
    if isinstance(value, dict) or not hasattr(value, "__array__"):
        raise GraphError(
            f"{caller} runs over {label!r}, which is a {type(value).__name__} and has no elements. Give a list or an array."
        )
    return as_input(value, label)
