"""Bulyan: a robust choice of models, then a robust mean of each element."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from umbel.compat.flwr.legacy.strategy.aggregate import Results, aggregate_bulyan, aggregate_krum
from umbel.compat.flwr.legacy.strategy.fedavg import ConfigFn, EvaluateFn, FedAvg
from umbel.compat.flwr.legacy.typing import MetricsAggregationFn, NDArrays, Parameters

__all__ = ["Bulyan"]


class Bulyan(FedAvg):
    """Bulyan (El Mhamdi et al. 2018, arXiv 1802.07927); of n results, n ≥ 4f + 3, up to f may be malicious."""

    def __init__(
        self,
        *,
        fraction_fit: float = 1.0,
        fraction_evaluate: float = 1.0,
        min_fit_clients: int = 2,
        min_evaluate_clients: int = 2,
        min_available_clients: int = 2,
        num_malicious_clients: int = 0,
        evaluate_fn: EvaluateFn | None = None,
        on_fit_config_fn: ConfigFn | None = None,
        on_evaluate_config_fn: ConfigFn | None = None,
        accept_failures: bool = True,
        initial_parameters: Parameters | None = None,
        fit_metrics_aggregation_fn: MetricsAggregationFn | None = None,
        evaluate_metrics_aggregation_fn: MetricsAggregationFn | None = None,
        first_aggregation_rule: Callable[..., NDArrays] = aggregate_krum,
        **aggregation_rule_kwargs: Any,
    ) -> None:
        """f, what FedAvg takes, and the rule that chooses the models with its arguments; it must be `aggregate_krum`."""
        super().__init__(
            fraction_fit=fraction_fit,
            fraction_evaluate=fraction_evaluate,
            min_fit_clients=min_fit_clients,
            min_evaluate_clients=min_evaluate_clients,
            min_available_clients=min_available_clients,
            evaluate_fn=evaluate_fn,
            on_fit_config_fn=on_fit_config_fn,
            on_evaluate_config_fn=on_evaluate_config_fn,
            accept_failures=accept_failures,
            initial_parameters=initial_parameters,
            fit_metrics_aggregation_fn=fit_metrics_aggregation_fn,
            evaluate_metrics_aggregation_fn=evaluate_metrics_aggregation_fn,
        )
        self.num_malicious_clients = num_malicious_clients
        self.first_aggregation_rule = first_aggregation_rule
        self.aggregation_rule_kwargs = aggregation_rule_kwargs

    def combine(self, server_round: int, results: Results) -> NDArrays:
        """See FedAvg."""
        return aggregate_bulyan(
            results, self.num_malicious_clients, self.first_aggregation_rule, **self.aggregation_rule_kwargs
        )
