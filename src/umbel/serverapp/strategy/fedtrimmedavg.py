"""FedTrimmedAvg: the coordinate-wise trimmed mean of what the clients trained."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from umbel.app.elements import Floats
from umbel.app.message import Message
from umbel.errors import ConfigError
from umbel.serverapp.strategy.coordinates import by_coordinate
from umbel.serverapp.strategy.fedavg import FedAvg
from umbel.serverapp.strategy.replies import models
from umbel.serverapp.strategy.strategy import Trained


@dataclass(eq=False)
class FedTrimmedAvg(FedAvg):
    """The coordinate-wise trimmed mean (Yin et al. 2018, arXiv 1803.01498, Definition 2).

    Of the n values of each element the ⌊β n⌋ largest and the ⌊β n⌋ smallest are left out; the new element is the mean of the others,
    unweighted. As long as no more than ⌊β n⌋ replies are malicious, each element lies between the least and the largest that an honest
    client sent. With more, or against many small lies in concert, it protects no more than that range does. It needs all
    replies at once: as much memory as all the models. Metrics are averaged as in FedAvg.
    """

    beta: float = 0.2
    """β, in [0, 0.5): the share that is left out at each end."""

    def __post_init__(self) -> None:
        """Check the settings. Raises ConfigError."""
        super().__post_init__()
        if not 0 <= self.beta < 0.5:
            raise ConfigError(
                f"beta must be in [0, 0.5), not {self.beta}: that share of the replies is left out at each end."
            )

    def aggregate_train(self, server_round: int, replies: Iterable[Message]) -> Trained:
        """The trimmed mean of the usable replies; None and None when there is none."""
        arrays, kept = models(self.train_reduction(), replies)
        usable = self._usable(kept)
        if not usable:
            return None, None
        cut = int(self.beta * len(arrays) + 1e-9)  # 0.29 · 100 is a little below 29
        trimmed = by_coordinate(arrays, lambda values: trimmed_mean(values, cut))
        return trimmed, self._metrics(usable, self.train_metrics_aggr_fn)


def trimmed_mean(values: Floats, cut: int) -> Floats:
    """The mean of each column of `values` without its `cut` least and largest; more than 2·`cut` rows. Sorts `values`.

    It is between the least and the largest value that is kept, whatever the rounding.
    """
    values.sort(axis=0)
    kept = values[cut : len(values) - cut]
    return np.asarray(np.clip(kept.mean(axis=0), kept[0], kept[-1]) + 0.0)  # no -0: whether it comes first is chance
