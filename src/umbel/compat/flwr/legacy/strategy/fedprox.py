"""FedProx: FedAvg whose clients stay near the model they were sent."""

from __future__ import annotations

from typing import Any

from umbel.compat.flwr.legacy.clientmanager import ClientManager
from umbel.compat.flwr.legacy.clientproxy import ClientProxy
from umbel.compat.flwr.legacy.strategy.fedavg import FedAvg
from umbel.compat.flwr.legacy.typing import FitIns, Parameters

__all__ = ["FedProx"]


class FedProx(FedAvg):
    """FedAvg that sends μ as `proximal_mu`; the client adds μ/2 · ‖w - w_t‖² to its loss (Li et al. 2018, arXiv 1812.06127)."""

    def __init__(self, *, proximal_mu: float, **kwargs: Any) -> None:
        """μ, 0 or more, and what FedAvg takes."""
        super().__init__(**kwargs)
        self.proximal_mu = proximal_mu

    def configure_fit(
        self, server_round: int, parameters: Parameters, client_manager: ClientManager
    ) -> list[tuple[ClientProxy, FitIns]]:
        """As FedAvg, with `proximal_mu` in the configuration."""
        instructions = super().configure_fit(server_round, parameters, client_manager)
        changed = {
            id(ins): self._with_mu(ins) for _, ins in instructions
        }  # clients that share an instruction go on sharing it
        return [(client, changed[id(ins)]) for client, ins in instructions]

    def _with_mu(self, ins: FitIns) -> FitIns:
        return FitIns(ins.parameters, {**ins.config, "proximal_mu": self.proximal_mu})
