"""Gather all that a piece of code reaches, directly or by way of others.

What a thing reaches is the same wherever it was found, if everything in it has a name of its own. Then it is kept, and what reaches it in
turn takes it as a whole: operations that share their helpers share the walk. Anything else is walked each time, since its label tells by
which way it was reached first.

State: what was reached from the things met lately.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from functools import lru_cache
from reprlib import Repr
from types import FunctionType

from holdfast.authoring.constant import is_code
from holdfast.authoring.reach import Binding, Reach, reach_of, text_of
from holdfast.authoring.source import Same

SHOWN = Repr()
SHOWN.maxstring = SHOWN.maxother = 200
SHOWN.maxlist = SHOWN.maxtuple = SHOWN.maxset = SHOWN.maxfrozenset = SHOWN.maxdict = 20
"""How constants are kept for people."""


@dataclass(frozen=True, slots=True)
class SourceText:
    """What stands behind a digest among the parts, for people; it never identifies."""

    place: str
    """File and line; empty for a constant."""
    text: str


class Extent:
    """All that some code reaches, as listed for an operation at home in one module."""

    def __init__(self, home: str) -> None:
        self.parts: dict[str, str] = {}
        """Digest or version of each thing, by the name under which it is listed."""
        self.sources: dict[str, SourceText] = {}
        self.bindings: dict[tuple[int, str], Binding] = {}
        self.strange: dict[str, None] = {}
        self.seen: dict[int, object] = {}
        """What was listed; kept, so that no two things have the same id."""
        self.is_lasting = True
        """Whether it is the same by whatever way it was reached, as long as the bindings hold."""
        self.home = home

    def holds(self) -> bool:
        """Return whether every name that was read still stands for what it stood for."""
        return all(map(Binding.holds, self.bindings.values()))

    def add(self, item: object, reach: Reach) -> list[tuple[str, object]]:
        """List one thing, and return what it reaches."""
        self.seen[id(item)] = item
        self.is_lasting = self.is_lasting and reach.is_lasting
        for label, digest in reach.parts:
            self._note(_name_of(label, self.home), digest)
        self.bindings.update(reach.bindings)
        self.strange.update(dict.fromkeys(reach.strange))
        if reach.texts is None:
            reach.texts = _texts_behind(item, reach)
        self.sources.update(reach.texts)
        return reach.code

    def take(self, other: Extent) -> bool:
        """List all that another extent has; return whether that could be done, without a name that stands for two things."""
        parts = {**other.parts, **self.parts}
        if parts != {**self.parts, **other.parts}:
            return False
        self.parts = parts
        self.seen.update(other.seen)
        self.bindings.update(other.bindings)
        self.strange.update(other.strange)
        self.sources.update(other.sources)
        return True

    def _note(self, name: str, digest: str) -> None:
        """List a digest under a name, or under the next free one if the name stands for something else."""
        while self.parts.setdefault(name, digest) != digest:
            name += "'"
            self.is_lasting = False


@dataclass(slots=True)
class _Kept:
    """What was last reached from a thing."""

    extent: Extent | None = None


def extent_of(home: str, label: str, function: object) -> Extent:
    """Return all that a function reaches.

    Parameters
    ----------
    home : str
        Name of the module whose things are listed without it.
    label : str
        Under which to list the function itself.
    function : object
    """
    extent = Extent(home)
    waiting = list(extent.add(function, reach_of(label, function, keep_label=True)))
    for _, item in waiting:
        _lasting_extent(home, item)
    while waiting:
        place, item = waiting.pop()
        if id(item) in extent.seen:
            continue
        kept = _kept(home, Same(item)).extent
        whole = kept is not None and kept.is_lasting and id(function) not in kept.seen and kept.holds()
        if not whole or not extent.take(kept):  # type: ignore[arg-type]
            waiting += extent.add(item, reach_of(place, item))
    return extent


def _lasting_extent(home: str, item: object) -> Extent:
    """Return all that a thing reaches, up to the first that is not the same by whatever way it was reached."""
    known = _kept(home, Same(item))
    if known.extent is not None and known.extent.holds():
        return known.extent
    extent = Extent(home)
    waiting: list[tuple[str, object]] = [("", item)]
    while waiting and extent.is_lasting:
        place, found = waiting.pop()
        if id(found) in extent.seen:
            continue
        kept = _kept(home, Same(found)).extent
        if kept is None or not kept.holds():
            waiting += extent.add(found, reach_of(place, found))
        else:
            extent.is_lasting = kept.is_lasting and extent.take(kept)
    known.extent = extent
    return extent


@lru_cache(maxsize=256)
def _kept(home: str, item: Same) -> _Kept:
    """Return the one place where to keep what is reached from a thing."""
    return _Kept()


def _texts_behind(item: object, reach: Reach) -> dict[str, SourceText]:
    """Return what people want to see of a reached thing, whose own digest comes first, and of the constants that it reads."""
    texts: dict[str, SourceText] = {}
    if reach.parts and isinstance(item, (FunctionType, type)) and (own := text_of(item)) is not None:
        texts[reach.parts[0][1]] = SourceText(_place_of(item), own)
    constants = [binding for binding in reach.bindings.values() if not is_code(binding.value)]
    digests = {label.replace(":", ".").rpartition(".")[2]: digest for label, digest in reach.parts} if constants else {}
    for binding in constants:
        if binding.name in digests:
            texts.setdefault(digests[binding.name], SourceText("", SHOWN.repr(binding.value)))
    return texts


def _place_of(item: FunctionType | type) -> str:
    if isinstance(item, FunctionType):
        return f"{item.__code__.co_filename}:{item.__code__.co_firstlineno}"
    return getattr(sys.modules.get(item.__module__), "__file__", None) or ""


def _name_of(label: str, home: str) -> str:
    """Return the name under which a thing is listed."""
    module, found, name = label.partition(":")
    if not found or not module:
        return name or module
    return f".{name}" if module == home else f"{module}.{name}"
