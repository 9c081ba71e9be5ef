"""FedAvg, FaultTolerantFedAvg, FedAvgAndroid, FedProx and QFedAvg."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from umbel.app.arrayrecord import ArrayRecord
from umbel.compat.flwr.legacy.clientmanager import ClientManager, ClientProxy
from umbel.compat.flwr.legacy.strategy.aggregate import Results, aggregate, aggregate_qffl, weighted_loss_avg
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
    NDArray,
    NDArrays,
    Parameters,
    ndarrays_to_parameters,
    parameters_to_ndarrays,
)
from umbel.errors import ConfigError
from umbel.serverapp.aggregation.replies import check_finite

__all__ = ["FaultTolerantFedAvg", "FedAvg", "FedAvgAndroid", "FedProx", "QFedAvg"]


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
        """The clients that evaluate and their instructions; empty if `fraction_evaluate` is 0."""
        if self.fraction_evaluate == 0:
            return []
        ins = EvaluateIns(parameters, _config(self.on_evaluate_config_fn, server_round))
        size, least = self.num_evaluation_clients(client_manager.num_available())
        return [(client, ins) for client in client_manager.sample(num_clients=size, min_num_clients=least)]

    # What becomes of the answers

    def aggregate_fit(
        self, server_round: int, results: FitResults, failures: FitFailures
    ) -> tuple[Parameters | None, Metrics]:
        """The new model, None to keep the old one, and the metrics of the training."""
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
        """Whether a phase with this number of failed clients is accepted."""
        if self.accept_failures or not failed:
            return True
        log.warning("Round %d: the result of %s is discarded because %d clients failed.", server_round, phase, failed)
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
                log.warning("Round %d: excluded client %s: %s", server_round, client.cid, reason)
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
        log.warning("The clients' metrics are ignored because there is no %s_metrics_aggregation_fn.", phase)
    return {}


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
        """The new model, None to keep the old one, and the metrics of the training."""
        if len(results) < self.completion_rate_fit * (len(results) + len(failures)):
            return None, {}
        return super().aggregate_fit(server_round, results, failures)

    def aggregate_evaluate(
        self, server_round: int, results: EvaluateResults, failures: EvaluateFailures
    ) -> tuple[float | None, Metrics]:
        """The loss, None when there is none, and the metrics of the evaluation."""
        if len(results) < self.completion_rate_evaluate * (len(results) + len(failures)):
            return None, {}
        return super().aggregate_evaluate(server_round, results, failures)


class FedAvgAndroid(FedAvg):
    """FedAvg of clients whose tensors are the bytes of float32 numbers, without shape. It has no metrics."""

    def aggregate_fit(
        self, server_round: int, results: FitResults, failures: FitFailures
    ) -> tuple[Parameters | None, Metrics]:
        """The new model, None to keep the old one, and the metrics of the training."""
        if not results or not self.accepts(server_round, "fit", len(failures)):
            return None, {}
        models = [(self.parameters_to_ndarrays(res.parameters), res.num_examples) for _, res in results]
        return self.ndarrays_to_parameters(aggregate(models)), {}

    def aggregate_evaluate(
        self, server_round: int, results: EvaluateResults, failures: EvaluateFailures
    ) -> tuple[float | None, Metrics]:
        """The loss, None when there is none, and the metrics of the evaluation."""
        return super().aggregate_evaluate(server_round, results, failures)[0], {}

    def evaluate(self, server_round: int, parameters: Parameters) -> tuple[float, Metrics] | None:
        """The loss and metrics of the model at the server; None: the server does not evaluate."""
        if self.evaluate_fn is None:
            return None
        return self.evaluate_fn(server_round, self.parameters_to_ndarrays(parameters), {})

    def ndarrays_to_parameters(self, ndarrays: NDArrays) -> Parameters:
        """The bytes of each array's elements."""
        return Parameters([self.ndarray_to_bytes(ndarray) for ndarray in ndarrays], "numpy.nda")

    def parameters_to_ndarrays(self, parameters: Parameters) -> NDArrays:
        """float32 arrays of one dimension."""
        return [self.bytes_to_ndarray(tensor) for tensor in parameters.tensors]

    def ndarray_to_bytes(self, ndarray: NDArray) -> bytes:
        """The bytes of the array's elements."""
        return ndarray.tobytes()

    def bytes_to_ndarray(self, tensor: bytes) -> NDArray:
        """A float32 array of one dimension."""
        return np.frombuffer(tensor, dtype=np.float32)


class FedProx(FedAvg):
    """FedAvg that sends μ as `proximal_mu`; the client adds μ/2 · ‖w - w_t‖² to its loss (Li et al. 2018, arXiv 1812.06127)."""

    def __init__(self, *, proximal_mu: float, **kwargs: Any) -> None:
        """μ, 0 or more, and what FedAvg takes."""
        super().__init__(**kwargs)
        self.proximal_mu = proximal_mu

    def configure_fit(
        self, server_round: int, parameters: Parameters, client_manager: ClientManager
    ) -> list[tuple[ClientProxy, FitIns]]:
        """As FedAvg, with `proximal_mu` in the configuration."""
        instructions = super().configure_fit(server_round, parameters, client_manager)
        changed = {
            id(ins): self._with_mu(ins) for _, ins in instructions
        }  # clients that share an instruction keep sharing it
        return [(client, changed[id(ins)]) for client, ins in instructions]

    def _with_mu(self, ins: FitIns) -> FitIns:
        return FitIns(ins.parameters, {**ins.config, "proximal_mu": self.proximal_mu})


_LEAST_LOSS = 1e-10  # is added: a loss of 0 has no power below 0


class QFedAvg(FedAvg):
    """q-FedAvg (Li et al. 2019, arXiv 1905.10497), with the server's loss F of the model that was sent in place of each client's.

    With L = 1 / `qffl_learning_rate`: Δ_k = F^q L (w - w_k), h_k = q F^(q-1) ‖L (w - w_k)‖² + L F^q, w ← w - Σ_k Δ_k / Σ_k h_k.
    """

    def __init__(
        self,
        *,
        q_param: float = 0.2,
        qffl_learning_rate: float = 0.1,
        min_fit_clients: int = 1,
        min_evaluate_clients: int = 1,
        min_available_clients: int = 1,
        **kwargs: Any,
    ) -> None:
        """q, the clients' learning rate, and what FedAvg takes; it needs an `evaluate_fn`."""
        super().__init__(
            min_fit_clients=min_fit_clients,
            min_evaluate_clients=min_evaluate_clients,
            min_available_clients=min_available_clients,
            **kwargs,
        )
        self.q_param = q_param
        self.learning_rate = qffl_learning_rate
        self.pre_weights: NDArrays | None = None

    def configure_fit(
        self, server_round: int, parameters: Parameters, client_manager: ClientManager
    ) -> list[tuple[ClientProxy, FitIns]]:
        """As FedAvg; the model is remembered."""
        self.pre_weights = parameters_to_ndarrays(parameters)
        return super().configure_fit(server_round, parameters, client_manager)

    def combine(self, server_round: int, results: Results) -> NDArrays:
        """See FedAvg. Raises ConfigError when there is no loss to go by."""
        before = self.pre_weights
        evaluated = None if before is None else self.evaluate(server_round, ndarrays_to_parameters(before))
        if before is None or evaluated is None:
            raise ConfigError("QFedAvg needs the loss at the server.", hint="Pass an `evaluate_fn`.")
        loss, rate = evaluated[0] + _LEAST_LOSS, 1 / self.learning_rate
        gradients = [[rate * (was - now) for was, now in zip(before, ndarrays, strict=True)] for ndarrays, _ in results]
        power = loss**self.q_param
        curvatures = [
            self.q_param * loss ** (self.q_param - 1) * _squared_length(gradient) + rate * power
            for gradient in gradients
        ]
        return aggregate_qffl(before, [[power * layer for layer in gradient] for gradient in gradients], curvatures)


def _squared_length(ndarrays: NDArrays) -> float:
    return float(sum(np.sum(np.square(layer, dtype=np.float64)) for layer in ndarrays))
