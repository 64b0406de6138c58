"""Say whether a value may be unpickled for whoever asks for it: only if the code at hand names pickle for the operation that made it.

Knows nodes and the operations of this process, which no file or document can bring. Pure.
"""

from __future__ import annotations

from holdfast.errors import GraphError
from holdfast.model.graph import parts_of
from holdfast.model.node import Node
from holdfast.model.reference import Part, Reference
from holdfast.storage.selection import PICKLE


def names_pickle(reference: Reference) -> bool:
    """Return whether the operation behind a reference names pickle; of control flow, one of those in its bodies."""
    source = reference.source if isinstance(reference, Part) else reference
    if not isinstance(source, Node):
        return False
    if source.code is not None:
        return _format_of(source) == PICKLE
    return any(isinstance(part, Node) and _format_of(part) == PICKLE for part in parts_of(source))


def check_pickle(reference: Reference) -> None:
    """Refuse to unpickle the value of a reference whose operation does not name pickle.

    Raises
    ------
    GraphError
        Says what to write.
    """
    if not names_pickle(reference):
        raise GraphError(
            f"The value of {reference!r} is kept as a pickle, which could run anything when it is read, and its operation does not name "
            "pickle. If you trust whoever writes to the working directory, say so: @hf.operation(format='pickle')."
        )


def _format_of(node: Node) -> str:
    return str(getattr(node.code, "format", ""))
