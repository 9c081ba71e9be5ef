"""FedAdam: Adam at the server."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from umbel.app.elements import Floats
from umbel.serverapp.strategy.fedopt import FedOpt


@dataclass(eq=False)
class FedAdam(FedOpt):
    """FedOpt with Adam (Reddi et al. 2020, arXiv 2003.00295):

        m ← β₁ m + (1 - β₁) Δ
        v ← β₂ v + (1 - β₂) Δ²
        w ← w + η_t m / (√v + τ)        where        η_t = η √(1 - β₂^(t+1)) / (1 - β₁^(t+1))

    in round t = 1, 2, …. The factor makes up for m and v beginning at 0, as Adam's (Kingma and Ba 2014, arXiv 1412.6980) does; the
    paper's own algorithm leaves it out, and after some rounds it is near 1.
    """

    beta_1: float = field(default=0.9, kw_only=True)
    """β₁, in [0, 1): how much of m stays in a round."""
    beta_2: float = field(default=0.99, kw_only=True)
    """β₂, in [0, 1): how much of v stays in a round."""

    def learning_rate(self, server_round: int) -> float:
        """η_t."""
        steps = server_round + 1
        return self.eta * math.sqrt(1 - self.beta_2**steps) / (1 - self.beta_1**steps)

    def second_moment(self, v: Floats, squared: Floats) -> None:
        """See `FedOpt.second_moment`."""
        v *= self.beta_2
        v += (1 - self.beta_2) * squared
