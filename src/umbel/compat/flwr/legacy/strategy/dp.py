"""Differential privacy as a wrapper around another strategy, and DP-FedAvg."""

from __future__ import annotations

import logging
import math

from umbel.app.arrayrecord import ArrayRecord
from umbel.app.records import as_array, floats, is_inexact, narrowed
from umbel.compat.flwr.legacy.clientmanager import ClientManager, ClientProxy
from umbel.compat.flwr.legacy.strategy.strategy import FitFailures, FitResults, Strategy, Wrapper
from umbel.compat.flwr.legacy.typing import (
    Config,
    FitIns,
    Metrics,
    Parameters,
    ndarrays_to_parameters,
    parameters_to_ndarrays,
)
from umbel.privacy import gaussian
from umbel.privacy.clipping import clip, moved, next_clipping_norm, numbers, update_noise_multiplier, update_of

__all__ = [
    "DPFedAvgAdaptive",
    "DPFedAvgFixed",
    "DifferentialPrivacyClientSideAdaptiveClipping",
    "DifferentialPrivacyClientSideFixedClipping",
    "DifferentialPrivacyServerSideAdaptiveClipping",
    "DifferentialPrivacyServerSideFixedClipping",
]


CLIPPING_NORM = "clipping_norm"
NORM_BIT = "norm_bit"

log = logging.getLogger(__name__)


class DifferentialPrivacy(Wrapper):
    """Protects each client: w ← w + mean(clip(w_k - w, C)) + N(0, (z C / n)²), for inner strategies that average.

    One client moves the outcome by at most C / n, because all count the same, whatever their numbers of examples, and because the server
    clips even what clients should have clipped: there Flower's own wrappers promise more than they keep. A round with any failure is
    not used. The noise comes from the operating system's generator, so it cannot be reproduced. For a budget of ε,
    use Umbel's own strategies.
    """

    def __init__(
        self, strategy: Strategy, noise_multiplier: float, clipping_norm: float, num_sampled_clients: int
    ) -> None:
        """Z of 0 or more, C above 0, n of 1 or more. Raises ValueError."""
        super().__init__(strategy)
        if not 0 <= noise_multiplier < math.inf:
            raise ValueError(f"`noise_multiplier` must be at least 0, not {noise_multiplier}.")
        if not 0 < clipping_norm < math.inf:
            raise ValueError(f"The clipping norm must be greater than 0, not {clipping_norm}.")
        if num_sampled_clients <= 0:
            raise ValueError(f"`num_sampled_clients` must be greater than 0, not {num_sampled_clients}.")
        self.noise_multiplier = noise_multiplier
        self.clipping_norm = clipping_norm
        self.num_sampled_clients = num_sampled_clients
        self._sent = ArrayRecord()
        self._key = gaussian.new_key()

    @property
    def noise_stddev(self) -> float:
        """The standard deviation of what the server adds to each element of the mean."""
        return self.noise_multiplier * self.clipping_norm / self.num_sampled_clients

    def configure_fit(
        self, server_round: int, parameters: Parameters, client_manager: ClientManager
    ) -> list[tuple[ClientProxy, FitIns]]:
        """See Strategy. The model is remembered, to tell the updates."""
        self._sent = ArrayRecord(parameters_to_ndarrays(parameters))
        return super().configure_fit(server_round, parameters, client_manager)

    def aggregate_fit(
        self, server_round: int, results: FitResults, failures: FitFailures
    ) -> tuple[Parameters | None, Metrics]:
        """The new model, None to keep the old one, and the metrics of the training."""
        if failures or not results:
            return None, {}
        if len(results) != self.num_sampled_clients:
            log.warning(
                "%d clients trained, but the noise is calibrated for %d.", len(results), self.num_sampled_clients
            )
        try:
            within = self._clip(results)
        except ValueError as reason:
            log.warning("The result of round %d is discarded: %s", server_round, reason)
            return None, {}
        stddev = self.noise_stddev * max(1.0, self.num_sampled_clients / len(results))
        key = gaussian.derive(self._key, str(server_round).encode())
        parameters, metrics = self.strategy.aggregate_fit(server_round, results, failures)
        self.follow(within, results, key)
        return parameters and _noisy(parameters, stddev, key), metrics

    def follow(self, within: int, results: FitResults, key: bytes) -> None:
        """Choose the norm for the next round; `within` updates were not longer than this one's."""

    def _clip(self, results: FitResults) -> int:
        """Clip each result's update in place and have all count the same; how many were within the norm.

        Raises ValueError when one has other arrays than were sent, or a length that is not finite.
        """
        before = numbers(self._sent)
        within = 0
        for _, res in results:
            update = update_of(ArrayRecord(parameters_to_ndarrays(res.parameters)), self._sent, before)
            within += clip(update, self.clipping_norm) <= self.clipping_norm
            res.parameters = ndarrays_to_parameters(moved(self._sent, before, update).to_numpy_ndarrays())
            res.num_examples = 1
        return within


def _noisy(parameters: Parameters, stddev: float, key: bytes) -> Parameters:
    noised = []
    for index, array in enumerate(ArrayRecord(parameters_to_ndarrays(parameters)).values()):
        values = floats(array).copy()
        if is_inexact(array):
            gaussian.add_gaussian(values, stddev, key, b"%d" % index)
        noised.append(as_array(narrowed(array.dtype, values), array).numpy())
    return ndarrays_to_parameters(noised)


class DifferentialPrivacyServerSideFixedClipping(DifferentialPrivacy):
    """The server clips. See DifferentialPrivacy."""


class DifferentialPrivacyClientSideFixedClipping(DifferentialPrivacy):
    """The clients clip, with `fixedclipping_mod`, before anything leaves the site. See DifferentialPrivacy."""

    def extra_config(self) -> Config:
        """The norm, for the mod."""
        return {CLIPPING_NORM: float(self.clipping_norm)}


class DifferentialPrivacyServerSideAdaptiveClipping(DifferentialPrivacy):
    """The server clips, to C ← C · exp(-η (b̃ - γ)), b̃ the noisy share of updates within C (Andrew et al. 2019, arXiv 1905.03871).

    (Flower's own wrapper takes b̃ for the share that was clipped, and adds the noise of the next round's norm.) See
    DifferentialPrivacy.
    """

    def __init__(
        self,
        strategy: Strategy,
        noise_multiplier: float,
        num_sampled_clients: int,
        initial_clipping_norm: float = 0.1,
        target_clipped_quantile: float = 0.5,
        clip_norm_lr: float = 0.2,
        clipped_count_stddev: float | None = None,
    ) -> None:
        """z, n, C of the first round, γ in [0, 1], η above 0, and the noise on the count, n/20 by default. Raises ValueError."""
        super().__init__(strategy, noise_multiplier, initial_clipping_norm, num_sampled_clients)
        if not 0 <= target_clipped_quantile <= 1:
            raise ValueError(f"`target_clipped_quantile` must be in [0, 1], not {target_clipped_quantile}.")
        if clip_norm_lr <= 0:
            raise ValueError(f"`clip_norm_lr` must be greater than 0, not {clip_norm_lr}.")
        if clipped_count_stddev is None:
            clipped_count_stddev = num_sampled_clients / 20 if noise_multiplier else 0.0
        if clipped_count_stddev < 0:
            raise ValueError(f"`clipped_count_stddev` must be at least 0, not {clipped_count_stddev}.")
        self.target_clipped_quantile = target_clipped_quantile
        self.clip_norm_lr = clip_norm_lr
        self.clipped_count_stddev = clipped_count_stddev
        self.noise_multiplier = update_noise_multiplier(noise_multiplier, clipped_count_stddev)

    def follow(self, within: int, results: FitResults, key: bytes) -> None:
        """Choose the norm for the next round; `within` updates were not longer than this one's."""
        noisy = within + self.clipped_count_stddev * float(gaussian.normal(key, b"count", 1)[0])
        share = noisy / len(results)
        self.clipping_norm = next_clipping_norm(
            self.clipping_norm, share, self.target_clipped_quantile, self.clip_norm_lr
        )


class DifferentialPrivacyClientSideAdaptiveClipping(DifferentialPrivacyServerSideAdaptiveClipping):
    """The clients clip, with `adaptiveclipping_mod`, and say whether their update was within the norm."""

    norm_bit = NORM_BIT
    """The metric that says it."""

    def extra_config(self) -> Config:
        """The norm, for the mod."""
        return {CLIPPING_NORM: float(self.clipping_norm)}

    def follow(self, within: int, results: FitResults, key: bytes) -> None:
        """See DifferentialPrivacy. Raises KeyError for a client without the bit."""
        for client, res in results:
            if self.norm_bit not in res.metrics:
                raise KeyError(
                    f"Client {client.cid} reported no metric {self.norm_bit!r}: check that its ClientApp has the clipping mod."
                )
        super().follow(sum(bool(res.metrics[self.norm_bit]) for _, res in results), results, key)


class _DPFedAvg(DifferentialPrivacy):
    """Clients clip; with `server_side_noising` the server adds the noise, otherwise each client adds z C / √n of it."""

    server_side_noising = True

    @property
    def clip_norm(self) -> float:
        """C."""
        return self.clipping_norm

    @property
    def noise_stddev(self) -> float:
        """The standard deviation of what the server adds to each element of the mean."""
        return super().noise_stddev if self.server_side_noising else 0.0

    def extra_config(self) -> Config:
        """What DPFedAvgNumPyClient needs to know."""
        config: Config = {"dpfedavg_clip_norm": float(self.clipping_norm)}
        if not self.server_side_noising:
            stddev = self.noise_multiplier * self.clipping_norm / self.num_sampled_clients**0.5
            config["dpfedavg_noise_stddev"] = float(stddev)
        return config


class DPFedAvgFixed(_DPFedAvg):
    """With a clipping norm that stays."""

    def __init__(
        self,
        strategy: Strategy,
        num_sampled_clients: int,
        clip_norm: float,
        noise_multiplier: float = 1,
        server_side_noising: bool = True,
    ) -> None:
        """n, C above 0, z of 0 or more, and who adds the noise. Raises ValueError."""
        super().__init__(strategy, noise_multiplier, clip_norm, num_sampled_clients)
        self.server_side_noising = server_side_noising


class DPFedAvgAdaptive(_DPFedAvg, DifferentialPrivacyClientSideAdaptiveClipping):
    """With a clipping norm that follows a quantile of the updates' lengths."""

    norm_bit = "dpfedavg_norm_bit"

    def __init__(
        self,
        strategy: Strategy,
        num_sampled_clients: int,
        init_clip_norm: float = 0.1,
        noise_multiplier: float = 1.0,
        server_side_noising: bool = True,
        clip_norm_lr: float = 0.2,
        clip_norm_target_quantile: float = 0.5,
        clip_count_stddev: float | None = None,
    ) -> None:
        """As DPFedAvgFixed and DifferentialPrivacyServerSideAdaptiveClipping. Raises ValueError."""
        DifferentialPrivacyClientSideAdaptiveClipping.__init__(
            self,
            strategy,
            noise_multiplier,
            num_sampled_clients,
            init_clip_norm,
            clip_norm_target_quantile,
            clip_norm_lr,
            clip_count_stddev,
        )
        self.server_side_noising = server_side_noising

    def extra_config(self) -> Config:
        """What DPFedAvgNumPyClient needs to know."""
        return {**super().extra_config(), "dpfedavg_adaptive_clip_enabled": True}
