"""What the strategies for XGBoost share: a model is one tensor, the bytes of its JSON form."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from umbel.compat.flwr.legacy.strategy.fedavg import FedAvg
from umbel.compat.flwr.legacy.strategy.strategy import EvaluateFailures, EvaluateResults
from umbel.compat.flwr.legacy.typing import Config, Metrics, Parameters

EvaluateFunction = Callable[[int, Parameters, Config], tuple[float, Metrics] | None]


class FedXgb(FedAvg):
    """FedAvg's rounds with a model that is bytes. Evaluation by clients has metrics and a loss of 0."""

    def __init__(self, **kwargs: Any) -> None:
        """What FedAvg takes."""
        super().__init__(**kwargs)
        self.global_model: bytes | None = None

    def aggregate_evaluate(
        self, server_round: int, results: EvaluateResults, failures: EvaluateFailures
    ) -> tuple[float | None, Metrics]:
        """See Strategy."""
        if not results or not self.accepts(server_round, "evaluate", len(failures)):
            return None, {}
        return 0, self.evaluate_metrics(server_round, results)

    def as_parameters(self) -> Parameters:
        """The model there is."""
        return Parameters([] if self.global_model is None else [self.global_model], "")
