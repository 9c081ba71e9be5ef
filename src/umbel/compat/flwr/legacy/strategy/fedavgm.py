"""FedAvgM: federated averaging with momentum at the server."""

from __future__ import annotations

from typing import Any

from umbel.compat.flwr.legacy.clientmanager import ClientManager
from umbel.compat.flwr.legacy.parameters import ndarrays_to_parameters, parameters_to_ndarrays
from umbel.compat.flwr.legacy.strategy.aggregate import Results, aggregate
from umbel.compat.flwr.legacy.strategy.fedavg import FedAvg
from umbel.compat.flwr.legacy.strategy.serverstep import stepped
from umbel.compat.flwr.legacy.typing import NDArrays, Parameters
from umbel.errors import ConfigError
from umbel.serverapp.strategy.server_optimizers import FedAvgM as Rule

__all__ = ["FedAvgM"]


class FedAvgM(FedAvg):
    """Server momentum (Hsu et al. 2019, arXiv 1909.06335). With a learning rate of 1 and no momentum it is FedAvg."""

    def __init__(self, *, server_learning_rate: float = 1.0, server_momentum: float = 0.0, **kwargs: Any) -> None:
        """η above 0, β in [0, 1), and what FedAvg takes; momentum needs `initial_parameters`. Raises ConfigError."""
        super().__init__(**kwargs)
        self.server_learning_rate = server_learning_rate
        self.server_momentum = server_momentum
        self.server_opt = server_momentum != 0 or server_learning_rate != 1
        self._rule = Rule(server_learning_rate=server_learning_rate, server_momentum=server_momentum)

    def initialize_parameters(self, client_manager: ClientManager) -> Parameters | None:
        """See Strategy. They are kept: the first step begins there."""
        return self.initial_parameters

    def combine(self, server_round: int, results: Results) -> NDArrays:
        """See FedAvg. Raises ConfigError without initial parameters."""
        mean = aggregate(results)
        if not self.server_opt:
            return mean
        if self.initial_parameters is None:
            raise ConfigError("FedAvgM steps from the model it began with.", hint="Give it `initial_parameters`.")
        new = stepped(self._rule, server_round, parameters_to_ndarrays(self.initial_parameters), mean)
        self.initial_parameters = ndarrays_to_parameters(new)
        return new
