"""FedOpt: adaptive optimisers at the server."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass, field

import numpy as np

from umbel.app.elements import Floats
from umbel.app.recorddict import RecordDict
from umbel.errors import ConfigError
from umbel.serverapp.strategy.serverstep import Memory, ServerStep, recalled, remembered, zeros


@dataclass(eq=False)
class FedOpt(ServerStep):
    """What FedAdagrad, FedAdam and FedYogi share (Reddi et al. 2020, "Adaptive Federated Optimization", arXiv 2003.00295, Algorithm 2).

    With Δ the difference of the clients' weighted mean from the arrays w they were sent, and m = v = 0 at first, element by element

        m ← β₁ m + (1 - β₁) Δ
        v ← what the optimiser makes of v and Δ²
        w ← w + η m / (√v + τ)

    Elements that move little get longer steps and those that move much shorter ones, which helps where features are rare or
    skewed. Like the mean it stands on, it is robust against no one.
    """

    eta: float = field(default=0.1, kw_only=True)
    """η, the server's learning rate, above 0."""
    eta_l: float = field(default=0.1, kw_only=True)
    """The clients' learning rate in the paper, above 0; for the record, the server's rule does not use it."""
    beta_1: float = field(default=0.0, kw_only=True)
    """β₁, in [0, 1): how much of m stays in a round."""
    beta_2: float = field(default=0.0, kw_only=True)
    """β₂, in [0, 1): how much of v stays in a round."""
    tau: float = field(default=1e-3, kw_only=True)
    """τ, above 0: how adaptive the steps are; the smaller, the more."""

    def __post_init__(self) -> None:
        """Check the settings. Raises ConfigError."""
        super().__post_init__()
        for name in ("eta", "eta_l", "tau"):
            if not 0 < getattr(self, name) < float("inf"):
                raise ConfigError(f"{name} must be above 0, not {getattr(self, name)}.")
        for name in ("beta_1", "beta_2"):
            if not 0 <= getattr(self, name) < 1:
                raise ConfigError(f"{name} must be in [0, 1), not {getattr(self, name)}.")
        self._m: Memory = {}
        self._v: Memory = {}

    @abstractmethod
    def second_moment(self, v: Floats, squared: Floats) -> None:
        """Bring `v` up to date with Δ², in place."""

    def learning_rate(self, server_round: int) -> float:
        """The η of this round."""
        return self.eta

    def step(self, server_round: int, name: str, current: Floats, delta: Floats) -> Floats:
        """See `ServerStep.step`."""
        m, v = zeros(self._m, name, delta), zeros(self._v, name, delta)
        m *= self.beta_1
        m += (1 - self.beta_1) * delta
        self.second_moment(v, np.square(delta))
        return np.asarray(current + self.learning_rate(server_round) * m / (np.sqrt(v) + self.tau))

    def state(self) -> RecordDict:
        """The moments m and v."""
        return remembered(m=self._m, v=self._v)

    def load_state(self, state: RecordDict) -> None:
        """Go on with m and v."""
        self._m, self._v = recalled(state, "m"), recalled(state, "v")
