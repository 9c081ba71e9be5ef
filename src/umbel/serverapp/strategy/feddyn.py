"""FedDyn: averaging of clients whose losses are bent towards the common optimum."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from umbel.app.arrayrecord import ArrayRecord
from umbel.app.configrecord import ConfigRecord
from umbel.app.elements import Floats
from umbel.app.message import Message
from umbel.app.recorddict import RecordDict
from umbel.errors import ConfigError
from umbel.serverapp.grid import Grid
from umbel.serverapp.reduction import Reduction
from umbel.serverapp.strategy.controlled import Controlled
from umbel.serverapp.strategy.serverstep import Memory, recalled, remembered, zeros
from umbel.serverapp.strategy.unweighted import UnweightedMean


@dataclass(eq=False)
class FedDyn(Controlled):
    """FedDyn (Acar et al. 2021, "Federated Learning Based on Dynamic Regularization", arXiv 2111.04263).

    Client k minimises, instead of its own loss F_k alone,

        F_k(w) - ⟨λ_k, w⟩ + α/2 ‖w - w^t‖²        and then        λ_k ← λ_k - α (w_k - w^t)

    so that what all clients agree on is where the sum of the F_k is least, however unlike their data. The server, with n clients k that
    replied, N all clients and h = 0 at first,

        h ← h - α (1/N) Σ_k (w_k - w^t)
        w ← (1/n) Σ_k w_k - h / α

    The server sends α as `proximal-mu`; a client takes part with the mod `umbel.clientapp.feddyn` and, in its training loop, one line of
    `umbel.clientapp.correction`. The mean is unweighted; h grows with every lie: it is robust against no one, and with a tiny α
    or few of many clients in a round it may swing.
    """

    alpha: float = 0.01
    """α, above 0: how strongly clients are held near w^t; the paper uses 0.001 to 0.1."""

    def __post_init__(self) -> None:
        """Check the settings. Raises ConfigError."""
        super().__post_init__()
        if not 0 < self.alpha < float("inf"):
            raise ConfigError(f"alpha must be above 0, not {self.alpha}.")
        self._h: Memory = {}

    def configure_train(
        self, server_round: int, arrays: ArrayRecord, config: ConfigRecord, grid: Grid
    ) -> Iterable[Message]:
        """As FedAvg, with α as `proximal-mu` in the configuration."""
        with_alpha = ConfigRecord({**config, "proximal-mu": float(self.alpha)})
        return super().configure_train(server_round, arrays, with_alpha, grid)

    def train_reduction(self) -> Reduction:
        """The plain mean of the replies is all that the step needs."""
        return UnweightedMean(self.weighted_by_key)

    def step(self, server_round: int, name: str, current: Floats, delta: Floats) -> Floats:
        """See `ServerStep.step`."""
        h = zeros(self._h, name, delta)
        h -= self.alpha * self.share * delta
        return current + delta - h / self.alpha

    def state(self) -> RecordDict:
        """The server's h."""
        return remembered(h=self._h)

    def load_state(self, state: RecordDict) -> None:
        """Go on with h."""
        self._h = recalled(state, "h")
