"""FedXgbBagging and FedXgbCyclic."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np

from umbel.app.array import Array
from umbel.app.arrayrecord import ArrayRecord
from umbel.compat.flwr.legacy.clientmanager import ClientManager, ClientProxy
from umbel.compat.flwr.legacy.strategy.fedavg import FedAvg
from umbel.compat.flwr.legacy.strategy.strategy import EvaluateFailures, EvaluateResults, FitFailures, FitResults
from umbel.compat.flwr.legacy.typing import Config, EvaluateIns, FitIns, Metrics, Parameters
from umbel.serverapp.strategy import xgboost

__all__ = ["FedXgbBagging", "FedXgbCyclic"]


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
        """The loss, None when there is none, and the metrics of the evaluation."""
        if not results or not self.accepts(server_round, "evaluate", len(failures)):
            return None, {}
        return 0, self.evaluate_metrics(server_round, results)

    def as_parameters(self) -> Parameters:
        """The model there is."""
        return Parameters([] if self.global_model is None else [self.global_model], "")


class FedXgbBagging(FedXgb):
    """Appends all trees of all clients' models, in order, to its own. See Umbel's own strategy of this name."""

    def __init__(self, evaluate_function: EvaluateFunction | None = None, **kwargs: Any) -> None:
        """`evaluate_function(server_round, parameters, {})`, and what FedAvg takes."""
        super().__init__(**kwargs)
        self.evaluate_function = evaluate_function

    def aggregate_fit(
        self, server_round: int, results: FitResults, failures: FitFailures
    ) -> tuple[Parameters | None, Metrics]:
        """See Strategy. Raises ValueError for a client's tensor that is no model, or one of another task."""
        if not results or not self.accepts(server_round, "fit", len(failures)):
            return None, {}
        for _, res in results:
            for model in res.parameters.tensors:
                self.global_model = appended(self.global_model, model)
        return self.as_parameters(), {}

    def evaluate(self, server_round: int, parameters: Parameters) -> tuple[float, Metrics] | None:
        """See Strategy: what `evaluate_function` says."""
        return None if self.evaluate_function is None else self.evaluate_function(server_round, parameters, {})


def appended(model: bytes | None, more: bytes) -> bytes:
    """`model` with the trees of `more`; without a model, `more`."""
    if not model:
        return more
    ensemble = xgboost.trained(_record(model))
    xgboost.append(ensemble, xgboost.trained(_record(more)))
    return next(iter(xgboost.as_record(ensemble).values())).storage.tobytes()


def _record(model: bytes) -> ArrayRecord:
    return ArrayRecord({"0": Array(np.frombuffer(model, np.uint8))})


Ins = TypeVar("Ins", FitIns, EvaluateIns)


class FedXgbCyclic(FedXgb):
    """In round t the ((t - 1) mod n)-th of the n sampled clients trains, and evaluates. The order is the client manager's."""

    def aggregate_fit(
        self, server_round: int, results: FitResults, failures: FitFailures
    ) -> tuple[Parameters | None, Metrics]:
        """The new model, None to keep the old one, and the metrics of the training."""
        if not results or not self.accepts(server_round, "fit", len(failures)):
            return None, {}
        for _, res in results:
            for model in res.parameters.tensors:
                self.global_model = model
        return self.as_parameters(), {}

    def configure_fit(
        self, server_round: int, parameters: Parameters, client_manager: ClientManager
    ) -> list[tuple[ClientProxy, FitIns]]:
        """The clients that train and their instructions; an empty list skips training in this round."""
        return _in_turn(server_round, super().configure_fit(server_round, parameters, client_manager))

    def configure_evaluate(
        self, server_round: int, parameters: Parameters, client_manager: ClientManager
    ) -> list[tuple[ClientProxy, EvaluateIns]]:
        """The clients that evaluate and their instructions; empty if `fraction_evaluate` is 0."""
        return _in_turn(server_round, super().configure_evaluate(server_round, parameters, client_manager))


def _in_turn(server_round: int, instructions: list[tuple[ClientProxy, Ins]]) -> list[tuple[ClientProxy, Ins]]:
    return [instructions[(server_round - 1) % len(instructions)]] if instructions else []
