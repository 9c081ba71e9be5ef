"""FedProx: federated averaging of clients that are held near the global model."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import dataclass

from umbel.app.arrayrecord import ArrayRecord
from umbel.app.message import Message
from umbel.app.records import ConfigRecord
from umbel.errors import ConfigError
from umbel.serverapp.grid import Grid
from umbel.serverapp.strategy.fedavg import FedAvg

log = logging.getLogger(__name__)


@dataclass(eq=False)
class FedProx(FedAvg):
    """FedProx (Li et al. 2018, arXiv 1812.06127): FedAvg whose clients minimise, instead of their loss F_k alone,

        h_k(w; w^t) = F_k(w) + μ/2 · ‖w - w^t‖²

    where w^t are the arrays they were sent. The server averages as FedAvg does and sends μ as `proximal-mu` in the
    configuration; the clients add the term, e.g. with `umbel.clientapp.proximal`. With μ = 0 it is FedAvg.
    """

    proximal_mu: float = 0.0
    """μ, 0 or more."""

    def __post_init__(self) -> None:
        """Check the settings. Raises ConfigError."""
        super().__post_init__()
        if not self.proximal_mu >= 0:
            raise ConfigError(f"proximal_mu must be at least 0, not {self.proximal_mu}.")
        if self.proximal_mu == 0:
            log.warning("FedProx with proximal_mu = 0 is FedAvg.")

    def configure_train(
        self, server_round: int, arrays: ArrayRecord, config: ConfigRecord, grid: Grid
    ) -> Iterable[Message]:
        """As FedAvg, with `proximal-mu` in the configuration."""
        with_mu = ConfigRecord({**config, "proximal-mu": float(self.proximal_mu)})
        return super().configure_train(server_round, arrays, with_mu, grid)
