"""Find the operations of a document among those that the user allowed, and nowhere else.

Never imports anything but the modules that were named, and never a name that stands in a document. An operation is known by its own
name, wherever in an allowed module it stands. Never runs an operation.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib import import_module
from types import ModuleType

from holdfast.authoring.axes import BUILT_IN_OPERATIONS
from holdfast.authoring.decorate import Operation
from holdfast.authoring.recorded import NAMES_SHOWN, same_code
from holdfast.errors import NotFound

Allowable = str | ModuleType | Operation


class Allowed:
    """The operations of the modules that a user allowed, by name."""

    def __init__(self, operations: Mapping[str, Operation]) -> None:
        self._operations = operations

    def find(self, name: str, implementation: str, parts: Mapping[str, str]) -> Operation:
        """Return the operation of that name.

        Parameters
        ----------
        name : str
            Dotted name.
        implementation : str
            The uid of the code that was recorded.
        parts : mapping
            Digests of what that code reached, by qualified name.

        Raises
        ------
        NotFound
            It is not among the allowed ones.
        InvalidData
            Its code here is another; names the parts that differ.
        """
        found = self._operations.get(name) or BUILT_IN_OPERATIONS.get(name)
        if found is None:
            known = ", ".join(sorted(self._operations)[:NAMES_SHOWN]) or "none"
            raise NotFound(f"the operation {name} is not among those allowed ({known}). Allow the module that has it.")
        return same_code(name, found, implementation, parts)

    def __repr__(self) -> str:
        return f"<allowed: {', '.join(sorted(self._operations)) or 'nothing'}>"


def allow(*sources: Allowable) -> Allowed:
    """Say which operations a document may use.

    Parameters
    ----------
    *sources : str, module or operation
        Names of modules, which are imported now; modules; or operations themselves.

    Raises
    ------
    NotFound
        There is no module of that name.

    Examples
    --------
    >>> import holdfast as hf
    >>> allow(hf.operation(lambda x: x, name="demo.same", version="1"))
    <allowed: demo.same>
    """
    found: dict[str, Operation] = {}
    for source in sources:
        members = [source] if isinstance(source, Operation) else _operations_of(_module(source))
        found.update({str(operation.name): operation for operation in members})
    return Allowed(found)


def _module(source: str | ModuleType) -> ModuleType:
    if isinstance(source, ModuleType):
        return source
    try:
        return import_module(source)
    except ModuleNotFoundError as error:
        raise NotFound(f"There is no module {source!r} to allow: {error}. Install it, or set PYTHONPATH.") from error
    except (TypeError, ValueError) as error:
        raise NotFound(f"{source!r} is no name of a module.") from error


def _operations_of(module: ModuleType) -> Iterator[Operation]:
    for value in vars(module).values():
        if isinstance(value, Operation):
            yield value
        elif isinstance(value, type) and value.__module__ == module.__name__:
            yield from (member for member in vars(value).values() if isinstance(member, Operation))
