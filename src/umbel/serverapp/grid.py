"""The Grid: messages from a ServerApp to its clients, and their replies."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from umbel.app.message import Error, ErrorCode, Message, failure
from umbel.app.safetensors import Part
from umbel.errors import NotEnoughNodes
from umbel.serverapp.aggregation.reduction import Reduced, Reduction, fold


class CheckpointStore(Protocol):
    """Keeps the newest checkpoint of a run. A checkpoint is one safetensors file."""

    def load(self) -> memoryview | None:
        """The newest checkpoint kept by an earlier attempt of this run, None when there is none."""

    def resumed(self) -> None:
        """Resume from the loaded checkpoint: the Grid's exchanges continue from there as well."""

    def save(self, server_round: int, parts: Sequence[Part]) -> None:
        """Keep this checkpoint instead of the one before. May return before it is durable; a newer one may replace it on the way."""


@dataclass(frozen=True)
class Run:
    """The run a Grid works for. `seed` makes sampling repeatable."""

    run_id: int
    seed: int = 0


@dataclass(frozen=True)
class RoundPolicy:
    """How long a round waits for replies.

    It ends when all have replied; or after `deadline` seconds, once at least `quorum` have replied without an error; or after `timeout`
    seconds in any case. None means no limit (of time), or that all must reply (quorum).
    """

    timeout: float | None = None
    deadline: float | None = None
    quorum: int | None = None


class Grid(ABC):
    """Sends messages to nodes and brings back their replies.

    A node's failure is a reply with an error, never an exception.
    """

    starts = 0  # how many times a strategy was started on this grid: tells the checkpoints of an app's strategies apart

    @property
    @abstractmethod
    def run(self) -> Run:
        """The run this grid works for."""

    @abstractmethod
    def get_node_ids(self) -> Sequence[int]:
        """The nodes that are online now. A simulation's are a `range`, so that a million cost no memory."""

    @abstractmethod
    def push_messages(self, messages: Iterable[Message]) -> Sequence[str]:
        """Send the messages and return their ids, in order, without waiting for replies."""

    @abstractmethod
    def pull_messages(self, message_ids: Iterable[str]) -> Iterable[Message]:
        """The replies that have arrived to these messages, each handed out once. Does not wait."""

    @abstractmethod
    def send_and_receive(self, messages: Iterable[Message], *, timeout: float | None = None) -> Iterable[Message]:
        """Send the messages and wait for the replies, for at most `timeout` seconds; late ones are missing in the answer."""

    # What follows has a default here, so that a Grid of five methods is complete.

    def exchange(self, messages: Sequence[Message], policy: RoundPolicy) -> Iterator[Message]:
        """Send the messages and yield one reply for each, in dispatch order, as soon as the order allows.

        A message that has no reply when `policy` ends the round gets an error reply (ErrorCode.TIMED_OUT). So the i-th reply
        answers the i-th message, and the replies can be folded one by one.
        """
        arrived: dict[int, list[Message]] = {}
        for reply in self.send_and_receive(messages, timeout=policy.timeout):
            arrived.setdefault(reply.metadata.src_node_id, []).append(reply)
        for message in messages:
            replies = arrived.get(message.metadata.dst_node_id)
            yield replies.pop(0) if replies else late(message)

    def reduce(self, messages: Sequence[Message], reduction: Reduction, policy: RoundPolicy) -> Reduced:
        """Send the messages and fold the replies into one sum.

        A simulation folds in its workers. The result has the same bits wherever it was folded.
        """
        return fold(reduction, self.exchange(messages, policy), [message.content for message in messages])

    def wait_for_nodes(self, at_least: int, timeout: float | None = None) -> Sequence[int]:
        """The IDs of the online nodes once there are `at_least` of them. Raises NotEnoughNodes after `timeout` seconds."""
        nodes = self.get_node_ids()
        if len(nodes) < at_least:
            raise NotEnoughNodes(
                f"{at_least} nodes are required, but only {len(nodes)} exist.",
                hint="Lower the strategy's min_available_nodes or fractions, or use more nodes (`num-supernodes` in a simulation).",
            )
        return nodes

    @property
    def checkpoints(self) -> CheckpointStore | None:
        """Where `Strategy.start` keeps its checkpoints; None when this grid keeps none."""
        return None

    def report(self, kind: str, data: Mapping[str, object]) -> None:
        """Report an event of the run; `umbel.wire.api.Event` documents kinds and data."""

    def report_metrics(
        self, server_round: int, phase: str, metrics: Mapping[str, float], node_id: int | None = None
    ) -> None:
        """Record numbers of a round. `phase` is train, evaluate or server; `node_id` None means an aggregate."""

    def save_artifact(self, name: str, parts: Sequence[Part], server_round: int | None = None) -> None:
        """Keep a named result of the run, e.g. "model.safetensors", whose bytes are `parts` one after another."""


def late(message: Message) -> Message:
    """The error reply that stands for one that did not come in time."""
    return failure(message, Error(ErrorCode.TIMED_OUT, "No reply arrived before the round's deadline."))
