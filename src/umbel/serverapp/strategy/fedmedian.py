"""FedMedian: the coordinate-wise median of what the clients trained."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from umbel.app.message import Message
from umbel.serverapp.strategy.fedavg import FedAvg
from umbel.serverapp.strategy.median import coordinate_median
from umbel.serverapp.strategy.replies import models
from umbel.serverapp.strategy.strategy import Trained


@dataclass(eq=False)
class FedMedian(FedAvg):
    """The coordinate-wise median (Yin et al. 2018, arXiv 1803.01498), which fewer than half of the clients cannot move at will.

    Each element of the new arrays is the median of that element over the replies, unweighted. It needs all replies at once:
    as much memory as all the models. Metrics are averaged as in FedAvg.
    """

    def aggregate_train(self, server_round: int, replies: Iterable[Message]) -> Trained:
        """The median of the usable replies; None and None when there is none."""
        arrays, kept = models(self.train_reduction(), replies)
        usable = self._usable(kept)
        if not usable:
            return None, None
        return coordinate_median(arrays), self._metrics(usable, self.train_metrics_aggr_fn)
