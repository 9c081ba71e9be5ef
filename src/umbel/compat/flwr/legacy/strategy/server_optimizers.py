"""FedOpt, FedAdagrad, FedAdam, FedYogi and FedAvgM: optimisers at the server."""

from __future__ import annotations

from typing import Any

import numpy as np

from umbel.compat.flwr.legacy.clientmanager import ClientManager
from umbel.compat.flwr.legacy.strategy.aggregate import Results, aggregate
from umbel.compat.flwr.legacy.strategy.fedavg import FedAvg
from umbel.compat.flwr.legacy.typing import (
    NDArray,
    NDArrays,
    Parameters,
    ndarrays_to_parameters,
    parameters_to_ndarrays,
)
from umbel.errors import ConfigError
from umbel.serverapp.strategy import server_optimizers as rules
from umbel.serverapp.strategy.server_optimizers import ServerOptimizer

__all__ = ["FedAdagrad", "FedAdam", "FedAvgM", "FedOpt", "FedYogi"]


def stepped(rule: ServerOptimizer, server_round: int, current: NDArrays, mean: NDArrays) -> NDArrays:
    """Where `rule` goes from `current`, given the clients' `mean`. Arrays of whole numbers take the mean.

    Raises ValueError when the two do not have the same number of arrays.
    """
    return [
        _tensor(rule, server_round, str(index), now, towards)
        for index, (now, towards) in enumerate(zip(current, mean, strict=True))
    ]


def _tensor(rule: ServerOptimizer, server_round: int, name: str, now: NDArray, towards: NDArray) -> NDArray:
    if not np.issubdtype(now.dtype, np.inexact):
        return towards
    flat = now.reshape(-1)
    new = rule.step(server_round, name, flat, towards.reshape(-1) - flat)
    return new.astype(now.dtype, copy=False).reshape(now.shape)


class FedOpt(FedAvg):
    """What FedAdagrad, FedAdam and FedYogi share (Reddi et al. 2020, arXiv 2003.00295). Itself it is FedAvg."""

    optimiser: type[rules.FedOpt] | None = None
    """The strategy of Umbel's own whose step the server makes; None: it takes over the mean."""

    def __init__(
        self,
        *,
        initial_parameters: Parameters,
        eta: float = 0.1,
        eta_l: float = 0.1,
        beta_1: float = 0.0,
        beta_2: float = 0.0,
        tau: float = 1e-9,
        **kwargs: Any,
    ) -> None:
        """η, η_l and τ above 0, β₁ and β₂ in [0, 1), and what FedAvg takes. Raises ConfigError."""
        super().__init__(initial_parameters=initial_parameters, **kwargs)
        self.current_weights = parameters_to_ndarrays(initial_parameters)
        self.eta = eta
        self.eta_l = eta_l
        self.beta_1 = beta_1
        self.beta_2 = beta_2
        self.tau = tau
        self.m_t: NDArrays | None = None  # for a subclass that steps by itself
        self.v_t: NDArrays | None = None
        self._rule: rules.FedOpt | None = None
        if self.optimiser is not None:
            self._rule = self.optimiser(eta=eta, eta_l=eta_l, beta_1=beta_1, beta_2=beta_2, tau=tau)

    def combine(self, server_round: int, results: Results) -> NDArrays:
        """The new model, from at least one client's model and number of examples."""
        mean = aggregate(results)
        if self._rule is None:
            return mean
        self.current_weights = stepped(self._rule, server_round, self.current_weights, mean)
        return self.current_weights


class FedAdagrad(FedOpt):
    """FedOpt with Adagrad."""

    optimiser = rules.FedAdagrad

    def __init__(
        self, *, initial_parameters: Parameters, eta: float = 0.1, eta_l: float = 0.1, tau: float = 1e-9, **kwargs: Any
    ) -> None:
        """η, η_l and τ above 0, β₁ and β₂ in [0, 1), and what FedAvg takes. Raises ConfigError."""
        super().__init__(
            initial_parameters=initial_parameters, eta=eta, eta_l=eta_l, beta_1=0.0, beta_2=0.0, tau=tau, **kwargs
        )


class FedAdam(FedOpt):
    """FedOpt with Adam."""

    optimiser = rules.FedAdam

    def __init__(
        self,
        *,
        initial_parameters: Parameters,
        eta: float = 0.1,
        eta_l: float = 0.1,
        beta_1: float = 0.9,
        beta_2: float = 0.99,
        tau: float = 1e-9,
        **kwargs: Any,
    ) -> None:
        """η, η_l and τ above 0, β₁ and β₂ in [0, 1), and what FedAvg takes. Raises ConfigError."""
        super().__init__(
            initial_parameters=initial_parameters, eta=eta, eta_l=eta_l, beta_1=beta_1, beta_2=beta_2, tau=tau, **kwargs
        )


class FedYogi(FedOpt):
    """FedOpt with Yogi."""

    optimiser = rules.FedYogi

    def __init__(
        self,
        *,
        initial_parameters: Parameters,
        eta: float = 0.01,
        eta_l: float = 0.0316,
        beta_1: float = 0.9,
        beta_2: float = 0.99,
        tau: float = 1e-3,
        **kwargs: Any,
    ) -> None:
        """η, η_l and τ above 0, β₁ and β₂ in [0, 1), and what FedAvg takes. Raises ConfigError."""
        super().__init__(
            initial_parameters=initial_parameters, eta=eta, eta_l=eta_l, beta_1=beta_1, beta_2=beta_2, tau=tau, **kwargs
        )


class FedAvgM(FedAvg):
    """Server momentum (Hsu et al. 2019, arXiv 1909.06335). With a learning rate of 1 and no momentum it is FedAvg."""

    def __init__(self, *, server_learning_rate: float = 1.0, server_momentum: float = 0.0, **kwargs: Any) -> None:
        """η above 0, β in [0, 1), and what FedAvg takes; momentum needs `initial_parameters`. Raises ConfigError."""
        super().__init__(**kwargs)
        self.server_learning_rate = server_learning_rate
        self.server_momentum = server_momentum
        self.server_opt = server_momentum != 0 or server_learning_rate != 1
        self._rule = rules.FedAvgM(server_learning_rate=server_learning_rate, server_momentum=server_momentum)

    def initialize_parameters(self, client_manager: ClientManager) -> Parameters | None:
        """See Strategy. They are kept: the first step begins there."""
        return self.initial_parameters

    def combine(self, server_round: int, results: Results) -> NDArrays:
        """See FedAvg. Raises ConfigError without initial parameters."""
        mean = aggregate(results)
        if not self.server_opt:
            return mean
        if self.initial_parameters is None:
            raise ConfigError("FedAvgM needs the initial model.", hint="Pass `initial_parameters`.")
        new = stepped(self._rule, server_round, parameters_to_ndarrays(self.initial_parameters), mean)
        self.initial_parameters = ndarrays_to_parameters(new)
        return new
