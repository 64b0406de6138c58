"""Find the node that a person names on the command line or in a call. Reads the catalog only."""

from __future__ import annotations

from holdfast.errors import NotFound
from holdfast.storage.catalog import Catalog

PREFIX = 4
"""Digits of the shortest uid that is accepted."""


def find_uid(catalog: Catalog, name: str) -> str:
    """Return the uid that a name stands for: a target, its last part, or a uid that may be cut short.

    Raises
    ------
    NotFound
        It stands for nothing, or for several; says what there is.
    """
    targets = {row.name: row.uid.hex() for row in catalog.find_targets()}
    if name in targets:
        return targets[name]
    if PREFIX <= len(name) <= 64 and set(name) <= set("0123456789abcdef"):
        first, last = bytes.fromhex(name.ljust(64, "0")), bytes.fromhex(name.ljust(64, "f"))
        found = catalog.uids_between(first, last)
        if len(found) == 1:
            return found[0].hex()
        if found:
            raise NotFound(
                f"{name} begins several uids: {', '.join(uid.hex()[:16] for uid in found)}, … Write more of it."
            )
    ends = sorted(target for target in targets if target.rpartition(":")[2] == name)
    if len(ends) == 1:
        return targets[ends[0]]
    known = ", ".join(ends or sorted(targets)) or "none"
    raise NotFound(f"{name!r} is no uid of a node that is done or failed here, and no target. Targets: {known}.")
