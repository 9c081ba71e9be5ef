"""FedYogi: Yogi at the server."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from umbel.app.elements import Floats
from umbel.serverapp.strategy.fedopt import FedOpt


@dataclass(eq=False)
class FedYogi(FedOpt):
    """FedOpt with Yogi (Reddi et al. 2020, arXiv 2003.00295; Zaheer et al. 2018):

        m ← β₁ m + (1 - β₁) Δ
        v ← v - (1 - β₂) Δ² sign(v - Δ²)
        w ← w + η m / (√v + τ)

    v comes down by steps of the size of Δ², not by a share of itself: a quiet round does not make the next steps long, as it may in
    FedAdam.
    """

    eta: float = field(default=0.01, kw_only=True)
    """η, the server's learning rate, above 0."""
    eta_l: float = field(default=0.0316, kw_only=True)
    """The clients' learning rate in the paper, above 0; for the record, the server's rule does not use it."""
    beta_1: float = field(default=0.9, kw_only=True)
    """β₁, in [0, 1): how much of m stays in a round."""
    beta_2: float = field(default=0.99, kw_only=True)
    """β₂, in [0, 1): how slowly v moves."""

    def second_moment(self, v: Floats, squared: Floats) -> None:
        """See `FedOpt.second_moment`."""
        v -= (1 - self.beta_2) * squared * np.sign(v - squared)
