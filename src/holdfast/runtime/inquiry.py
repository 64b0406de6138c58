"""Answer what a user asks about the results in a working directory: where they stand, why, what would run, whether they come out the same.

Only what was declared of a change of code is written. Whoever has results computed is the session, which derives from this.

State: none of its own.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from typing import Any

from holdfast.errors import SessionClosed
from holdfast.model.datatype import DataNode
from holdfast.model.explanation import Explanation
from holdfast.model.lifecycle import NodeState
from holdfast.model.plan import Plan
from holdfast.model.reference import Reference
from holdfast.runtime.accept import Acceptance, acceptance_row, look_at, withdrawn_rows
from holdfast.runtime.audience import Audience
from holdfast.runtime.check import Check, check
from holdfast.runtime.contents import Contents
from holdfast.runtime.engine import Engine
from holdfast.runtime.explain import explain_task
from holdfast.runtime.ledger import code_rows
from holdfast.runtime.plan import plan
from holdfast.runtime.request import requested
from holdfast.runtime.rounds import Rounds, look
from holdfast.runtime.scheduler import Scheduler
from holdfast.runtime.standing import stored_state
from holdfast.storage.catalog import Catalog
from holdfast.storage.commit import GroupCommit
from holdfast.storage.owner import Owner
from holdfast.storage.rows import Row
from holdfast.storage.workdir import WorkDirectory


class Inquiry:
    """What may be asked about results; a session has what it takes to answer."""

    id: str
    _audience: Audience
    _catalog: Catalog
    _commit: GroupCommit
    _contents: Contents
    _engine: Engine
    _is_closed: bool
    _owner: Owner
    _scheduler: Scheduler
    _state: AbstractContextManager[Any]
    _tickets: Iterator[int]
    _workdir: WorkDirectory

    def status(self, node: Reference | str) -> NodeState:
        """Return where a node stands, given itself or its uid."""
        uid = node if isinstance(node, str) else node.uid
        if isinstance(node, DataNode):
            return NodeState.DONE
        with self._state:
            self._require_open()
            task = self._scheduler.tasks.get(uid)
            if task is not None:
                return task.state
            return stored_state(self._catalog, uid)

    def rounds(self, loop: Reference) -> Rounds:
        """Return the finished rounds of a loop, whether or not it is finished itself.

        Parameters
        ----------
        loop : node
            Made by `while_loop`, `fori_loop` or `scan`, or a part of it.

        Returns
        -------
        Rounds
            A sequence of the states, ``rounds[0]`` after the first round; of a scan, of pairs of state and output. Each is read
            when it is looked at. ``rounds.ended`` tells whether the loop has ended, and why: by its limit, for example.

        Raises
        ------
        GraphError
            It is no loop.
        """
        with self._state:
            self._require_open()
            return look(requested(loop), self._contents, self._catalog, self._state)

    def explain(self, node: Reference | str) -> Explanation:
        """Return why a node ran, was reused, waits or failed; also of one that this session has not been asked for.

        Parameters
        ----------
        node : node, or str
            Itself, its uid or the beginning of that, or a name given by `name_target`.

        Raises
        ------
        NotFound
            Nothing is known of it; says what there is.

        Examples
        --------
        >>> import holdfast as hf, tempfile
        >>> double = hf.operation(lambda x: 2 * x, name="demo.double")
        >>> with hf.Session(tempfile.mkdtemp()) as session:
        ...     value = session.result(double(21))
        ...     session.explain(double(21)).reasons[0].cause
        'first run'
        """
        self._commit.flush()
        with self._state:
            self._require_open()
            return explain_task(self._catalog, self._scheduler.tasks, node)

    def plan(self, node: Any, *, accepting: Sequence[Any] = ()) -> Plan:
        """Return what asking for a node would run, how many calls, why, and how long they took in the past; runs nothing.

        Parameters
        ----------
        node : node, part of a node, or list or dictionary of these
        accepting : sequence of operations
            What if the last change of their code were accepted?

        Examples
        --------
        >>> import holdfast as hf, tempfile
        >>> double = hf.operation(lambda x: 2 * x, name="demo.double")
        >>> with hf.Session(tempfile.mkdtemp()) as session:
        ...     print(session.plan(double(21)))
        1 call would be made; how long that takes is not known
          demo.double: 1 call (first run 1), no times known
          reused: 0
        """
        item = requested(node)
        self._require_open()
        self._commit.flush()  # what is finished is looked up in the catalog
        with self._state:
            return plan(self._workdir, self._catalog, [item], accepting)

    def check(self, node: Any, *, sample: float | None = None) -> Check:
        """Make finished calls behind a node again, and return which gave another result than before; what is kept stays as it is.

        Parameters
        ----------
        node : node, part of a node, or list or dictionary of these
        sample : int or float, optional
            How many calls, or, as a float up to 1, which part of them; other ones in each session. All by default.

        Raises
        ------
        GraphError
            The sample is neither.
        """
        item = requested(node)
        self._require_open()
        self._commit.flush()  # what is finished is looked up in the catalog
        tell = self._audience.tell
        return check(self._workdir, [item], self._engine, self._tickets, tell, sample=sample, seed=self.id)

    def accept(self, operation: Any, *, why: str = "", earlier: str = "", dry: bool = False) -> Acceptance:
        """Declare that a change of an operation's code does not matter: results of the earlier code stand under the code as it is now.

        They stand for the same inputs only; whatever else is asked for runs with the code as it is now. Sessions that are open
        elsewhere take it up when they are opened next.

        Parameters
        ----------
        operation : Operation
        why : str
            Kept, with your name and the time; `explain` tells it of all that stands by it.
        earlier : str
            Beginning of the uid of the code whose results shall stand; by default the latest other code that ran here.
        dry : bool
            Only say what the change is.

        Raises
        ------
        GraphError, NotFound
            There is no reason, or no earlier code.
        """
        self._require_open()
        self._commit.flush()
        with self._state:
            found = look_at(self._catalog, operation, why=why, earlier=earlier, host=self._owner.host)
        if not dry:
            self._keep_acceptances([*code_rows(found.operation, operation.implementation), acceptance_row(found)])
        return found

    def withdraw(self, operation: Any, *, earlier: str = "") -> int:
        """Take back what was accepted of an operation, and return how many acceptances that were; nothing more stands by them.

        What stands already stays: a node has one result for ever. Give the operation a version word to have it computed anew.

        Raises
        ------
        NotFound
            Nothing accepted holds; says what does.
        """
        self._require_open()
        self._commit.flush()
        with self._state:
            rows = withdrawn_rows(self._catalog, operation, earlier, self._owner.host)
        self._keep_acceptances(rows)
        return len(rows)

    def _keep_acceptances(self, rows: Sequence[Row]) -> None:
        self._commit.append(rows)
        self._commit.flush()
        with self._state:
            self._scheduler.ledger.note_acceptances()

    def _require_open(self) -> None:
        if self._is_closed:
            raise SessionClosed(
                f"The session in {self._workdir.path} is closed. Open a new one: hf.Session({str(self._workdir.path)!r})."
            )
