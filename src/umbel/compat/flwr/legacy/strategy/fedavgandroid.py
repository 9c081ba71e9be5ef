"""FedAvgAndroid: FedAvg over models of bare float32 numbers."""

from __future__ import annotations

import numpy as np

from umbel.compat.flwr.legacy.strategy.aggregate import aggregate
from umbel.compat.flwr.legacy.strategy.fedavg import FedAvg
from umbel.compat.flwr.legacy.strategy.strategy import EvaluateFailures, EvaluateResults, FitFailures, FitResults
from umbel.compat.flwr.legacy.typing import Metrics, NDArray, NDArrays, Parameters

__all__ = ["FedAvgAndroid"]


class FedAvgAndroid(FedAvg):
    """FedAvg of clients whose tensors are the bytes of float32 numbers, without shape. It has no metrics."""

    def aggregate_fit(
        self, server_round: int, results: FitResults, failures: FitFailures
    ) -> tuple[Parameters | None, Metrics]:
        """See Strategy."""
        if not results or not self.accepts(server_round, "fit", len(failures)):
            return None, {}
        models = [(self.parameters_to_ndarrays(res.parameters), res.num_examples) for _, res in results]
        return self.ndarrays_to_parameters(aggregate(models)), {}

    def aggregate_evaluate(
        self, server_round: int, results: EvaluateResults, failures: EvaluateFailures
    ) -> tuple[float | None, Metrics]:
        """See Strategy."""
        return super().aggregate_evaluate(server_round, results, failures)[0], {}

    def evaluate(self, server_round: int, parameters: Parameters) -> tuple[float, Metrics] | None:
        """See Strategy."""
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
