"""Say what is known of a value before it is computed, and whether it fits what an input declares.

A type is a tuple of kinds, any of which the value may be; None is anything. Nothing is ever refused that might fit. Pure: never looks at
a value beyond its data type and shape, never casts, and takes no part in identity.

State: each declared input remembers which types it has taken already, so that a check is a look-up.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache

from holdfast.errors import GraphError
from holdfast.model.datatype import BY_DTYPE, BY_NAME, DataNode, DataType, Float64, String
from holdfast.model.datatype import Mapping as MappingType
from holdfast.model.fingerprint import operation_text
from holdfast.model.placeholder import Placeholder
from holdfast.model.reference import Input, Part, Reference, Subscript
from holdfast.model.shape import OpenShape

LIST, DICT = "list", "dict"
"""How lists and mappings of inputs are named among the data types."""

ANYTHING = "anything"
"""Among the names of what a value is: nothing is known of its parts."""

NOTHING: frozenset[str] = frozenset()

REMEMBERED = 64
"""How many types a declared input remembers."""


@dataclass(frozen=True, slots=True)
class Kind:
    """One of the things that a value may be.

    Parameters
    ----------
    name : str
        As messages show it.
    is_a : frozenset of str
        JSON texts of the data types that such a value has.
    takes : frozenset of str
        Those that a declared input of this kind takes; by default the same.
    takes_scalars : frozenset of str
        Those that it takes besides, of single values: an int where a float is declared.
    shape : tuple, optional
        Sizes from the outermost; a name or None is any size. None for any shape.
    axes : int
        How many axes there are at least, where the shape is not known.
    members : mapping or tuple of types, optional
        Of a mapping or list, where they are known.
    """

    name: str
    is_a: frozenset[str]
    takes: frozenset[str]
    takes_scalars: frozenset[str] = NOTHING
    shape: OpenShape | None = None
    axes: int = 0
    members: Mapping[str, Type] | tuple[Type, ...] | None = None

    def __str__(self) -> str:
        return self.name if not self.shape else f"{self.name} of shape {show_shape(self.shape)}"


Type = tuple[Kind, ...] | None

NUMBERS = {
    kinds: frozenset(datatype.text for dtype, datatype in BY_DTYPE.items() if dtype[1] in kinds)
    for kinds in ("b", "biu", "biuf", "biufc")
}
"""Data types whose single values Python takes for a bool, int, float or complex number."""

ELEMENTS = frozenset(datatype.text for datatype in BY_DTYPE.values()) | {String.text}


def list_kind(members: tuple[Type, ...] | None = None) -> Kind:
    """Return the kind of lists."""
    return Kind("list", frozenset({LIST}), frozenset({LIST}), members=members)


def dict_kind(members: Mapping[str, Type] | None = None) -> Kind:
    """Return the kind of mappings."""
    names = frozenset({DICT, MappingType.text})
    return Kind("dict", names, names, members=members)


@lru_cache(maxsize=4096)
def data_kind(datatype: DataType, shape: OpenShape | None = None) -> Kind:
    """Return the kind of a data type; one of the user's own is also of the type that carries it."""
    own = frozenset({datatype.text})
    carrier = BY_DTYPE.get(datatype.dtype)
    if datatype is MappingType:
        return replace(dict_kind(), name=str(datatype))
    is_a = own if carrier is None else own | {carrier.text}
    scalars = NUMBERS["biu"] if datatype.scope == Float64.scope else NOTHING
    return Kind(str(datatype), is_a, own, scalars, shape)


def placeholder_type(hole: Placeholder) -> Type:
    """Return what a placeholder asks for."""
    if hole.datatype is None:
        return None if hole.shape is None else (Kind("anything", ELEMENTS, ELEMENTS, shape=hole.shape),)
    datatype = BY_NAME.get(hole.datatype)
    if datatype is not None:
        return (data_kind(datatype, hole.shape),)
    own = frozenset({operation_text(hole.datatype)})
    return (Kind(".".join(hole.datatype), own | ELEMENTS, own, shape=hole.shape),)


def type_of(item: Input, *, deep: bool = False) -> Type:
    """Return what is known of an input; of the members of lists and mappings only if `deep`."""
    if isinstance(item, Reference):
        return _reference_type(item)
    if isinstance(item, Mapping):
        members = {label: type_of(member, deep=True) for label, member in item.items()} if deep else None
        return (dict_kind(members),)
    return (list_kind(tuple(type_of(member, deep=True) for member in item) if deep else None),)


def _reference_type(item: Reference) -> Type:
    if isinstance(item, DataNode):
        return (data_kind(item.datatype, item.shape),)
    if isinstance(item, Part):
        found = _reference_type(item.source)
        for step in item.path:
            found = part_type(found, step)
        return found
    if isinstance(item, Placeholder) and item.output_type is None:
        return placeholder_type(item)
    return item.output_type


def part_type(whole: Type, step: Subscript) -> Type:
    """Return the type of one part of a value: of a label, or of an index into the outermost axis."""
    if whole is None:
        return None
    parts: tuple[Kind, ...] = ()
    for kind in whole:
        part = _part(kind, step)
        if part is None:
            return None
        parts += part
    return parts or None


def _part(kind: Kind, step: Subscript) -> Type:
    if isinstance(step, str):
        return kind.members.get(step) if isinstance(kind.members, Mapping) else None
    if isinstance(kind.members, tuple):
        return kind.members[step] if step < len(kind.members) else None
    names = kind.is_a - {LIST}
    if not names <= ELEMENTS or not names or kind.shape == ():
        return None
    shape = None if kind.shape is None else kind.shape[1:]
    return (Kind(kind.name, names, names, shape=shape, axes=max(0, kind.axes - 1)),)


def element_type(whole: Type) -> Type:
    """Return the type of what `map` hands to a member."""
    if whole is not None and len(whole) == 1 and isinstance(whole[0].members, tuple):
        members = whole[0].members
        return either(*members) if len(members) <= REMEMBERED else None
    return part_type(whole, 0)


def ensemble_type(member: Type, width: int | None) -> Type:
    """Return the type of many values that become an array if they are alike and numeric, else a list."""
    if member is None or not all(kind.is_a <= ELEMENTS for kind in member):
        is_list = member is not None and all(kind.is_a.isdisjoint(ELEMENTS) for kind in member)
        found = frozenset({LIST, ANYTHING}) if is_list else ELEMENTS | {LIST, ANYTHING}
        return (Kind("a list" if is_list else "an array or list", found, NOTHING, axes=1),)
    if len(member) != 1:
        return (Kind("an array or list", ELEMENTS | {LIST}, NOTHING, axes=1),)
    (kind,) = member
    shape = None if kind.shape is None else (width, *kind.shape)
    return (Kind(f"an ensemble of {kind.name}", kind.is_a | {LIST}, NOTHING, shape=shape, axes=kind.axes + 1),)


def either(*types: Type) -> Type:
    """Return the type of a value that has one of several types."""
    kinds: tuple[Kind, ...] = ()
    for found in types:
        if found is None:
            return None
        kinds += tuple(kind for kind in found if kind not in kinds)
    return kinds or None


def fits(found: Type, expected: Type, sizes: dict[str, int]) -> bool:
    """Return whether a value of type `found` may be one of type `expected`; named sizes are looked up and noted in `sizes`."""
    if found is None or expected is None:
        return True
    for wanted in expected:
        for kind in found:
            noted = dict(sizes)
            if _names_fit(kind, wanted) and _shape_fits(kind, wanted, noted):
                sizes.update(noted)
                return True
    return False


def _names_fit(found: Kind, expected: Kind) -> bool:
    if not found.is_a.isdisjoint(expected.takes):
        return True
    may_be_scalar = found.shape == () or (found.shape is None and not found.axes)
    return may_be_scalar and not found.is_a.isdisjoint(expected.takes_scalars)


def _shape_fits(found: Kind, expected: Kind, sizes: dict[str, int]) -> bool:
    if expected.shape is None:
        return found.shape is None or len(found.shape) >= expected.axes
    if found.shape is None:
        return len(expected.shape) >= found.axes
    if len(found.shape) != len(expected.shape):
        return False
    for size, wanted in zip(found.shape, expected.shape, strict=True):
        if not isinstance(size, int) or wanted is None:
            continue
        if (sizes.setdefault(wanted, size) if isinstance(wanted, str) else wanted) != size:
            return False
    return True


class DeclaredInput:
    """What one input of an operation takes."""

    __slots__ = ("expected", "has_names", "label", "scalars", "taken")

    def __init__(self, label: str, expected: tuple[Kind, ...]) -> None:
        self.label = label
        self.expected = expected
        self.has_names = any(isinstance(size, str) for kind in expected for size in kind.shape or ())
        single = [kind for kind in expected if not kind.axes and not kind.shape]
        self.scalars = frozenset().union(*(kind.takes | kind.takes_scalars for kind in single))
        self.taken: dict[int, Type] = {}

    def take(self, item: Input, sizes: dict[str, int], operation: str) -> None:
        """Refuse what cannot fit."""
        found = type_of(item)
        known = dict(sizes)
        if not fits(found, self.expected, sizes):
            raise GraphError(_mismatch(operation, self, item, known))
        if not self.has_names and isinstance(item, Reference) and len(self.taken) < REMEMBERED:
            self.taken[id(found)] = found


class Declaration:
    """What an operation takes and gives.

    Parameters
    ----------
    operation : str
        Dotted name, for messages.
    inputs : mapping of label to type
        Labels that are not named take anything.
    output : type
    """

    __slots__ = ("_inputs", "_operation", "_output_has_names", "output")

    def __init__(self, operation: str, inputs: Mapping[str, Type], output: Type = None) -> None:
        self._operation = operation
        self._inputs = tuple(DeclaredInput(label, expected) for label, expected in inputs.items() if expected)
        self.output = output
        self._output_has_names = any(isinstance(size, str) for kind in output or () for size in kind.shape or ())

    def check(self, inputs: Mapping[str, Input]) -> Type:
        """Return the type of the output for these inputs.

        Raises
        ------
        GraphError
            An input cannot fit; names operation, input, expected and found.
        """
        sizes: dict[str, int] = {}
        for declared in self._inputs:
            item = inputs.get(declared.label)
            if item is None:
                continue
            if type(item) is DataNode:
                if not item.shape and item.datatype.text in declared.scalars:
                    continue
            elif isinstance(item, Reference):
                found = item.output_type
                if found is not None and declared.taken.get(id(found)) is found:
                    continue
            declared.take(item, sizes, self._operation)
        return self.output if not (sizes and self._output_has_names) else fill_sizes(self.output, sizes)


def fill_sizes(output: Type, sizes: Mapping[str, int]) -> Type:
    """Return the type with named sizes replaced by what they stand for in one call."""
    return output and tuple(
        replace(kind, shape=tuple(sizes.get(size, size) if isinstance(size, str) else size for size in kind.shape))
        if kind.shape
        else kind
        for kind in output
    )


def show_type(found: Type) -> str:
    """Return a type as messages show it."""
    return "anything" if found is None else " or ".join(dict.fromkeys(map(str, found)))


def show_shape(shape: OpenShape) -> str:
    """Return a shape as messages show it."""
    return (
        "(" + ", ".join("any" if size is None else str(size) for size in shape) + ("," if len(shape) == 1 else "") + ")"
    )


def _mismatch(operation: str, declared: DeclaredInput, item: Input, sizes: Mapping[str, int]) -> str:
    names = sorted({size for kind in declared.expected for size in kind.shape or () if isinstance(size, str)})
    known = ", ".join(f"{name} = {sizes[name]}" for name in names if name in sizes)
    where = f" with {known} from another input" if known else ""
    shown = f"{item!r}" if isinstance(item, Reference) else f"a {type(item).__name__} of {len(item)}"
    return (
        f"{operation} declares its input {declared.label!r} as {show_type(declared.expected)}{where}, but was given {shown}, "
        f"which is {show_type(type_of(item))}. Convert it first, or correct the annotation."
    )
