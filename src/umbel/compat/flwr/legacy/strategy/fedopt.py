"""FedOpt: adaptive optimisers at the server."""

from __future__ import annotations

from typing import Any

from umbel.compat.flwr.legacy.parameters import parameters_to_ndarrays
from umbel.compat.flwr.legacy.strategy.aggregate import Results, aggregate
from umbel.compat.flwr.legacy.strategy.fedavg import FedAvg
from umbel.compat.flwr.legacy.strategy.serverstep import stepped
from umbel.compat.flwr.legacy.typing import NDArrays, Parameters
from umbel.serverapp.strategy.server_optimizers import FedOpt as Rule

__all__ = ["FedOpt"]


class FedOpt(FedAvg):
    """What FedAdagrad, FedAdam and FedYogi share (Reddi et al. 2020, arXiv 2003.00295). Itself it is FedAvg."""

    optimiser: type[Rule] | None = None
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
        self._rule: Rule | None = None
        if self.optimiser is not None:
            self._rule = self.optimiser(eta=eta, eta_l=eta_l, beta_1=beta_1, beta_2=beta_2, tau=tau)

    def combine(self, server_round: int, results: Results) -> NDArrays:
        """See FedAvg."""
        mean = aggregate(results)
        if self._rule is None:
            return mean
        self.current_weights = stepped(self._rule, server_round, self.current_weights, mean)
        return self.current_weights
