"""FedXgbCyclic: a model that goes from client to client."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from umbel.app.arrayrecord import ArrayRecord
from umbel.app.message import Message
from umbel.errors import ConfigError
from umbel.serverapp.grid import Grid
from umbel.serverapp.reduction import Reply, malformed, the_one, weight_of, without_arrays
from umbel.serverapp.strategy import xgbmodel
from umbel.serverapp.strategy.fedavg import FedAvg
from umbel.serverapp.strategy.strategy import Trained


@dataclass(eq=False)
class FedXgbCyclic(FedAvg):
    """Cyclic training of an XGBoost model: one client in each round, in turn, goes on from what the one before it made.

        F ← F_k        where k is the ((t - 1) mod n)-th of the n online nodes, in the order of their ids, in round t

    Model and replies are the bytes of `booster.save_raw("json")` as the only array of uint8; before the first round it is
    empty. Unlike in FedXgbBagging the client replies the whole model. Nothing is averaged: the outcome depends on the order of the clients,
    the last ones count for more, and one malicious client can replace the model. A client that fails, or whose reply is no
    model, is left out: the model stays, and the next round goes on with the next client.
    """

    min_train_nodes: int = field(init=False, default=1)
    min_evaluate_nodes: int = field(init=False, default=1)

    def __post_init__(self) -> None:
        """Check the settings. Raises ConfigError."""
        super().__post_init__()
        for name in ("fraction_train", "fraction_evaluate"):
            if getattr(self, name) not in {0.0, 1.0}:
                raise ConfigError(f"{name} must be 0.0 or 1.0 where clients take turns, not {getattr(self, name)}.")

    def _sample(self, grid: Grid, server_round: int, phase: str, fraction: float, at_least: int) -> list[int]:
        if fraction == 0:
            return []
        nodes = sorted(grid.wait_for_nodes(self.min_available_nodes, self.wait_for_nodes_timeout))
        return [nodes[(server_round - 1) % len(nodes)]]

    def aggregate_train(self, server_round: int, replies: Iterable[Message]) -> Trained:
        """The model and the metrics of the round's client; None and None when it has none."""
        (message,) = replies
        reply = self._checked(message)
        usable = self._usable([reply])
        if not usable:
            return None, None
        return the_one(message.content, ArrayRecord), self._metrics(usable, self.train_metrics_aggr_fn)

    def _checked(self, message: Message) -> Reply:
        node_id = message.metadata.src_node_id
        if message.has_error():
            return Reply(node_id, error=message.error)
        try:
            weight_of(message.content, self.weighted_by_key)
            xgbmodel.trained(the_one(message.content, ArrayRecord))
        except ValueError as reason:
            return malformed(node_id, str(reason))
        return Reply(node_id, content=without_arrays(message.content))
