"""FedXgbBagging: a forest that grows by the trees of all clients at once."""

from __future__ import annotations

from typing import Any

import numpy as np

from umbel.app.array import Array
from umbel.app.arrayrecord import ArrayRecord
from umbel.compat.flwr.legacy.strategy.fedxgb import EvaluateFunction, FedXgb
from umbel.compat.flwr.legacy.strategy.strategy import FitFailures, FitResults
from umbel.compat.flwr.legacy.typing import Metrics, Parameters
from umbel.serverapp.strategy import xgboost

__all__ = ["FedXgbBagging"]


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
