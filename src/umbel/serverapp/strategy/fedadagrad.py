"""FedAdagrad: Adagrad at the server."""

from __future__ import annotations

from dataclasses import dataclass

from umbel.app.elements import Floats
from umbel.serverapp.strategy.fedopt import FedOpt


@dataclass(eq=False)
class FedAdagrad(FedOpt):
    """FedOpt with Adagrad (Reddi et al. 2020, arXiv 2003.00295):

        v ← v + Δ²
        w ← w + η Δ / (√v + τ)

    so that steps only become shorter. Its `beta_1` is 0 by default, as in the paper's experiments; `beta_2` is not used.
    """

    def second_moment(self, v: Floats, squared: Floats) -> None:
        """See `FedOpt.second_moment`."""
        v += squared
