"""FedAvgM: federated averaging with momentum at the server."""

from __future__ import annotations

from dataclasses import dataclass

from umbel.app.arrayrecord import ArrayRecord
from umbel.app.elements import Floats
from umbel.app.recorddict import RecordDict
from umbel.errors import ConfigError
from umbel.serverapp.strategy.serverstep import Memory, ServerStep, recalled, remembered, zeros


@dataclass(eq=False)
class FedAvgM(ServerStep):
    """Federated averaging with server momentum (Hsu et al. 2019, arXiv 1909.06335).

    With Δ the difference of the clients' weighted mean from the arrays w they were sent, and v = 0 at first,

        v ← β v + Δ
        w ← w + η v

    where η is `server_learning_rate` and β `server_momentum`. With η = 1 and β = 0 it is FedAvg. It calms the rounds that
    clients with unlike data pull to and fro; it protects from nothing: one client can move the mean at will.
    """

    server_learning_rate: float = 1.0
    """η, above 0."""
    server_momentum: float = 0.0
    """β, in [0, 1)."""

    def __post_init__(self) -> None:
        """Check the settings. Raises ConfigError."""
        super().__post_init__()
        if not 0 < self.server_learning_rate < float("inf"):
            raise ConfigError(f"server_learning_rate must be above 0, not {self.server_learning_rate}.")
        if not 0 <= self.server_momentum < 1:
            raise ConfigError(f"server_momentum must be in [0, 1), not {self.server_momentum}.")
        self._velocity: Memory = {}

    def stepped(self, server_round: int, mean: ArrayRecord) -> ArrayRecord:
        """See `ServerStep.stepped`. Where it is FedAvg it is so to the last bit."""
        if self.server_learning_rate == 1 and self.server_momentum == 0:
            return mean
        return super().stepped(server_round, mean)

    def step(self, server_round: int, name: str, current: Floats, delta: Floats) -> Floats:
        """See `ServerStep.step`."""
        v = zeros(self._velocity, name, delta)
        v *= self.server_momentum
        v += delta
        return current + self.server_learning_rate * v

    def state(self) -> RecordDict:
        """The velocity v."""
        return remembered(velocity=self._velocity)

    def load_state(self, state: RecordDict) -> None:
        """Go on with v."""
        self._velocity = recalled(state, "velocity")
