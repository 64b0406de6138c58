"""Tell what Python made in a class from what its author wrote in it.

Python's own members repeat the text of the class, or differ between minor versions, so they do not count. Never reads an attribute through
the class: its code might run.
"""

from __future__ import annotations

from types import FunctionType

from holdfast.authoring.distribution import is_installed

_OF_PYTHON = frozenset(
    {
        *(
            "__module__",
            "__doc__",
            "__dict__",
            "__weakref__",
            "__qualname__",
            "__firstlineno__",
            "__static_attributes__",
        ),
        *("__annotations__", "__annotate__", "__annotate_func__", "__annotations_cache__", "__dataclass_fields__"),
        *(
            "__dataclass_params__",
            "__match_args__",
            "__parameters__",
            "__orig_bases__",
            "__abstractmethods__",
            "__protocol_attrs__",
            "__callable_proto_members_only__",
            "__non_callable_proto_members__",
            "_abc_impl",
        ),
        *(
            "__slots__",
            "__classcell__",
            "_member_map_",
            "_value2member_map_",
            "_unhashable_values_",
            "_hashable_values_",
        ),
        *("_unhashable_values_map_", "_member_names_", "_use_args_", "_member_type_", "_value_repr_", "_new_member_"),
        *("_generate_next_value_", "_boundary_", "_flag_mask_", "_all_bits_", "_singles_mask_", "_inverted_"),
    }
)
"""What Python keeps in a class: it repeats the text, or differs between minor versions."""


def is_of_python(kind: type, name: str, value: object, *, has_text: bool) -> bool:
    """Return whether Python made a member of a class out of the class's text, as a dataclass's `__init__`, or a slot.

    Parameters
    ----------
    kind : type
    name : str
    value : object
        What the class holds under that name.
    has_text : bool
        Whether the text of the class is known; without it, what was generated counts.
    """
    if name in _OF_PYTHON:
        return True
    value = value.__func__ if isinstance(value, staticmethod) else value  # as Python makes of every __new__
    if isinstance(value, FunctionType):
        module = str(value.__globals__.get("__name__", ""))
        made = value.__code__.co_filename.startswith("<string>") and "__dataclass_fields__" in vars(kind)
        return module.startswith("namedtuple_") or (has_text and (made or is_installed(module)))
    named = type(value).__module__ == "builtins" and type(value).__name__ in ("member_descriptor", "getset_descriptor")
    return named or type(value).__name__ == "_tuplegetter" or _is_member(kind, value)


def _is_member(kind: type, value: object) -> bool:
    return "_member_map_" in vars(kind) and kind in type(value).__mro__
