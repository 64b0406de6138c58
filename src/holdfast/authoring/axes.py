"""Bring one axis of an array to the front: the operation behind `scatter`.

An operation like a user's, so that it runs on a worker, near the data.
"""

from __future__ import annotations

from typing import Any

from holdfast.authoring.decorate import operation


@operation(name="holdfast.scatter", version="1")
def move_axis(x: Any, axis: int) -> Any:
    """Return `x` with `axis` as its outermost axis."""
    import numpy

    return numpy.ascontiguousarray(numpy.moveaxis(numpy.asarray(x), axis, 0))


BUILT_IN_OPERATIONS = {str(move_axis.name): move_axis}
"""Operations of holdfast itself, by name: what a document may use without being allowed to."""
