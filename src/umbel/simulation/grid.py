"""The Grid of a simulation: its nodes are simulated clients, its messages go to the engine."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Protocol

from umbel.app.message import SUPERLINK_NODE_ID, Error, ErrorCode, Message
from umbel.engine.exchange import Exchange
from umbel.runtime.checkpoints import Checkpoints
from umbel.runtime.recording import Recorder, RecordingGrid
from umbel.serverapp.aggregation.reduction import Reduced, Reduction
from umbel.serverapp.grid import RoundPolicy, Run

FIRST_NODE_ID = SUPERLINK_NODE_ID + 1


class Engine(Protocol):
    """Serves exchanges."""

    clientapp_seconds: float

    def submit(self, exchange: Exchange) -> None:
        """Take on an exchange; it is over when it says so."""

    def close(self) -> None:
        """End everything it started."""


class SimulationGrid(RecordingGrid):
    """Sends messages to an engine. `exchange` and `reduce` wait for it; pushed messages are served while the ServerApp continues."""

    def __init__(
        self, engine: Engine, run: Run, num_nodes: int, recorder: Recorder, checkpoints: Checkpoints | None
    ) -> None:
        """The nodes are FIRST_NODE_ID … FIRST_NODE_ID + num_nodes - 1, and always online."""
        super().__init__(run, recorder, checkpoints)
        self._engine = engine
        self._nodes = range(FIRST_NODE_ID, FIRST_NODE_ID + num_nodes)
        self._pushed: dict[str, tuple[Exchange, int]] = {}

    def get_node_ids(self) -> Sequence[int]:
        """The nodes that are online now. A simulation's are a `range`, so that a million cost no memory."""
        return self._nodes

    def push_messages(self, messages: Iterable[Message]) -> Sequence[str]:
        """Send the messages and return their ids, in order, without waiting for replies."""
        exchange = self._submit(list(messages), None, RoundPolicy())
        ids = [message.metadata.message_id for message in exchange.messages]
        self._pushed.update((id_, (exchange, index)) for index, id_ in enumerate(ids))
        self._tell_traffic()
        return ids

    def pull_messages(self, message_ids: Iterable[str]) -> Iterable[Message]:
        """See `Grid`. An id that was never pushed, or whose reply was pulled before, has none. Raises what the engine failed with."""
        replies = []
        for message_id in message_ids:
            if message_id not in self._pushed:
                continue
            exchange, index = self._pushed[message_id]
            reply = exchange.take(index)
            if reply is not None:
                del self._pushed[message_id]
                self._count_received(reply)
                replies.append(reply)
        self._tell_traffic()
        return replies

    def send_and_receive(self, messages: Iterable[Message], *, timeout: float | None = None) -> Iterable[Message]:
        """Send the messages and wait for the replies, for at most `timeout` seconds."""
        replies = self.exchange(list(messages), RoundPolicy(timeout=timeout))
        return [reply for reply in replies if not (reply.has_error() and reply.error.code == ErrorCode.TIMED_OUT)]

    def exchange(self, messages: Sequence[Message], policy: RoundPolicy) -> Iterator[Message]:
        """Send the messages and yield one reply for each, in dispatch order, as soon as the order allows."""
        exchange = self._submit(messages, None, policy)
        yield from exchange.in_order()
        self._received += exchange.received
        self._tell_traffic()

    def reduce(self, messages: Sequence[Message], reduction: Reduction, policy: RoundPolicy) -> Reduced:
        """Send the messages and fold the replies into one sum."""
        exchange = self._submit(messages, reduction, policy)
        exchange.wait()
        reduced = exchange.reduced()
        if reduced.sum is not None:
            self._received += reduced.sum.count * reduced.sum.buffer.nbytes
        self._tell_traffic()
        return reduced

    def _submit(self, messages: Sequence[Message], reduction: Reduction | None, policy: RoundPolicy) -> Exchange:
        number = self._position.advance()
        sizes: dict[int, int] = {}
        for index, message in enumerate(messages):
            message.metadata.run_id = self._run.run_id
            message.metadata.message_id = f"{number}-{index}"
            key = id(message.content)
            if key not in sizes:
                sizes[key] = sum(record.count_bytes() for record in message.content.values())
            self._sent += sizes[key]
        exchange = Exchange(number, messages, reduction, policy, self._position.needed_from)
        for index, message in enumerate(messages):
            if message.metadata.dst_node_id not in self._nodes:
                exchange.replied(index, _nobody_there(message))
        self._engine.submit(exchange)
        return exchange

    def _count_received(self, reply: Message) -> None:
        if reply.has_content():
            self._received += sum(record.count_bytes() for record in reply.content.values())

    def _tell_traffic(self) -> None:
        self._recorder.traffic(self._sent, self._received, self._engine.clientapp_seconds)


def _nobody_there(message: Message) -> Message:
    return Message(
        Error(ErrorCode.NODE_UNAVAILABLE, f"Node {message.metadata.dst_node_id} does not exist in this simulation."),
        reply_to=message,
    )
