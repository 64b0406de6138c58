"""Let earlier results stand under changed code, where the user has declared that the change does not matter.

An acceptance names an operation and two codes of it. A call that is missing under its own key is looked up under the keys that it would
have with the earlier code: the same operation, the same contents of its inputs. Nothing is copied or rewritten, and nothing is looked
up twice where nothing was accepted. What depends on the code of an operation in other ways (uids of nodes and bodies, keys of ensembles
and rounds) is composed anew from calls that are found.

State: of `Acceptances`, which codes stand under which.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from holdfast.model.fingerprint import call_key, call_prefix
from holdfast.model.node import Node
from holdfast.storage.rows import AcceptanceRow, CallRow

Direct = Mapping[tuple[str, str], Sequence[AcceptanceRow]]


class Acceptances:
    """Which results stand under which code.

    Examples
    --------
    >>> row = AcceptanceRow("demo.f", bytes(32), bytes([1]) * 32, "me", "", "renamed a variable")
    >>> from holdfast.model.node import Node
    >>> node = Node(("demo", "f"), {}, ("01" * 32,))
    >>> Acceptances([row]).earlier(node) == ["00" * 32], Acceptances([row._replace(withdrawn="me")]).earlier(node)
    (True, ())
    """

    def __init__(self, rows: Iterable[AcceptanceRow]) -> None:
        direct = _by_later(row for row in rows if not row.withdrawn)
        self._earlier = {found: _reached(direct, *found) for found in direct}

    @property
    def has_any(self) -> bool:
        """Whether anything was accepted."""
        return bool(self._earlier)

    def earlier(self, node: Node) -> Sequence[str]:
        """Return the uids of the codes whose results stand under that of a node, also by way of others, the latest accepted first."""
        return self._earlier.get((node.name, node.depends[0]), ()) if self._earlier and node.depends else ()

    def find(
        self,
        node: Node,
        keys: Sequence[bytes],
        arguments: Sequence[bytes],
        find_calls: Callable[[Sequence[bytes]], dict[bytes, CallRow]],
    ) -> dict[bytes, CallRow]:
        """Return the results of calls of one operation, or those that stand for them, by the keys that the calls have themselves.

        Parameters
        ----------
        node : Node
            Names operation and code.
        keys, arguments : sequence of bytes
            Of each call.
        find_calls : callable
            Looks results up by their keys.
        """
        found = find_calls(keys)
        for code in self.earlier(node):
            prefix = call_prefix(node.scope, (code,))
            pairs = zip(keys, arguments, strict=True)
            wanted = {call_key(prefix, text): key for key, text in pairs if key not in found}
            found.update((wanted[key], row) for key, row in find_calls(list(wanted)).items())
        return found


def path_between(rows: Iterable[AcceptanceRow], operation: str, earlier: str, later: str) -> list[AcceptanceRow]:
    """Return the acceptances that lead from a later code of an operation back to an earlier one; none if they do not."""
    direct = _by_later(rows)
    steps: dict[str, AcceptanceRow] = {}
    waiting = [later]
    for code in waiting:
        for row in direct.get((operation, code), ()):
            before = row.earlier.hex()
            if before != later and before not in steps:
                steps[before] = row
                waiting.append(before)
    path: list[AcceptanceRow] = []
    while earlier in steps:
        path.insert(0, steps[earlier])
        earlier = steps[earlier].later.hex()
    return path


def _by_later(rows: Iterable[AcceptanceRow]) -> Direct:
    """Return the acceptances by operation and later code, the latest first."""
    direct: dict[tuple[str, str], list[AcceptanceRow]] = {}
    for row in rows:
        direct.setdefault((row.operation, row.later.hex()), []).insert(0, row)
    return direct


def _reached(direct: Direct, operation: str, later: str) -> list[str]:
    waiting = [later]
    for code in waiting:
        waiting += [row.earlier.hex() for row in direct.get((operation, code), ()) if row.earlier.hex() not in waiting]
    return waiting[1:]
