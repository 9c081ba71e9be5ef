"""Controlled: what the strategies share whose clients remember something from round to round."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from umbel.app.arrayrecord import ArrayRecord
from umbel.app.configrecord import ConfigRecord
from umbel.app.message import Message
from umbel.errors import ConfigError
from umbel.serverapp.grid import Grid
from umbel.serverapp.reduction import Reduced
from umbel.serverapp.strategy.serverstep import ServerStep
from umbel.serverapp.strategy.strategy import Trained


@dataclass(eq=False)
class Controlled(ServerStep):
    """A ServerStep that knows which share of all clients has replied. The mean is unweighted."""

    num_clients: int | None = None
    """N, all clients that may ever take part, 1 or more. None: the nodes that are online when a round begins."""

    def __post_init__(self) -> None:
        """Check the settings. Raises ConfigError."""
        super().__post_init__()
        if self.num_clients is not None and self.num_clients < 1:
            raise ConfigError(f"num_clients must be 1 or more, not {self.num_clients}.")
        self._online = 1
        self._share = 1.0

    @property
    def share(self) -> float:
        """The share of all clients that replied in this round: n / N."""
        return self._share

    def configure_train(
        self, server_round: int, arrays: ArrayRecord, config: ConfigRecord, grid: Grid
    ) -> Iterable[Message]:
        """As FedAvg; the online nodes are counted."""
        messages = super().configure_train(server_round, arrays, config, grid)
        self._online = len(grid.get_node_ids())
        return messages

    def aggregate_reduced(self, server_round: int, reduced: Reduced) -> Trained:
        """See `ServerStep.aggregate_reduced`."""
        replied = 0 if reduced.sum is None else reduced.sum.count
        self._share = min(1.0, replied / (self.num_clients or self._online))
        return super().aggregate_reduced(server_round, reduced)
