"""ServerStep: what FedAvg's server-side descendants share."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from umbel.app.array import Array
from umbel.app.arrayrecord import ArrayRecord
from umbel.app.configrecord import ConfigRecord
from umbel.app.elements import Floats, as_array, floats, is_inexact, narrowed
from umbel.app.message import Message
from umbel.app.recorddict import RecordDict
from umbel.errors import AggregationFailed, InconsistentReplies
from umbel.serverapp.grid import Grid
from umbel.serverapp.reduction import Reduced
from umbel.serverapp.strategy.fedavg import FedAvg
from umbel.serverapp.strategy.strategy import Trained

Memory = dict[str, Floats]
"""Numbers that a strategy remembers for each element of some tensors, by the tensor's name."""


@dataclass(eq=False)
class ServerStep(FedAvg):
    """FedAvg whose server does not take over the mean, but makes a step of its own from the arrays w it had sent.

    A subclass says in `step` what becomes of a tensor w, given Δ = mean - w. Tensors of whole numbers or booleans are not stepped:
    they take the rounded mean. Everything is reckoned in float32, for float64 tensors in float64.
    """

    def __post_init__(self) -> None:
        """Check the settings. Raises ConfigError."""
        super().__post_init__()
        self._sent: ArrayRecord | None = None

    @abstractmethod
    def step(self, server_round: int, name: str, current: Floats, delta: Floats) -> Floats:
        """The new elements of the tensor `name`, from what was sent and how far the mean is from it; all of one shape [elements]."""

    def configure_train(
        self, server_round: int, arrays: ArrayRecord, config: ConfigRecord, grid: Grid
    ) -> Iterable[Message]:
        """As FedAvg; the arrays are remembered for the step."""
        self._sent = arrays
        return super().configure_train(server_round, arrays, config, grid)

    def aggregate_reduced(self, server_round: int, reduced: Reduced) -> Trained:
        """The arrays after the step, and the weighted means of the metrics; None and None when no reply was usable."""
        mean, metrics = super().aggregate_reduced(server_round, reduced)
        return None if mean is None else self.stepped(server_round, mean), metrics

    def stepped(self, server_round: int, mean: ArrayRecord) -> ArrayRecord:
        """The arrays after the step towards `mean`. Raises InconsistentReplies when it has other tensors than were sent."""
        sent = self.sent(mean)
        return ArrayRecord(
            {name: self._tensor(server_round, name, sent[name], mean[name]) for name in sent},
        )

    def sent(self, like: ArrayRecord) -> ArrayRecord:
        """The arrays that this round began with. Raises InconsistentReplies when they do not have the schema of `like`."""
        if self._sent is None:
            raise AggregationFailed(
                f"{type(self).__name__} steps from the arrays it has sent, and has sent none.",
                hint="Call configure_train before aggregate_train; Strategy.start does.",
            )
        if self._sent.schema() != like.schema():
            raise InconsistentReplies(
                f"The clients' arrays are not those that {type(self).__name__} has sent: names, types or shapes differ.",
                hint="Have the clients return every tensor they were sent, of the same type and shape and in the same order.",
            )
        return self._sent

    def _tensor(self, server_round: int, name: str, sent: Array, mean: Array) -> Array:
        if not is_inexact(sent):
            return mean
        current = floats(sent)
        new = self.step(server_round, name, current, floats(mean) - current)
        return as_array(narrowed(sent.dtype, new), sent)


def zeros(memory: Memory, name: str, like: Floats) -> Floats:
    """What is remembered under `name`, zeros of the form of `like` at first; to be changed in place."""
    return memory.setdefault(name, np.zeros_like(like))


def remembered(**memories: Memory) -> RecordDict:
    """The memories as a strategy's state, by name."""
    records = {key: ArrayRecord({n: Array(v) for n, v in memory.items()}) for key, memory in memories.items()}
    return RecordDict(dict(records))


def recalled(state: RecordDict, name: str) -> Memory:
    """The memory that `remembered` kept under `name`."""
    return {key: array.numpy() for key, array in state.array_records[name].items()}
