"""FedAdam: Adam at the server."""

from __future__ import annotations

from typing import Any

from umbel.compat.flwr.legacy.strategy.fedopt import FedOpt
from umbel.compat.flwr.legacy.typing import Parameters
from umbel.serverapp.strategy.server_optimizers import FedAdam as Rule

__all__ = ["FedAdam"]


class FedAdam(FedOpt):
    """FedOpt with Adam."""

    optimiser = Rule

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
        """See FedOpt."""
        super().__init__(
            initial_parameters=initial_parameters, eta=eta, eta_l=eta_l, beta_1=beta_1, beta_2=beta_2, tau=tau, **kwargs
        )
