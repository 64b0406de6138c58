"""The whole tree of errors that holdfast raises.

    HoldfastError
    ├── InvalidData (ValueError)          data or a record that does not fit its declared type
    ├── UnsupportedValue (TypeError)      a value that no format takes
    ├── NotAValue (TypeError)             a node was used as if it were its own result
    ├── GraphError (ValueError)           a graph that cannot be built: wrong inputs, unbound placeholders
    ├── UnstableCode (ValueError)         an operation whose code cannot be named or fingerprinted
    ├── NotFound (KeyError)               no such node, part, target, engine or format
    ├── MissingExtra (ImportError)        an optional package that the request needs is not installed
    ├── WorkingDirectoryError (OSError)   a working directory that cannot be used; it is left untouched
    ├── OwnershipError (RuntimeError)     somebody else holds it: says who and since when
    ├── StoreDamaged (RuntimeError)       what is on disk is not what was committed
    ├── StoreFailure (OSError)            the file system refused a write; nothing was acknowledged
    ├── SessionClosed (RuntimeError)      the session has ended, or does not exist yet
    ├── EngineFailure (RuntimeError)      an engine that cannot start or lost a job too often
    ├── IterationLimit (RuntimeError)     a loop reached max_iterations and was told to raise; its rounds are kept
    └── OperationFailed (RuntimeError)    a user's operation failed; carries node, operation, input and traceback

A message has three parts: what happened, to which thing, and what to do now.
This file imports nothing and decides nothing.
"""

from __future__ import annotations


class HoldfastError(Exception):
    """Anything that holdfast itself raises."""


class InvalidData(HoldfastError, ValueError):
    """Data or a record does not fit the type it declares; the message names the member."""


class UnsupportedValue(HoldfastError, TypeError):
    """A value that cannot be stored.

    Parameters
    ----------
    where : str
        Place of the value, from the argument or result down: ``"start['x'][3]"``.
    found : str
        What stands there.
    advice : str
        What to do instead.
    """

    def __init__(self, where: str, found: str, advice: str) -> None:
        super().__init__(f"{where} is {found}, which cannot be stored. {advice}")
        self.where = where
        self.found = found
        self.advice = advice

    def __reduce__(self) -> tuple[type[UnsupportedValue], tuple[str, str, str]]:
        return type(self), (self.where, self.found, self.advice)


class NotAValue(HoldfastError, TypeError):
    """A node or placeholder was used as if it were its own result."""


class GraphError(HoldfastError, ValueError):
    """A graph cannot be built like this; the message names node and input."""


class UnstableCode(HoldfastError, ValueError):
    """The code of an operation has no stable name or cannot be read."""


class NotFound(HoldfastError, KeyError):
    """No such node, part, target, engine or format."""

    def __str__(self) -> str:
        return str(self.args[0]) if self.args else ""


class MissingExtra(HoldfastError, ImportError):
    """An optional package is not installed.

    Parameters
    ----------
    wanted : str
        What was asked for: ``"engine 'dask'"``.
    extra : str
        Name of the extra that brings it.
    """

    def __init__(self, wanted: str, extra: str) -> None:
        super().__init__(
            f"{wanted} needs a package that is not installed. Install it with: pip install holdfast[{extra}]"
        )
        self.wanted = wanted
        self.extra = extra


class WorkingDirectoryError(HoldfastError, OSError):
    """A working directory cannot be used; nothing in it was touched."""


class OwnershipError(HoldfastError, RuntimeError):
    """Somebody else holds what was asked for.

    Parameters
    ----------
    message : str
        The whole sentence.
    host, since : str
        Where the owner runs; ISO time of its start, by its own clock.
    process : int
        Process id of the owner on its host; 0 where unknown.
    """

    def __init__(self, message: str, *, host: str = "", process: int = 0, since: str = "") -> None:
        super().__init__(message)
        self.host = host
        self.process = process
        self.since = since


class StoreDamaged(HoldfastError, RuntimeError):
    """What is on disk is not what was committed; the message names node and file."""


class StoreFailure(HoldfastError, OSError):
    """The file system refused to write; nothing unacknowledged was promised."""


class SessionClosed(HoldfastError, RuntimeError):
    """The session has ended, or was not entered yet."""


class EngineFailure(HoldfastError, RuntimeError):
    """An engine cannot start, or lost the same job too often."""


class IterationLimit(HoldfastError, RuntimeError):
    """A loop reached `max_iterations` while its condition still held, and was told to raise.

    Parameters
    ----------
    node : str
        The uid of the loop.
    rounds : int
        How many are finished, and kept.
    """

    def __init__(self, node: str, rounds: int) -> None:
        super().__init__(node, rounds)
        self.node = node
        self.rounds = rounds

    def __str__(self) -> str:
        return (
            f"The loop {self.node} reached its limit of {self.rounds} rounds, and its condition still holds. All rounds are "
            "kept: look at them with session.rounds(loop), or raise max_iterations, and it goes on from there."
        )


class OperationFailed(HoldfastError, RuntimeError):
    """A user's operation failed.

    Parameters
    ----------
    operation : str
        Dotted name of the operation.
    node : str
        The uid of the node, or the reference of the ensemble member.
    arguments : str
        The input, shortened for reading.
    kind, reason : str
        Type name and text of the user's exception.
    traceback : str
        The traceback as text, from the process where it happened.
    """

    def __init__(
        self, *, operation: str, node: str, arguments: str, kind: str, reason: str, traceback: str = ""
    ) -> None:
        super().__init__(operation, node, arguments, kind, reason, traceback)
        self.operation = operation
        self.node = node
        self.arguments = arguments
        self.kind = kind
        self.reason = reason
        self.traceback = traceback

    def __str__(self) -> str:
        text = f"operation {self.operation} failed: {self.kind}: {self.reason}\n  node:  {self.node}\n  input: {self.arguments}"
        return f"{text}\n\n{self.traceback.rstrip()}" if self.traceback else text
