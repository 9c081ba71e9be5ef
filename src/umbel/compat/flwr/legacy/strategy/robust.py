"""FedMedian, FedTrimmedAvg, Krum, Multi-Krum and Bulyan."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from umbel.compat.flwr.legacy.strategy.aggregate import (
    Results,
    aggregate_bulyan,
    aggregate_krum,
    aggregate_median,
    aggregate_trimmed_avg,
)
from umbel.compat.flwr.legacy.strategy.fedavg import ConfigFn, EvaluateFn, FedAvg
from umbel.compat.flwr.legacy.typing import MetricsAggregationFn, NDArrays, Parameters

__all__ = ["Bulyan", "FedMedian", "FedTrimmedAvg", "Krum"]


class FedMedian(FedAvg):
    """The median of each element over the clients, unweighted (Yin et al. 2018, arXiv 1803.01498)."""

    def combine(self, server_round: int, results: Results) -> NDArrays:
        """The new model, from at least one client's model and number of examples."""
        return aggregate_median(results)


class FedTrimmedAvg(FedAvg):
    """The mean of each element without the ⌊β n⌋ least and largest values, unweighted (Yin et al. 2018, arXiv 1803.01498)."""

    def __init__(self, *, beta: float = 0.2, **kwargs: Any) -> None:
        """β in [0, 0.5), and what FedAvg takes. Raises ValueError."""
        super().__init__(**kwargs)
        if not 0 <= beta < 0.5:
            raise ValueError(f"`beta` must be in [0, 0.5), not {beta}.")
        self.beta = beta

    def combine(self, server_round: int, results: Results) -> NDArrays:
        """The new model, from at least one client's model and number of examples."""
        return aggregate_trimmed_avg(results, self.beta)


class Krum(FedAvg):
    """The model that has the nearest neighbours (Blanchard et al. 2017, arXiv 1703.02757).

    With `num_clients_to_keep` above 0 it is Multi-Krum: the weighted mean of that number of models.
    """

    def __init__(self, *, num_malicious_clients: int = 0, num_clients_to_keep: int = 0, **kwargs: Any) -> None:
        """How many clients may be malicious, and what FedAvg takes."""
        super().__init__(**kwargs)
        self.num_malicious_clients = num_malicious_clients
        self.num_clients_to_keep = num_clients_to_keep

    def combine(self, server_round: int, results: Results) -> NDArrays:
        """The new model, from at least one client's model and number of examples."""
        return aggregate_krum(results, self.num_malicious_clients, self.num_clients_to_keep)


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
        """The new model, from at least one client's model and number of examples."""
        return aggregate_bulyan(
            results, self.num_malicious_clients, self.first_aggregation_rule, **self.aggregation_rule_kwargs
        )
