"""Say what an engine is given and what it gives back: jobs and outcomes, as plain data.

A job is a handful of calls of one operation. It names code and contents, never graph, catalog or session, and every value in it
can be pickled. Each call has exactly one outcome: `Finished`, `Failed`, `Expanded` or `Lost`. What there are thousands of is a named tuple,
made in half the time of a frozen dataclass, and says itself how it is pickled.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from holdfast.model.content import Array
    from holdfast.storage.staging import Staged
    from holdfast.storage.stamp import Stamp


@dataclass(frozen=True, slots=True)
class Code:
    """Where a worker finds the function of an operation."""

    name: str
    """Dotted name of the operation, for messages."""
    module: str
    """Module to import the function from; empty if the function travels by value."""
    qualname: str
    """Qualified name within `module`."""
    pickled: bytes
    """The function as cloudpickle made it; empty if it is imported."""
    positional: tuple[str, ...] = ()
    """Labels that the function takes by position only, in order."""
    function: Callable[..., Any] | None = field(default=None, compare=False, repr=False)
    """The function itself, for engines that share the coordinator's memory; such code cannot be pickled."""
    store_type: str = ""
    """Format in which large arrays of its results are laid out; empty for the usual one."""
    checkpoint: str = ""
    """Label under which the function takes its checkpoint; empty if it takes none."""
    keeps_results: bool = True
    """Whether the results are wanted; else their digests are told, and nothing is kept."""
    tables: tuple[tuple[str, str], ...] = ()
    """Labels of inputs that are tables of one library, with that library."""

    def __reduce__(self) -> tuple[type[Code], tuple[Any, ...]]:
        if self.function is not None:
            raise TypeError(f"the function of {self.name} was described for this process only")
        rest = (None, self.store_type, self.checkpoint, self.keeps_results, self.tables)
        return Code, (self.name, self.module, self.qualname, self.pickled, self.positional, *rest)


@dataclass(frozen=True, slots=True)
class Inline:
    """An array whose bytes travel with the job."""

    dtype: str
    shape: tuple[int, ...]
    data: bytes

    def __reduce__(self) -> tuple[type[Inline], tuple[Any, ...]]:
        return Inline, (self.dtype, self.shape, self.data)


@dataclass(frozen=True, slots=True)
class InMemory:
    """An array of the coordinating process, for engines that share its memory; pickled as its bytes."""

    array: Array


@dataclass(frozen=True, slots=True)
class Stored:
    """An array in a file that the worker maps by itself."""

    path: str
    """Absolute path of the file."""
    digest: str
    """Hex digest that the whole array in the file must have."""
    part: tuple[int, ...] = ()
    """Indices into its leading axes; empty for the whole array."""
    known: Stamp | None = None
    """Of the file when the session wrote it, so that its bytes need not be compared again; None if another session did."""


@dataclass(frozen=True, slots=True)
class LocalFile:
    """A file of the user's, which the function receives as a path once its contents are found to be what they were."""

    path: str
    digest: str


@dataclass(frozen=True, slots=True)
class Stack:
    """Equal arrays that are read one by one and become one array with a new leading axis."""

    members: tuple[ArraySource, ...]
    digests: tuple[str, ...] = ()
    """Of the members; empty where nobody needs them."""


ArraySource = Inline | InMemory | Stored | LocalFile | Stack


class Call(NamedTuple):
    """One application of the operation to contents."""

    key: bytes
    """The call key, 32 bytes."""
    arguments: bytes
    """Content text of the mapping of arguments, by label."""

    def __reduce__(self) -> tuple[type[Call], tuple[Any, ...]]:
        return Call, (self.key, self.arguments)


@dataclass(frozen=True, slots=True)
class Job:
    """Calls of one operation that one worker makes in turn."""

    ticket: int
    """Unique within a session."""
    code: Code
    calls: tuple[Call, ...]
    sources: Mapping[str, ArraySource] = field(default_factory=dict)
    """Where each array is that an array or stack token of the arguments names, by digest."""
    directory: str = ""
    """Working directory, where results too large for a message are staged, and checkpoints kept; a path that workers share with the
    coordinator. Empty if they share none: then all results travel, and checkpoints keep nothing."""
    shares_memory: bool = False
    """Whether the worker is in the coordinating process, which then flushes what is staged."""


class Finished(NamedTuple):
    """The function returned a value that can be stored."""

    key: bytes
    text: bytes
    """Content text of the value; empty if it is too large for a message and stands in the staged store, or if only its digest is told."""
    digest: bytes
    """SHA-256 of the text, 32 bytes."""
    arrays: Mapping[str, Inline | InMemory]
    """Arrays small enough to travel, by digest; those of a staged store too, if they are held."""
    staged: Staged | None = None
    """The store under construction that holds the rest; None if there is none."""
    seconds: float = 0.0
    """Time spent in the function."""
    is_held: bool = False
    """Whether the value is here although its store has no lasting place yet: only if the worker shares the coordinator's memory."""

    @property
    def is_readable(self) -> bool:
        """Whether the value may be used before it is durable."""
        return self.staged is None or self.is_held

    def __reduce__(self) -> tuple[type[Finished], tuple[Any, ...]]:
        return Finished, (self.key, self.text, self.digest, self.arrays, self.staged, self.seconds)


@dataclass(frozen=True, slots=True)
class Failed:
    """The function raised, or returned what cannot be stored; it would do so again."""

    key: bytes
    kind: str
    """Type name of the exception."""
    reason: str
    """Its text."""
    traceback: str
    seconds: float = 0.0
    operation: str = ""
    """Where it happened, if that was in a node that the function returned; else this and the next two are empty."""
    node: str = ""
    arguments: str = ""


@dataclass(frozen=True, slots=True)
class Lost:
    """Nobody knows what became of the call; making it again is safe."""

    key: bytes
    reason: str


@dataclass(frozen=True, slots=True)
class Expanded:
    """The function returned nodes: its value is theirs."""

    key: bytes
    document: str
    """The work graph of what was returned, with one target."""
    seconds: float = 0.0


Settled = Finished | Failed | Expanded

Outcome = Settled | Lost


@dataclass(frozen=True, slots=True)
class Report:
    """What became of each call of a job, in the order of the calls."""

    ticket: int
    outcomes: tuple[Outcome, ...]
