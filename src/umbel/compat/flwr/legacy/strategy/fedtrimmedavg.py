"""FedTrimmedAvg: the coordinate-wise trimmed mean."""

from __future__ import annotations

from typing import Any

from umbel.compat.flwr.legacy.strategy.aggregate import Results, aggregate_trimmed_avg
from umbel.compat.flwr.legacy.strategy.fedavg import FedAvg
from umbel.compat.flwr.legacy.typing import NDArrays

__all__ = ["FedTrimmedAvg"]


class FedTrimmedAvg(FedAvg):
    """The mean of each element without the ⌊β n⌋ least and largest values, unweighted (Yin et al. 2018, arXiv 1803.01498)."""

    def __init__(self, *, beta: float = 0.2, **kwargs: Any) -> None:
        """β in [0, 0.5), and what FedAvg takes. Raises ValueError."""
        super().__init__(**kwargs)
        if not 0 <= beta < 0.5:
            raise ValueError(f"`beta` must be in [0, 0.5), not {beta}.")
        self.beta = beta

    def combine(self, server_round: int, results: Results) -> NDArrays:
        """See FedAvg."""
        return aggregate_trimmed_avg(results, self.beta)
