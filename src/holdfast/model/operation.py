"""Name operations: a scope of nested names, the last of which is the operation's own.

Pure. The code behind a name is an implementation (`holdfast.authoring`), never part of the name.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from holdfast.errors import InvalidData

BUILT_IN_DATA = "scalems"
"""Namespace of the built-in data types."""

BUILT_IN = "holdfast"
"""Namespace of control flow, placeholders, graphs and implementations."""

IMPLEMENTATION = (BUILT_IN, "Implementation")
"""The data type of code: what an operation node depends on."""


@dataclass(frozen=True, slots=True)
class OperationName:
    """The identifier of an operation.

    Parameters
    ----------
    scope : tuple of str
        At least a namespace and a name, none empty.

    Examples
    --------
    >>> name = OperationName.parse("adaptive.md.simulate")
    >>> name.namespace, name.operation_name
    (('adaptive', 'md'), 'simulate')
    """

    scope: tuple[str, ...]
    text: str = field(init=False, repr=False, compare=False)
    """Its parts with dots between them."""

    def __post_init__(self) -> None:
        """Refuse names that could not be written in a record."""
        if len(self.scope) < 2 or not all(isinstance(part, str) and part and "." not in part for part in self.scope):
            raise InvalidData(
                f"{'.'.join(map(str, self.scope))!r} is no name of an operation. Write a namespace and a name: 'analysis.fit'."
            )
        object.__setattr__(self, "text", ".".join(self.scope))

    @classmethod
    def parse(cls, text: str) -> OperationName:
        """Return the identifier written as dotted text."""
        return cls(tuple(text.split(".")))

    @property
    def namespace(self) -> tuple[str, ...]:
        """Everything but the last part."""
        return self.scope[:-1]

    @property
    def operation_name(self) -> str:
        """The last part."""
        return self.scope[-1]

    def __str__(self) -> str:
        return self.text


def full_name(part: str, operation: str) -> str:
    """Return the name of a part of an operation's code for people: what stands beside the operation is listed without its module.

    Examples
    --------
    >>> full_name(".helper", "study.simulate"), full_name("tools.helper", "study.simulate")
    ('study.helper', 'tools.helper')
    """
    return operation.rpartition(".")[0] + part if part.startswith(".") else part
