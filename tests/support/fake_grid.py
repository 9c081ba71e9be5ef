"""A Grid in memory that calls a ClientApp directly, and a checkpoint store whose process dies when told to."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from tests.support.clients import Client
from umbel.app import Array, ArrayRecord, Context, Error, ErrorCode, Message, RecordDict
from umbel.app.safetensors import Part
from umbel.serverapp import Grid, RoundPolicy, Run
from umbel.serverapp.aggregation.reduction import Fold, Reduced, Reduction
from umbel.serverapp.aggregation.weighted_sum import subtree


class Killed(BaseException):
    """The ServerApp's process died here."""


class FakeCheckpoints:
    """Keeps the newest checkpoint; the process dies once it has saved that of round `die_after`."""

    def __init__(self, data: bytes | None = None, die_after: int | None = None) -> None:
        """`data` is the checkpoint of an earlier attempt."""
        self.data = data
        self.newest = data
        self.gone_on = False
        self._die_after = die_after

    def load(self) -> memoryview | None:
        return None if self.data is None else memoryview(self.data)

    def resumed(self) -> None:
        self.gone_on = True

    def save(self, server_round: int, parts: Sequence[Part]) -> None:
        self.newest = b"".join(parts)
        if server_round == self._die_after:
            raise Killed


class FakeGrid(Grid):
    """Calls `client` for each message, in reverse order; what it raises becomes an error reply.

    Each client gets a copy of the content, as if it had travelled. `silent` nodes never reply.
    """

    def __init__(
        self,
        client: Client,
        nodes: Sequence[int] = range(2, 6),
        *,
        seed: int = 7,
        checkpoints: FakeCheckpoints | None = None,
        silent: Iterable[int] = (),
    ) -> None:
        """Node i has the partition-id i - 2."""
        self._client = client
        self._nodes = nodes
        self._run = Run(run_id=1, seed=seed)
        self._checkpoints = checkpoints
        self._silent = set(silent)
        self._contexts = {node: Context(1, node, {"partition-id": node - 2}) for node in nodes}
        self.asked: list[tuple[str, list[int]]] = []
        self.policies: list[RoundPolicy] = []
        self.reduced = 0
        self.events: list[tuple[str, dict[str, object]]] = []
        self.metrics: list[tuple[int, str, dict[str, float], int | None]] = []
        self.artifacts: dict[str, tuple[bytes, int | None]] = {}

    @property
    def run(self) -> Run:
        return self._run

    def get_node_ids(self) -> Sequence[int]:
        return self._nodes

    def push_messages(self, messages: Iterable[Message]) -> Sequence[str]:
        """Not needed here."""
        raise NotImplementedError

    def pull_messages(self, message_ids: Iterable[str]) -> Iterable[Message]:
        """Not needed here."""
        raise NotImplementedError

    def send_and_receive(self, messages: Iterable[Message], *, timeout: float | None = None) -> Iterable[Message]:
        return [self._reply(message) for message in reversed(list(messages)) if self._speaks(message)]

    def _speaks(self, message: Message) -> bool:
        return message.metadata.dst_node_id not in self._silent

    def _reply(self, message: Message) -> Message:
        travelled = Message.from_parts(message.metadata, copied(message.content))
        try:
            return self._client(travelled, self._contexts[message.metadata.dst_node_id])
        except Exception as error:  # noqa: BLE001 - what the engine does
            return Message(Error(ErrorCode.CLIENT_APP_RAISED_EXCEPTION, repr(error)), reply_to=message)

    def exchange(self, messages: Sequence[Message], policy: RoundPolicy) -> Iterator[Message]:
        """See Grid; notes who was asked for what."""
        self.asked.append((messages[0].metadata.message_type, [message.metadata.dst_node_id for message in messages]))
        self.policies.append(policy)
        return super().exchange(messages, policy)

    def reduce(self, messages: Sequence[Message], reduction: Reduction, policy: RoundPolicy) -> Reduced:
        """See Grid; counts its calls."""
        self.reduced += 1
        return super().reduce(messages, reduction, policy)

    @property
    def checkpoints(self) -> FakeCheckpoints | None:
        return self._checkpoints

    def report(self, kind: str, data: Mapping[str, object]) -> None:
        self.events.append((kind, dict(data)))

    def report_metrics(
        self, server_round: int, phase: str, metrics: Mapping[str, float], node_id: int | None = None
    ) -> None:
        self.metrics.append((server_round, phase, dict(metrics), node_id))

    def save_artifact(self, name: str, parts: Sequence[Part], server_round: int | None = None) -> None:
        self.artifacts[name] = (b"".join(parts), server_round)

    def told(self, kind: str) -> list[dict[str, object]]:
        """The data of all events of a kind."""
        return [data for told, data in self.events if told == kind]


class WorkersGrid(FakeGrid):
    """Folds as a simulation does: workers sum aligned subtrees of up to 2^`largest` clients, which arrive in any order."""

    largest = 2

    def reduce(self, messages: Sequence[Message], reduction: Reduction, policy: RoundPolicy) -> Reduced:
        self.reduced += 1
        replies = list(self.exchange(messages, policy))
        units = []
        index = 0
        while index < len(replies):
            level = subtree(index, len(replies) - index, self.largest)
            worker = Fold(reduction)
            for leaf in range(index, index + (1 << level)):
                worker.add(leaf, replies[leaf], messages[leaf].content)
            units.append(worker.parts())
            index += 1 << level
        whole = Fold(reduction)
        for unit in reversed(units):
            whole.merge(*unit)
        return whole.result()


def copied(content: RecordDict) -> RecordDict:
    """A copy of the content with separate arrays and configurations."""
    copy = RecordDict()
    for key, record in content.items():
        copy[key] = copied_arrays(record) if isinstance(record, ArrayRecord) else record.copy()
    return copy


def copied_arrays(arrays: ArrayRecord) -> ArrayRecord:
    """A copy of the arrays in separate memory."""
    return ArrayRecord({name: Array.from_storage(array.dtype, array.storage.copy()) for name, array in arrays.items()})
