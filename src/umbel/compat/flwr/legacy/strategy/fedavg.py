"""FedAvg: the weighted mean, and the rounds of all strategies beside it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence

from umbel.app.arrayrecord import ArrayRecord
from umbel.compat.flwr.legacy.clientmanager import ClientManager
from umbel.compat.flwr.legacy.clientproxy import ClientProxy
from umbel.compat.flwr.legacy.parameters import ndarrays_to_parameters, parameters_to_ndarrays
from umbel.compat.flwr.legacy.strategy.aggregate import Results, aggregate, weighted_loss_avg
from umbel.compat.flwr.legacy.strategy.strategy import (
    EvaluateFailures,
    EvaluateResults,
    FitFailures,
    FitResults,
    Strategy,
)
from umbel.compat.flwr.legacy.typing import (
    Config,
    EvaluateIns,
    EvaluateRes,
    FitIns,
    FitRes,
    Metrics,
    MetricsAggregationFn,
    NDArrays,
    Parameters,
)
from umbel.serverapp.aggregation.replies import check_finite

__all__ = ["FedAvg"]

log = logging.getLogger(__name__)

ConfigFn = Callable[[int], Config]
EvaluateFn = Callable[[int, NDArrays, Config], tuple[float, Metrics] | None]


class FedAvg(Strategy):
    """Federated averaging (McMahan et al. 2017, arXiv 1602.05629): the mean of the clients' models, weighted by their examples.

    A subclass that only reckons otherwise overrides `combine`. A model with NaN or infinity is left out, with a warning.
    """

    def __init__(
        self,
        *,
        fraction_fit: float = 1.0,
        fraction_evaluate: float = 1.0,
        min_fit_clients: int = 2,
        min_evaluate_clients: int = 2,
        min_available_clients: int = 2,
        evaluate_fn: EvaluateFn | None = None,
        on_fit_config_fn: ConfigFn | None = None,
        on_evaluate_config_fn: ConfigFn | None = None,
        accept_failures: bool = True,
        initial_parameters: Parameters | None = None,
        fit_metrics_aggregation_fn: MetricsAggregationFn | None = None,
        evaluate_metrics_aggregation_fn: MetricsAggregationFn | None = None,
        inplace: bool = True,
    ) -> None:
        """Fractions are of the available clients; without an aggregation function a phase has no metrics. `inplace` changes nothing."""
        super().__init__()
        if max(min_fit_clients, min_evaluate_clients) > min_available_clients:
            log.warning("min_available_clients should be at least min_fit_clients and min_evaluate_clients.")
        self.fraction_fit = fraction_fit
        self.fraction_evaluate = fraction_evaluate
        self.min_fit_clients = min_fit_clients
        self.min_evaluate_clients = min_evaluate_clients
        self.min_available_clients = min_available_clients
        self.evaluate_fn = evaluate_fn
        self.on_fit_config_fn = on_fit_config_fn
        self.on_evaluate_config_fn = on_evaluate_config_fn
        self.accept_failures = accept_failures
        self.initial_parameters = initial_parameters
        self.fit_metrics_aggregation_fn = fit_metrics_aggregation_fn
        self.evaluate_metrics_aggregation_fn = evaluate_metrics_aggregation_fn
        self.inplace = inplace

    def __repr__(self) -> str:
        return f"{type(self).__name__}(accept_failures={self.accept_failures})"

    # Who takes part

    def num_fit_clients(self, num_available_clients: int) -> tuple[int, int]:
        """How many train, and how many must be there for it."""
        return max(int(num_available_clients * self.fraction_fit), self.min_fit_clients), self.min_available_clients

    def num_evaluation_clients(self, num_available_clients: int) -> tuple[int, int]:
        """How many evaluate, and how many must be there for it."""
        sampled = int(num_available_clients * self.fraction_evaluate)
        return max(sampled, self.min_evaluate_clients), self.min_available_clients

    def initialize_parameters(self, client_manager: ClientManager) -> Parameters | None:
        """See Strategy. They are given away: no copy is kept."""
        initial_parameters, self.initial_parameters = self.initial_parameters, None
        return initial_parameters

    def configure_fit(
        self, server_round: int, parameters: Parameters, client_manager: ClientManager
    ) -> list[tuple[ClientProxy, FitIns]]:
        """See Strategy. All get the same model and configuration."""
        ins = FitIns(parameters, _config(self.on_fit_config_fn, server_round))
        size, least = self.num_fit_clients(client_manager.num_available())
        return [(client, ins) for client in client_manager.sample(num_clients=size, min_num_clients=least)]

    def configure_evaluate(
        self, server_round: int, parameters: Parameters, client_manager: ClientManager
    ) -> list[tuple[ClientProxy, EvaluateIns]]:
        """See Strategy. Nobody when `fraction_evaluate` is 0."""
        if self.fraction_evaluate == 0:
            return []
        ins = EvaluateIns(parameters, _config(self.on_evaluate_config_fn, server_round))
        size, least = self.num_evaluation_clients(client_manager.num_available())
        return [(client, ins) for client in client_manager.sample(num_clients=size, min_num_clients=least)]

    # What becomes of the answers

    def aggregate_fit(
        self, server_round: int, results: FitResults, failures: FitFailures
    ) -> tuple[Parameters | None, Metrics]:
        """See Strategy."""
        kept, models = self.usable(server_round, results)
        failed = len(failures) + len(results) - len(kept)
        if not kept or not self.accepts(server_round, "fit", failed):
            return None, {}
        return ndarrays_to_parameters(self.combine(server_round, models)), self.fit_metrics(server_round, kept)

    def combine(self, server_round: int, results: Results) -> NDArrays:
        """The new model, from at least one client's model and number of examples."""
        return aggregate(results)

    def aggregate_evaluate(
        self, server_round: int, results: EvaluateResults, failures: EvaluateFailures
    ) -> tuple[float | None, Metrics]:
        """See Strategy. The loss is the mean, weighted by the numbers of examples."""
        if not results or not self.accepts(server_round, "evaluate", len(failures)):
            return None, {}
        loss = weighted_loss_avg([(res.num_examples, res.loss) for _, res in results])
        return loss, self.evaluate_metrics(server_round, results)

    def evaluate(self, server_round: int, parameters: Parameters) -> tuple[float, Metrics] | None:
        """See Strategy: what `evaluate_fn` says."""
        if self.evaluate_fn is None:
            return None
        return self.evaluate_fn(server_round, parameters_to_ndarrays(parameters), {})

    def accepts(self, server_round: int, phase: str, failed: int) -> bool:
        """Whether a phase in which so many clients failed counts."""
        if self.accept_failures or not failed:
            return True
        log.warning("Round %d: %s is not used, %d clients failed.", server_round, phase, failed)
        return False

    def usable(self, server_round: int, results: FitResults) -> tuple[FitResults, Results]:
        """The results whose models hold neither NaN nor infinity, and these models; the others are named in the log."""
        kept: FitResults = []
        models: Results = []
        for client, res in results:
            ndarrays = parameters_to_ndarrays(res.parameters)
            try:
                check_finite(ArrayRecord(ndarrays))
            except ValueError as reason:
                log.warning("Round %d: left out client %s: %s", server_round, client.cid, reason)
            else:
                kept.append((client, res))
                models.append((ndarrays, res.num_examples))
        return kept, models

    def fit_metrics(self, server_round: int, results: FitResults) -> Metrics:
        """What `fit_metrics_aggregation_fn` makes of the clients' metrics."""
        return _metrics(self.fit_metrics_aggregation_fn, "fit", server_round, results)

    def evaluate_metrics(self, server_round: int, results: EvaluateResults) -> Metrics:
        """What `evaluate_metrics_aggregation_fn` makes of the clients' metrics."""
        return _metrics(self.evaluate_metrics_aggregation_fn, "evaluate", server_round, results)


def _config(config_fn: ConfigFn | None, server_round: int) -> Config:
    return {} if config_fn is None else config_fn(server_round)


def _metrics(
    aggregation_fn: MetricsAggregationFn | None,
    phase: str,
    server_round: int,
    results: Sequence[tuple[ClientProxy, FitRes]] | Sequence[tuple[ClientProxy, EvaluateRes]],
) -> Metrics:
    if aggregation_fn is not None:
        return aggregation_fn([(res.num_examples, res.metrics) for _, res in results])
    if server_round == 1 and any(res.metrics for _, res in results):
        log.warning("The clients' metrics are not used: there is no %s_metrics_aggregation_fn.", phase)
    return {}
