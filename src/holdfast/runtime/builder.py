"""Take nodes into a context: a builder for each, and the director, who has them go through the same steps in the same order.

The steps: is the node there already? What is stored of it? That sets its state. Which nodes does it need? Then it is ready to be asked
for. Reads the catalog, with one query for all nodes; runs and writes nothing.

State: of a builder, where its node stands and what it needs.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from holdfast.errors import HoldfastError
from holdfast.model.control import LOOPS
from holdfast.model.datatype import DataNode
from holdfast.model.fingerprint import call_key, call_prefix
from holdfast.model.lifecycle import NodeState
from holdfast.model.listing import ordered_nodes
from holdfast.model.node import Node
from holdfast.model.reference import Part, Reference, references
from holdfast.runtime.contents import Contents
from holdfast.runtime.expansion import needed
from holdfast.runtime.rounds import rounds_key
from holdfast.storage.catalog import Catalog
from holdfast.storage.checkpoint import CheckpointFacility
from holdfast.storage.workdir import WorkDirectory


class NodeBuilder:
    """A node on its way into a context.

    Attributes
    ----------
    node : Reference
    state : NodeState
        `DONE` if its result is stored, `FAILED` if the last attempt failed, `SUSPENDED` if it is a loop of which rounds are stored or
        an operation that kept a checkpoint, else `DECLARED`.
    needs : tuple of str
        Uids of the nodes that must be computed first.
    """

    __slots__ = ("needs", "node", "state")

    def __init__(self, node: Reference) -> None:
        self.node = node
        self.state = NodeState.DONE if isinstance(node, DataNode) else NodeState.DECLARED
        self.needs: tuple[str, ...] = ()

    def receive(self, state: NodeState) -> None:
        """Take the state that what is stored puts the node in."""
        self.state = state

    def subscribe(self) -> None:
        """Note which nodes are needed."""
        if isinstance(self.node, Node):
            self.needs = tuple(
                dict.fromkeys(
                    reference.uid
                    for item in needed(self.node).values()
                    for reference in references(item)
                    if not isinstance(_source(reference), DataNode)
                )
            )


class StoredStates:
    """What a catalog knows of nodes: the checkpoint that builders are updated from."""

    def __init__(self, workdir: WorkDirectory, catalog: Catalog) -> None:
        self._workdir = workdir
        self._catalog = catalog
        self._contents = Contents(workdir, catalog, shares_memory=True, store_type="numpy")

    def load(self, receivers: Sequence[NodeBuilder]) -> None:
        """Apply what is stored to each receiver."""
        keys = [bytes.fromhex(receiver.node.uid) for receiver in receivers]
        done, failed = self._catalog.find_call_keys(keys), self._catalog.find_failures(keys)
        for receiver, key in zip(receivers, keys, strict=True):
            if key in done:
                receiver.receive(NodeState.DONE)
            elif key in failed:
                receiver.receive(NodeState.FAILED)
            elif isinstance(receiver.node, Node) and self._is_begun(receiver.node):
                receiver.receive(NodeState.SUSPENDED)

    def _is_begun(self, node: Node) -> bool:
        try:
            if node.scope in LOOPS:
                return self._catalog.last_round(rounds_key(node, self._contents)) is not None
            return bool(getattr(node.code, "checkpoint", "")) and self._has_checkpoint(node)
        except (HoldfastError, KeyError):  # what it begins with is not computed
            return False

    def _has_checkpoint(self, node: Node) -> bool:
        key = call_key(call_prefix(node.scope, node.depends), self._contents.text_of(needed(node), {}))
        return CheckpointFacility(self._workdir.path, key.hex()).has_state()


def direct(wanted: Iterable[Reference], known: Mapping[str, NodeBuilder], workdir: WorkDirectory) -> list[NodeBuilder]:
    """Return builders, ready, for what is wanted and all that it needs and that is not known yet; needed nodes first."""
    builders = {
        node.uid: NodeBuilder(node)
        for reference in wanted
        for node in (*ordered_nodes(reference, known), _source(reference))
        if node.uid not in known
    }
    made = list(builders.values())
    update(made, workdir)
    for builder in made:
        builder.subscribe()
    return made


def update(builders: Iterable[NodeBuilder], workdir: WorkDirectory) -> None:
    """Have what is stored update builders of nodes that are not done."""
    receivers = [builder for builder in builders if builder.state is not NodeState.DONE]
    if receivers and workdir.catalog_path.exists():
        with Catalog.open(workdir, read_only=True) as catalog:
            StoredStates(workdir, catalog).load(receivers)


def _source(reference: Reference) -> Reference:
    return reference.source if isinstance(reference, Part) else reference
