"""Declare that a change of code does not matter, or take that back.

Says first what the change is. What it lets stand is looked up elsewhere (`acceptance`), and never copied. Writes nothing itself.
"""

from __future__ import annotations

import getpass
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from holdfast.errors import GraphError, NotFound
from holdfast.model.explanation import Reason, reason_lines
from holdfast.runtime.difference import code_reasons
from holdfast.runtime.nearest import Recipes
from holdfast.storage.catalog import Catalog
from holdfast.storage.rows import AcceptanceRow, ImplementationRow
from holdfast.storage.workdir import now


@dataclass(frozen=True, slots=True)
class Acceptance:
    """A change of an operation's code, and what was declared of it."""

    operation: str
    earlier: str
    """Uid of the code whose results stand."""
    first_seen: str
    """When that code first ran here."""
    later: str
    """Uid of the code as it is now."""
    changes: tuple[Reason, ...]
    """What changed from the one to the other."""
    who: str
    why: str
    """Empty of what is only looked at."""

    def to_json(self) -> dict[str, Any]:
        """Return plain dictionaries and lists, for `json.dumps`."""
        return {**asdict(self), "changes": [asdict(change) for change in self.changes]}

    def __str__(self) -> str:
        """Return it in lines, for people."""
        codes = f"code {self.earlier[:12]}, first run here at {self.first_seen}, and {self.later[:12]}, as it is now"
        told = [f"  accepted by {self.who}: {self.why}"] if self.why else []
        return "\n".join(
            [f"{self.operation}: {codes}", *(line for change in self.changes for line in reason_lines(change)), *told]
        )


def look_at(catalog: Catalog, operation: Any, *, why: str = "", earlier: str = "", host: str = "") -> Acceptance:
    """Return what accepting an operation's code as it is now would mean.

    Parameters
    ----------
    catalog : Catalog
    operation : Operation
    why : str
    earlier : str
        Beginning of the uid of the code whose results shall stand; empty for the latest other one that ran here.
    host : str
        Of whoever accepts.

    Raises
    ------
    GraphError
        It is no operation.
    NotFound
        There is no such code; says what there is.
    """
    name, code = _name_of(operation), operation.implementation
    row = _find_code(catalog, name, code.uid, earlier)
    changes = tuple(code_reasons(Recipes(catalog, {}, [code]), name, code.uid, row.uid.hex()))
    return Acceptance(name, row.uid.hex(), row.first_seen, code.uid, changes, f"{_user()}@{host}", why)


def _find_code(catalog: Catalog, name: str, later: str, earlier: str) -> ImplementationRow:
    known = [row for row in catalog.list_implementations(name) if row.uid.hex() != later]
    if not known:
        raise NotFound(f"No other code of {name} has run here, so there is nothing to accept.")
    fitting = [row for row in known if row.uid.hex().startswith(earlier)]
    if not fitting or (earlier and len(fitting) > 1):
        listed = ", ".join(f"{row.uid.hex()[:16]} ({row.first_seen})" for row in known)
        raise NotFound(f"{earlier!r} begins no or several codes of {name} that ran here. Recorded: {listed}.")
    return fitting[0]


def acceptance_row(acceptance: Acceptance) -> AcceptanceRow:
    """Return the row that lets it hold.

    Raises
    ------
    GraphError
        No reason was given.
    """
    if not acceptance.why.strip():
        raise GraphError("Say why the change does not matter; it is kept for those who rely on the results.")
    codes = bytes.fromhex(acceptance.earlier), bytes.fromhex(acceptance.later)
    return AcceptanceRow(acceptance.operation, *codes, acceptance.who, "", acceptance.why)


def withdrawn_rows(catalog: Catalog, operation: Any, earlier: str, host: str) -> Sequence[AcceptanceRow]:
    """Return the rows of an operation's acceptances that hold, as withdrawn.

    Parameters
    ----------
    catalog : Catalog
    operation : Operation
    earlier : str
        Beginning of the uid of the earlier code; empty for all.
    host : str
        Of whoever withdraws them.

    Raises
    ------
    GraphError
        It is no operation.
    NotFound
        There is none.
    """
    name = _name_of(operation)
    holding = [row for row in catalog.find_acceptances() if row.operation == name and not row.withdrawn]
    chosen = [row for row in holding if row.earlier.hex().startswith(earlier)]
    if not chosen:
        others = "; those that hold are from " + ", ".join(row.earlier.hex()[:16] for row in holding) if holding else ""
        raise NotFound(f"No acceptance of {name} {f'from {earlier} ' if earlier else ''}holds here{others}.")
    return [row._replace(withdrawn=f"{_user()}@{host} at {now()}") for row in chosen]


def _name_of(operation: Any) -> str:
    if not hasattr(operation, "implementation"):
        raise GraphError(f"{operation!r} is no operation. Give the decorated function itself.")
    return str(operation.name)


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError, ImportError):  # no such user, as in a container
        return "somebody"
