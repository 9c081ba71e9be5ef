"""QFedAvg: averaging that attends more to a high loss."""

from __future__ import annotations

from typing import Any

import numpy as np

from umbel.compat.flwr.legacy.clientmanager import ClientManager
from umbel.compat.flwr.legacy.clientproxy import ClientProxy
from umbel.compat.flwr.legacy.parameters import ndarrays_to_parameters, parameters_to_ndarrays
from umbel.compat.flwr.legacy.strategy.aggregate import Results, aggregate_qffl
from umbel.compat.flwr.legacy.strategy.fedavg import FedAvg
from umbel.compat.flwr.legacy.typing import FitIns, NDArrays, Parameters
from umbel.errors import ConfigError

__all__ = ["QFedAvg"]

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
            raise ConfigError("QFedAvg goes by the loss at the server.", hint="Give it an `evaluate_fn`.")
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
