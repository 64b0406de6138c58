"""Compare the code of an operation with what was recorded of it, and tell the difference by the names of its parts. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol, TypeVar

from holdfast.authoring.implementation import Implementation
from holdfast.errors import InvalidData
from holdfast.model.operation import full_name

NAMES_SHOWN = 8
"""Names of changed parts that an error lists."""


class Coded(Protocol):
    """Something with code behind it."""

    @property
    def implementation(self) -> Implementation:
        """Its code."""


Operation = TypeVar("Operation", bound=Coded)


def same_code(name: str, operation: Operation, implementation: str, parts: Mapping[str, str]) -> Operation:
    """Return the operation, if its code is what was recorded.

    Parameters
    ----------
    name : str
        Of the operation.
    operation : operation
    implementation : str
        The uid of the code that was recorded.
    parts : mapping
        Digests of what that code reached, by qualified name.

    Raises
    ------
    InvalidData
        Its code here is another; names the parts that differ.
    """
    found = operation.implementation
    if found.uid != implementation:
        raise InvalidData(
            f"the operation {name} has other code here than was recorded: {_difference(name, parts, found.parts)}. "
            "Use the recorded code, or make the document again."
        )
    return operation


def _difference(operation: str, recorded: Mapping[str, str], here: Mapping[str, str]) -> str:
    sides = (
        ("changed", [name for name in recorded.keys() & here.keys() if recorded[name] != here[name]]),
        ("only recorded", list(recorded.keys() - here.keys())),
        ("only here", list(here.keys() - recorded.keys())),
    )
    return "; ".join(
        f"{word}: {_listed([full_name(part, operation) for part in names])}" for word, names in sides if names
    )


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - NAMES_SHOWN} more" if len(names) > NAMES_SHOWN else ""
    return ", ".join(sorted(names)[:NAMES_SHOWN]) + more
