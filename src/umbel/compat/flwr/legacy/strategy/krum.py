"""Krum and Multi-Krum."""

from __future__ import annotations

from typing import Any

from umbel.compat.flwr.legacy.strategy.aggregate import Results, aggregate_krum
from umbel.compat.flwr.legacy.strategy.fedavg import FedAvg
from umbel.compat.flwr.legacy.typing import NDArrays

__all__ = ["Krum"]


class Krum(FedAvg):
    """The model that has the nearest neighbours (Blanchard et al. 2017, arXiv 1703.02757).

    With `num_clients_to_keep` above 0 it is Multi-Krum: the weighted mean of so many such models.
    """

    def __init__(self, *, num_malicious_clients: int = 0, num_clients_to_keep: int = 0, **kwargs: Any) -> None:
        """How many clients may be malicious, and what FedAvg takes."""
        super().__init__(**kwargs)
        self.num_malicious_clients = num_malicious_clients
        self.num_clients_to_keep = num_clients_to_keep

    def combine(self, server_round: int, results: Results) -> NDArrays:
        """See FedAvg."""
        return aggregate_krum(results, self.num_malicious_clients, self.num_clients_to_keep)
