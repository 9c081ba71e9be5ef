"""Differential privacy with a clipping norm that stays."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from umbel.app.arrayrecord import ArrayRecord
from umbel.app.configrecord import ConfigRecord
from umbel.app.message import Message
from umbel.errors import ConfigError
from umbel.serverapp.grid import Grid
from umbel.serverapp.strategy.dp import CLIPPING_NORM, DifferentialPrivacy
from umbel.serverapp.strategy.dp_checks import check_number
from umbel.serverapp.strategy.dp_update import UpdatesClippedByClients


@dataclass(eq=False)
class _FixedClipping(DifferentialPrivacy):
    clipping_norm: float
    """C, above 0: the length that an update may have."""
    num_sampled_clients: int
    """n, the number of clients that train in a round: the sum of their updates is divided by it."""

    def _check(self) -> None:
        super()._check()
        check_number("clipping_norm", self.clipping_norm)
        if self.num_sampled_clients < 1:
            raise ConfigError(f"num_sampled_clients must be at least 1, not {self.num_sampled_clients}.")

    def bound(self) -> float:
        """See `DifferentialPrivacy.bound`."""
        return self.clipping_norm

    def sampled(self) -> int:
        """See `DifferentialPrivacy.sampled`."""
        return self.num_sampled_clients


@dataclass(eq=False)
class DifferentialPrivacyServerSideFixedClipping(_FixedClipping):
    """Differential privacy for each client, whose updates the server clips to a fixed norm.

    Adjacency, sensitivity, formula, sources and when the guarantee does not hold: see `DifferentialPrivacy`. In a simulation the updates
    are clipped and summed where the clients are served. The clients need to do nothing.

    >>> DifferentialPrivacyServerSideFixedClipping(
    ...     FedAvg(fraction_train=0.1), noise_multiplier=1.0, clipping_norm=0.5, num_sampled_clients=100, epsilon_budget=8.0
    ... )
    """


@dataclass(eq=False)
class DifferentialPrivacyClientSideFixedClipping(_FixedClipping):
    """Differential privacy for each client, whose updates are clipped by the clients themselves before they leave the site.

    The norm travels as `clipping_norm` in the configuration, and the ClientApp clips with `umbel.clientapp.mod.fixedclipping_mod`. The
    server drops an update that is longer, so the sensitivity holds even where a client does not clip; how much of an
    update leaves the site is then that client's doing. All else: see `DifferentialPrivacy`.
    """

    def train_reduction(self) -> UpdatesClippedByClients:
        """The sum of the updates, each checked for its length."""
        return UpdatesClippedByClients(self._weighted_by_key, clipping_norm=self.bound())

    def configure_train(
        self, server_round: int, arrays: ArrayRecord, config: ConfigRecord, grid: Grid
    ) -> Iterable[Message]:
        """As the wrapped strategy, with `clipping_norm` in the configuration."""
        config[CLIPPING_NORM] = float(self.bound())
        return super().configure_train(server_round, arrays, config, grid)
