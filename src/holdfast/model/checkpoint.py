"""Say what an operation may do with the state that it keeps of itself while it runs.

This one keeps the state in memory, for calling a function directly; runs give the function one that survives them. Pure.

State: the content of the last state written.
"""

from __future__ import annotations

from typing import Any

from holdfast.model.content import Content, decode, encode


class Checkpoint:
    """The state of an operation from inside, with which it goes on after it was killed.

    A parameter of an operation that is annotated with it is no input: calling the operation does not take it, no uid and no call
    key depends on it, and a run gives the function one of its own for each call. What is written in a run is kept in the working
    directory until the call is done, and belongs to the call: another run, another engine or another user of the directory
    goes on from it, while other inputs or changed code begin anew. On an executor that shares no working directory, nothing is
    kept.

    Made without a run, as ``hf.Checkpoint()``, it keeps the state in memory, for calling the plain function.

    Examples
    --------
    >>> import holdfast as hf
    >>> @hf.operation(name="demo.total")
    ... def total(steps: int, checkpoint: hf.Checkpoint) -> int:
    ...     state = checkpoint.load() or {"step": 0, "sum": 0}
    ...     for step in range(state["step"], steps):
    ...         state = {"step": step + 1, "sum": state["sum"] + step}
    ...         checkpoint.write(state)
    ...     return state["sum"]
    >>> total.parameters
    ('steps',)
    >>> checkpoint = hf.Checkpoint()
    >>> total.function(4, checkpoint), checkpoint.load()
    (6, {'step': 4, 'sum': 6})
    """

    def __init__(self) -> None:
        self._kept: Content | None = None

    def load(self) -> Any:
        """Return the last good state, or None if there is none; its arrays may be changed in place.

        Tuples come back as lists. Of the newest states the first that is whole is taken; a damaged one gives a warning.
        """
        return None if self._kept is None else restore(self._kept)

    def write(self, state: Any) -> None:
        """Keep a state from which the operation can go on.

        Parameters
        ----------
        state : object
            Numbers, strings, bytes, None, NumPy arrays, or lists and string-keyed dictionaries of these.

        Notes
        -----
        Cheap enough for every step: in a run most states are let go, and one is written when it is due. It is copied then, so
        that changing it in place after `write` returned is safe. A disk that refuses gives a warning, and the operation goes on.

        Raises
        ------
        UnsupportedValue
            It cannot be stored; names the part. The first state is always examined, later ones when they are written.
        """
        self._kept = encode(state, "the state")

    def flush(self) -> None:
        """Return when the state last given to `write` is on the disk; call it before that state is changed in place.

        Raises
        ------
        StoreFailure
            The disk refused it.
        """


def restore(content: Content) -> Any:
    """Return the value of a content, with arrays that are its own and can be changed, each apart from the others."""
    return decode(content.text, lambda digest: content.arrays[digest].copy())
