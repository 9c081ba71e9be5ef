"""QFedAvg: averaging that attends more to the clients that fare worse."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np

from umbel.app.arrayrecord import ArrayRecord
from umbel.app.message import Message
from umbel.app.recorddict import RecordDict
from umbel.app.records import Floats, MetricRecord, is_inexact
from umbel.errors import AggregationFailed, ConfigError
from umbel.serverapp.aggregation.reduction import WeightedMean, single_record
from umbel.serverapp.aggregation.replies import mean_of, models
from umbel.serverapp.strategy.robust import float_blocks
from umbel.serverapp.strategy.server_optimizers import ServerOptimizer
from umbel.serverapp.strategy.strategy import Trained

_LEAST_LOSS = 1e-10  # a loss of 0 has no power below 0


@dataclass(frozen=True)
class WithLoss(WeightedMean):
    """As WeightedMean; the reply must also hold its training loss, finite and not negative."""

    train_loss_key: str = "train_loss"

    def weigh(self, content: RecordDict) -> tuple[ArrayRecord, float]:
        """The model in a reply and its weight, finite and not negative."""
        loss_of(content, self.train_loss_key)
        return super().weigh(content)


@dataclass(eq=False)
class QFedAvg(ServerOptimizer):
    """q-FedAvg (Li et al. 2019, "Fair Resource Allocation in Federated Learning", arXiv 1905.10497, Algorithm 2).

    It minimises Σ_k F_k^(q+1) / (q+1) instead of the mean of the clients' losses F_k, so that clients that fare worse count for more and the
    losses come nearer to each other. With the arrays w that were sent, w_k those in the reply of client k, F_k its loss on w (taken before
    it trains) and L = 1 / `client_learning_rate`,

        Δ_k = F_k^q · L (w - w_k)
        h_k = q F_k^(q-1) · ‖L (w - w_k)‖² + L F_k^q
        w ← w - Σ_k Δ_k / Σ_k h_k

    With q = 0 it is the unweighted mean; the larger q, the more uniform the losses and the slower it learns. A client that
    claims a huge loss takes the model over: it is fair to the unlucky and robust against no one.

    It needs all replies at once. Numbers of examples weigh the metrics only.
    """

    client_learning_rate: float = field(kw_only=True)
    """The learning rate that the clients train with, above 0; 1 / L."""
    q: float = 0.1
    """q, 0 or more."""
    train_loss_key: str = "train_loss"
    """The metric in a reply that is F_k, finite and not negative."""

    def __post_init__(self) -> None:
        """Check the settings. Raises ConfigError."""
        super().__post_init__()
        if not 0 < self.client_learning_rate < float("inf"):
            raise ConfigError(f"client_learning_rate must be greater than 0, not {self.client_learning_rate}.")
        if not 0 <= self.q < float("inf"):
            raise ConfigError(f"q must be at least 0, not {self.q}.")
        self._pace = 1.0

    def aggregate_train(self, server_round: int, replies: Iterable[Message]) -> Trained:
        """The arrays after the fair step, and the weighted means of the metrics; None and None when no reply was usable."""
        arrays, kept = models(WithLoss(self.weighted_by_key, self.train_loss_key), replies)
        usable = self.usable_replies(kept)
        if not usable:
            return None, None
        losses = [loss_of(reply.content or RecordDict(), self.train_loss_key) for reply in usable]
        try:
            powers = [float(loss**self.q) for loss in losses]
            mean = mean_of(arrays, powers)
            self._pace = self._pace_of(arrays, losses, powers, self.sent(mean))
        except (ValueError, ArithmeticError) as error:
            raise AggregationFailed(
                f"Round {server_round}: the losses raised to q = {self.q} overflow or underflow.",
                hint="Choose a smaller q, or have the clients report a loss closer to 1.",
            ) from error
        return self.stepped(server_round, mean), self.aggregate_metrics(usable, self.train_metrics_aggr_fn)

    def _pace_of(
        self, arrays: Sequence[ArrayRecord], losses: Sequence[float], powers: Sequence[float], sent: ArrayRecord
    ) -> float:
        """Σ_k F_k^q L / Σ_k h_k: the step is that share of the way to the mean of the w_k weighted with F_k^q."""
        rate = 1 / self.client_learning_rate
        lengths = [rate**2 * length for length in squared_moves(sent, arrays)]
        h = [
            self.q * loss ** (self.q - 1) * length + rate * power
            for loss, length, power in zip(losses, lengths, powers, strict=True)
        ]
        return float(rate * sum(powers) / sum(h))

    def step(self, server_round: int, name: str, current: Floats, delta: Floats) -> Floats:
        """The new elements of the tensor `name`, from what was sent and how far the mean is from it."""
        return current + self._pace * delta


def squared_moves(sent: ArrayRecord, arrays: Sequence[ArrayRecord]) -> list[float]:
    """‖w - w_k‖² for each of the models, over the tensors that are stepped."""
    total = np.zeros(len(arrays))
    for block in float_blocks([_stepped(model) for model in (sent, *arrays)]):
        values = block.astype(np.float64, copy=False)
        total += np.square(values[1:] - values[0]).sum(axis=1)
    return list(total.tolist())


def _stepped(model: ArrayRecord) -> ArrayRecord:
    return ArrayRecord({name: array for name, array in model.items() if is_inexact(array)})


def loss_of(content: RecordDict, key: str) -> float:
    """The loss in a reply's one MetricRecord. Raises ValueError unless it is a number, finite and not negative."""
    loss = single_record(content, MetricRecord).get(key)
    if not isinstance(loss, (int, float)) or not 0 <= loss <= sys.float_info.max:
        raise ValueError(f"Its training loss {key!r} is {loss}: it must be a finite, non-negative number.")
    return max(float(loss), _LEAST_LOSS)
