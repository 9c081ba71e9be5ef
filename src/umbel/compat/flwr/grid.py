"""Grid with the interface that apps written for Flower expect."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from types import SimpleNamespace

from umbel.app.message import Message
from umbel.app.recorddict import RecordDict
from umbel.app.safetensors import Part
from umbel.compat.flwr import records
from umbel.serverapp import grid
from umbel.serverapp.aggregation.reduction import Reduced, Reduction
from umbel.serverapp.grid import CheckpointStore, RoundPolicy, Run


class Grid(grid.Grid):
    """A Grid that returns lists and has Flower's earlier methods."""

    def __init__(self, inner: grid.Grid) -> None:
        """Delegate to `inner`."""
        self._inner = inner

    # What apps call

    @property
    def run(self) -> Run:
        """The run of this grid."""
        return self._inner.run

    def set_run(self, run: object) -> None:
        """Does nothing: a Grid belongs to one run."""

    def create_message(
        self, content: RecordDict, message_type: str, dst_node_id: int, group_id: str, ttl: float | None = None
    ) -> records.Message:
        """Equivalent to `Message(content, dst_node_id, message_type, group_id=group_id, ttl=ttl)`."""
        return records.Message(content, dst_node_id, message_type, group_id=group_id, ttl=ttl)

    def get_node_ids(self) -> list[int]:
        """The IDs of the nodes that are online."""
        return list(self._inner.get_node_ids())

    def get_nodes(self) -> Iterator[SimpleNamespace]:
        """The nodes that are online, each with its `node_id`."""
        return (SimpleNamespace(node_id=node_id) for node_id in self.get_node_ids())

    def push_messages(self, messages: Iterable[Message]) -> list[str]:
        """Send the messages and return their ids, in order, without waiting for replies."""
        return list(self._inner.push_messages(messages))

    def pull_messages(self, message_ids: Iterable[str]) -> list[Message]:
        """The replies to these messages that have arrived since the last call. Does not wait."""
        return [records.adopt(reply) for reply in self._inner.pull_messages(message_ids)]

    def send_and_receive(self, messages: Iterable[Message], *, timeout: float | None = None) -> list[Message]:
        """Send the messages and wait for the replies, for at most `timeout` seconds."""
        return [records.adopt(reply) for reply in self._inner.send_and_receive(messages, timeout=timeout)]

    # What strategies call

    def exchange(self, messages: Sequence[Message], policy: RoundPolicy) -> Iterator[Message]:
        """Send the messages and yield one reply for each, in dispatch order, as soon as the order allows."""
        return map(records.adopt, self._inner.exchange(messages, policy))

    def reduce(self, messages: Sequence[Message], reduction: Reduction, policy: RoundPolicy) -> Reduced:
        """Send the messages and fold the replies into one sum."""
        return self._inner.reduce(messages, reduction, policy)

    def wait_for_nodes(self, at_least: int, timeout: float | None = None) -> Sequence[int]:
        """The IDs of the online nodes once there are `at_least` of them. Raises NotEnoughNodes after `timeout` seconds."""
        return self._inner.wait_for_nodes(at_least, timeout)

    @property
    def checkpoints(self) -> CheckpointStore | None:
        """Where `Strategy.start` keeps its checkpoints; None when this grid keeps none."""
        return self._inner.checkpoints

    def report(self, kind: str, data: Mapping[str, object]) -> None:
        """Report an event of the run; `umbel.wire.api.Event` documents kinds and data."""
        self._inner.report(kind, data)

    def report_metrics(
        self, server_round: int, phase: str, metrics: Mapping[str, float], node_id: int | None = None
    ) -> None:
        """Record numbers of a round. `phase` is train, evaluate or server; `node_id` None means an aggregate."""
        self._inner.report_metrics(server_round, phase, metrics, node_id)

    def save_artifact(self, name: str, parts: Sequence[Part], server_round: int | None = None) -> None:
        """Keep a named result of the run, e.g. "model.safetensors", whose bytes are `parts` one after another."""
        self._inner.save_artifact(name, parts, server_round)
