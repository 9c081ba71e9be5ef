"""FaultTolerantFedAvg: a round counts when enough clients have answered."""

from __future__ import annotations

from typing import Any

from umbel.compat.flwr.legacy.strategy.fedavg import FedAvg
from umbel.compat.flwr.legacy.strategy.strategy import EvaluateFailures, EvaluateResults, FitFailures, FitResults
from umbel.compat.flwr.legacy.typing import Metrics, Parameters

__all__ = ["FaultTolerantFedAvg"]


class FaultTolerantFedAvg(FedAvg):
    """FedAvg of which a phase is used only when at least a share of the clients has answered without a failure."""

    def __init__(
        self,
        *,
        min_fit_clients: int = 1,
        min_evaluate_clients: int = 1,
        min_available_clients: int = 1,
        min_completion_rate_fit: float = 0.5,
        min_completion_rate_evaluate: float = 0.5,
        **kwargs: Any,
    ) -> None:
        """The shares, and what FedAvg takes."""
        super().__init__(
            min_fit_clients=min_fit_clients,
            min_evaluate_clients=min_evaluate_clients,
            min_available_clients=min_available_clients,
            **kwargs,
        )
        self.completion_rate_fit = min_completion_rate_fit
        self.completion_rate_evaluate = min_completion_rate_evaluate

    def aggregate_fit(
        self, server_round: int, results: FitResults, failures: FitFailures
    ) -> tuple[Parameters | None, Metrics]:
        """See Strategy."""
        if len(results) < self.completion_rate_fit * (len(results) + len(failures)):
            return None, {}
        return super().aggregate_fit(server_round, results, failures)

    def aggregate_evaluate(
        self, server_round: int, results: EvaluateResults, failures: EvaluateFailures
    ) -> tuple[float | None, Metrics]:
        """See Strategy."""
        if len(results) < self.completion_rate_evaluate * (len(results) + len(failures)):
            return None, {}
        return super().aggregate_evaluate(server_round, results, failures)
