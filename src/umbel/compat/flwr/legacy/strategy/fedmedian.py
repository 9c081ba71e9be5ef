"""FedMedian: the coordinate-wise median."""

from __future__ import annotations

from umbel.compat.flwr.legacy.strategy.aggregate import Results, aggregate_median
from umbel.compat.flwr.legacy.strategy.fedavg import FedAvg
from umbel.compat.flwr.legacy.typing import NDArrays

__all__ = ["FedMedian"]


class FedMedian(FedAvg):
    """The median of each element over the clients, unweighted (Yin et al. 2018, arXiv 1803.01498)."""

    def combine(self, server_round: int, results: Results) -> NDArrays:
        """See FedAvg."""
        return aggregate_median(results)
