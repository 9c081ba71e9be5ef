"""Differential privacy with fixed and with adaptive clipping."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from umbel.app.arrayrecord import ArrayRecord
from umbel.app.message import Message
from umbel.app.recorddict import RecordDict
from umbel.app.records import ConfigRecord, MetricRecord
from umbel.errors import ConfigError
from umbel.privacy import gaussian
from umbel.privacy.clipping import next_clipping_norm, update_noise_multiplier
from umbel.serverapp.aggregation.weighted_sum import WeightedSum
from umbel.serverapp.grid import Grid
from umbel.serverapp.strategy.dp import CLIPPING_NORM, DifferentialPrivacy
from umbel.serverapp.strategy.dp_update import UpdatesClippedByClients, check_number


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
        """C in this round."""
        return self.clipping_norm

    def sampled(self) -> int:
        """The n that the sum of the updates is divided by."""
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


_NORM = "clipping-norm"


@dataclass(eq=False)
class _AdaptiveClipping(DifferentialPrivacy):
    num_sampled_clients: int
    """n, the number of clients that train in a round: the sum of their updates is divided by it."""
    initial_clipping_norm: float = 0.1
    """C in the first round, above 0."""
    target_clipped_quantile: float = 0.5
    """γ in [0, 1]: the share of the updates that shall be within the norm."""
    clip_norm_lr: float = 0.2
    """η, above 0: how fast the norm follows."""
    clipped_count_stddev: float | None = None
    """σ_b, the noise on the number of updates within the norm, above z/2. None: n/20, as the paper advises; or z where n is too small
    for that."""

    def __post_init__(self) -> None:
        """Check the settings. Raises ConfigError."""
        super().__post_init__()
        self.clipping_norm = self.initial_clipping_norm

    def _check(self) -> None:
        super()._check()
        if self.num_sampled_clients < 1:
            raise ConfigError(f"num_sampled_clients must be at least 1, not {self.num_sampled_clients}.")
        check_number("initial_clipping_norm", self.initial_clipping_norm)
        check_number("clip_norm_lr", self.clip_norm_lr)
        if not 0 <= self.target_clipped_quantile <= 1:
            raise ConfigError(f"target_clipped_quantile must be in [0, 1], not {self.target_clipped_quantile}.")
        if self.clipped_count_stddev is not None:
            check_number("clipped_count_stddev", self.clipped_count_stddev, or_zero=True)
        try:
            self._update_multiplier = update_noise_multiplier(self.noise_multiplier, self._count_stddev())
        except ValueError as error:
            raise ConfigError(str(error), hint="Raise clipped_count_stddev.") from error

    def _count_stddev(self) -> float:
        if self.clipped_count_stddev is not None:
            return self.clipped_count_stddev
        z, usual = self.noise_multiplier, self.num_sampled_clients / 20
        return 0.0 if z == 0 else usual if 2 * usual > z else z

    def bound(self) -> float:
        """C in this round."""
        return self.clipping_norm

    def sampled(self) -> int:
        """The n that the sum of the updates is divided by."""
        return self.num_sampled_clients

    def update_multiplier(self) -> float:
        """z_Δ."""
        return self._update_multiplier

    def next_bound(self, updates: WeightedSum, round_key: bytes) -> float:
        """The norm for the next round, from the noisy count of the updates within this one."""
        above_half = updates.weight - updates.count / 2  # each client moves this by ½, and a missing one by nothing
        noisy = above_half + self._count_stddev() * float(gaussian.normal(round_key, b"count", 1)[0])
        within = 0.5 + noisy / self.num_sampled_clients
        return next_clipping_norm(self.clipping_norm, within, self.target_clipped_quantile, self.clip_norm_lr)

    def set_bound(self, bound: float) -> None:
        """Clip to this from now on."""
        self.clipping_norm = bound

    def server_metrics(self) -> dict[str, float]:
        """ε, and the norm for the next round: it was made from noisy bits, so it may be shown."""
        return {**super().server_metrics(), _NORM: self.clipping_norm}

    def state(self) -> RecordDict:
        """What was released, the key of the noise to come, and the wrapped strategy's state."""
        return RecordDict({**super().state(), _NORM: MetricRecord({"value": self.clipping_norm})})

    def load_state(self, state: RecordDict) -> None:
        """Remember what `state` gave out."""
        super().load_state(state)
        self.clipping_norm = float(state.metric_records[_NORM]["value"])  # type: ignore[arg-type]


@dataclass(eq=False)
class DifferentialPrivacyServerSideAdaptiveClipping(_AdaptiveClipping):
    """Differential privacy for each client, whose updates the server clips to a norm that follows a quantile of their lengths.

    Andrew et al. 2019 (arXiv 1905.03871). With b_k = 1 where ‖Δ_k‖ ≤ C, else 0, and n = `num_sampled_clients`,

        b̃ = ½ + (Σ_k (b_k - ½) + N(0, σ_b²)) / n,        C ← C · exp(-η · (b̃ - γ))

    and the updates are summed with noise of z_Δ·C, where z_Δ = (z⁻² - (2σ_b)⁻²)^(-½) is a little above z = `noise_multiplier`, so
    that sum and count together cost what one release with z costs. A client moves the count by ½. The norm of the next round is
    shown as `clipping-norm`. All else: see `DifferentialPrivacy`.
    """


@dataclass(eq=False)
class DifferentialPrivacyClientSideAdaptiveClipping(_AdaptiveClipping):
    """As DifferentialPrivacyServerSideAdaptiveClipping, where the clients clip and say whether their update was within the norm.

    The norm travels as `clipping_norm` in the configuration; the ClientApp clips with `umbel.clientapp.mod.adaptiveclipping_mod`, which
    adds `norm_bit` to the metrics. The server drops a reply whose update is longer than the norm or which has no bit of 0 or 1; it takes the
    bits out of the metrics.
    """

    def train_reduction(self) -> UpdatesClippedByClients:
        """The sum of the updates, each checked for its length, and of the bits."""
        return UpdatesClippedByClients(self._weighted_by_key, clipping_norm=self.bound(), counts_bits=True)

    def configure_train(
        self, server_round: int, arrays: ArrayRecord, config: ConfigRecord, grid: Grid
    ) -> Iterable[Message]:
        """As the wrapped strategy, with `clipping_norm` in the configuration."""
        config[CLIPPING_NORM] = float(self.bound())
        return super().configure_train(server_round, arrays, config, grid)
