"""FedAdagrad: Adagrad at the server."""

from __future__ import annotations

from typing import Any

from umbel.compat.flwr.legacy.strategy.fedopt import FedOpt
from umbel.compat.flwr.legacy.typing import Parameters
from umbel.serverapp.strategy.server_optimizers import FedAdagrad as Rule

__all__ = ["FedAdagrad"]


class FedAdagrad(FedOpt):
    """FedOpt with Adagrad."""

    optimiser = Rule

    def __init__(
        self, *, initial_parameters: Parameters, eta: float = 0.1, eta_l: float = 0.1, tau: float = 1e-9, **kwargs: Any
    ) -> None:
        """See FedOpt."""
        super().__init__(
            initial_parameters=initial_parameters, eta=eta, eta_l=eta_l, beta_1=0.0, beta_2=0.0, tau=tau, **kwargs
        )
