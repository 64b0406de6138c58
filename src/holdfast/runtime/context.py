"""Map work to a working directory: register nodes, ask where they stand, and have them published.

`WorkerContext` is the context with file-backed checkpoints. It owns nothing until something is published; then it holds a session until it
is closed.

State: a builder for each node that was added, and the session, if there is one.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from holdfast.errors import NotFound
from holdfast.model.lifecycle import NodeState
from holdfast.model.reference import Reference, references
from holdfast.model.workgraph import WorkGraph
from holdfast.runtime.builder import NodeBuilder, direct, update
from holdfast.runtime.events import Event
from holdfast.runtime.session import Session
from holdfast.runtime.standing import stored_state
from holdfast.storage.catalog import Catalog, open_to_write

if TYPE_CHECKING:
    from concurrent.futures import Future


class WorkerContext:
    """A simple data staging context with file-backed checkpoints.

    Parameters
    ----------
    working_directory : path
        Made if it does not exist; refused, untouched, if it cannot be used. What earlier sessions finished there is found.
    engine, workers
        As for `Session`, which `publish` opens.

    Raises
    ------
    WorkingDirectoryError
        Says what is wrong with the directory.

    Examples
    --------
    >>> import holdfast as hf, tempfile
    >>> double = hf.operation(lambda x: 2 * x, name="demo.double")
    >>> with hf.WorkerContext(tempfile.mkdtemp()) as context:
    ...     uid = context.add_node(double(21))
    ...     context.publish(uid).result()
    42
    """

    def __init__(
        self, working_directory: str | os.PathLike[str] = ".", *, engine: Any = "in_process", workers: int | None = None
    ) -> None:
        self._workdir = open_to_write(working_directory)
        self._engine = engine
        self._workers = workers
        self._builders: dict[str, NodeBuilder] = {}
        self._session: Session | None = None

    @property
    def working_directory(self) -> str:
        """Absolute path of the directory."""
        return str(self._workdir.path)

    def add_node(self, node: Reference) -> str:
        """Register a node and all that it needs, each in the state that what is stored puts it in; return its uid.

        Adding it twice is harmless and costs nothing.
        """
        self._add([node])
        return node.uid

    def load(self, work_graph: WorkGraph) -> dict[str, NodeState]:
        """Register all nodes of a work graph, and return in which state each target starts.

        Parameters
        ----------
        work_graph : WorkGraph
            What is stored of its nodes may be all, some, or nothing.

        Returns
        -------
        dict of str to NodeState
            By name of the target; of a target of several nodes, `DONE` if all are, else the state of the first that is not.
        """
        wanted = {name: list(references(item)) for name, item in work_graph.targets.items()}
        self._add([reference for listed in wanted.values() for reference in listed])
        states = {name: [self.status(reference) for reference in listed] for name, listed in wanted.items()}
        done = NodeState.DONE
        return {name: next((state for state in found if state is not done), done) for name, found in states.items()}

    def _add(self, nodes: list[Reference]) -> None:
        missing = [node for node in nodes if node.uid not in self._builders]
        for builder in direct(missing, self._builders, self._workdir):
            self._builders[builder.node.uid] = builder

    def status(self, node: Reference | str) -> NodeState:
        """Return where a node stands: from the session, or else from what is stored."""
        if self._session is not None:
            return self._session.status(node)
        uid = node if isinstance(node, str) else node.uid
        if uid in self._builders:
            update([self._builders[uid]], self._workdir)
            return self._builders[uid].state
        if not self._workdir.catalog_path.exists():
            return NodeState.DECLARED
        with Catalog.open(self._workdir, read_only=True) as catalog:
            return stored_state(catalog, uid)

    def publish(self, node: Reference | str) -> Future[Any]:
        """Have a node computed, if it is not yet, and return a future for its value."""
        return self._open_session().publish(self._find(node))

    def subscribe(self, node: Reference | str) -> Iterator[Event]:
        """Return an iterator over what happens to a node; what already happened comes first."""
        return self._open_session().subscribe(self._find(node))

    def close(self) -> None:
        """End the session, if there is one; harmless when repeated."""
        if self._session is not None:
            self._session.close()
            self._session = None

    def __enter__(self) -> WorkerContext:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _find(self, node: Reference | str) -> Reference:
        if isinstance(node, Reference):
            self.add_node(node)
            return node
        if node not in self._builders:
            raise NotFound(
                f"No node {node} was added to the context of {self.working_directory}. Use add_node(node) first."
            )
        return self._builders[node].node

    def _open_session(self) -> Session:
        if self._session is None:
            self._session = Session(self._workdir.path, engine=self._engine, workers=self._workers)
        return self._session
