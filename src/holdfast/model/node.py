"""Describe work: immutable, uniquely identified uses of operations on references.

A node is data about work, never the work itself. Pure; its uid is known as soon as it is made.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from holdfast.errors import GraphError
from holdfast.model.fingerprint import Fingerprint, node_text, uid_of
from holdfast.model.placeholder import Placeholder
from holdfast.model.reference import NO_PLACEHOLDERS, Input, Reference, references, write_input

if TYPE_CHECKING:
    from holdfast.model.typecheck import Type


class Node(Reference):
    """A use of an operation; calling an operation makes one.

    Parameters
    ----------
    scope : tuple of str
        The identifier of the operation.
    inputs : mapping of label to input
    depends : tuple of str
        The uid of the implementation.
    code : object
        What an engine needs to run the operation; None for control flow, which the scheduler expands.
    output_type : Type
        What is known of the value; never identifies.
    """

    __slots__ = ("code", "depends", "free", "inputs", "output_type", "scope", "uid")

    def __init__(
        self,
        scope: tuple[str, ...],
        inputs: Mapping[str, Input],
        depends: tuple[str, ...] = (),
        code: Any = None,
        output_type: Type = None,
    ) -> None:
        self.scope = scope
        self.inputs = inputs
        self.depends = depends
        self.code = code
        self.output_type = output_type
        self.free = free_placeholders(inputs.values())
        self.uid = uid_of(node_text(scope, depends, write_input(inputs)))

    @property
    def name(self) -> str:
        """Dotted name of the operation."""
        return ".".join(self.scope)

    @property
    def record(self) -> dict[str, Any]:
        """The portable form: `depends`, `input` and `operation`."""
        parsed: dict[str, Any] = json.loads(self._compact())
        return parsed

    def fingerprint(self) -> Fingerprint:
        """Return the identity of the record."""
        return Fingerprint(self._compact())

    def to_json(self, **json_args: Any) -> str:
        """Return the record as JSON; keyword arguments go to `json.dumps`."""
        return json.dumps(self.record, **json_args)

    def replace(self, **inputs: object) -> Node:
        """Return an equivalent node with other inputs.

        Parameters
        ----------
        **inputs
            New values or references, by label; labels that are not named stay as they are.

        Raises
        ------
        GraphError
            The operation has no such input.

        Examples
        --------
        >>> import holdfast as hf
        >>> double = hf.operation(lambda x: 2 * x, name="demo.double")
        >>> double(3).replace(x=4) == double(4)
        True
        """
        from holdfast.model.argument import as_input

        unknown = sorted(inputs.keys() - self.inputs.keys())
        if unknown:
            raise GraphError(f"{self!r} has no input {unknown[0]!r}; it has: {', '.join(sorted(self.inputs))}.")
        changed = {label: as_input(value, label) for label, value in inputs.items()}
        return self.with_inputs({**self.inputs, **changed})

    def with_inputs(self, inputs: Mapping[str, Input]) -> Node:
        """Return the same operation on other inputs, which are checked if the operation declares what it takes."""
        declaration = getattr(self.code, "declaration", None)
        output_type = self.output_type if declaration is None else declaration.check(inputs)
        return Node(self.scope, inputs, self.depends, self.code, output_type)

    def _compact(self) -> str:
        return node_text(self.scope, self.depends, write_input(self.inputs))

    def __repr__(self) -> str:
        return f"<{self.name} {self.uid[:8]}>"


class CommittedNode(Reference):
    """A node of which only the uid is known, because an earlier session committed its result."""

    __slots__ = ("uid",)

    free = NO_PLACEHOLDERS

    def __init__(self, uid: str) -> None:
        self.uid = uid

    def __repr__(self) -> str:
        return f"<committed {self.uid[:8]}>"


def free_placeholders(items: Iterable[Input]) -> frozenset[Placeholder]:
    """Return the placeholders that inputs depend on."""
    free = NO_PLACEHOLDERS
    for item in items:
        for reference in (item,) if isinstance(item, Reference) else references(item):
            if reference.free and not reference.free <= free:
                free = free | reference.free
    return free
