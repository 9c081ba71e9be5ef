"""Differential privacy with a clipping norm that follows a quantile of the updates' lengths."""

from __future__ import annotations

from umbel.compat.flwr.legacy.strategy.dp import CLIPPING_NORM, NORM_BIT, DifferentialPrivacy
from umbel.compat.flwr.legacy.strategy.strategy import FitResults, Strategy
from umbel.compat.flwr.legacy.typing import Config
from umbel.privacy import gaussian
from umbel.privacy.clipping import next_clipping_norm, update_noise_multiplier

__all__ = ["DifferentialPrivacyClientSideAdaptiveClipping", "DifferentialPrivacyServerSideAdaptiveClipping"]


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
            raise ValueError(f"`clip_norm_lr` must be above 0, not {clip_norm_lr}.")
        if clipped_count_stddev is None:
            clipped_count_stddev = num_sampled_clients / 20 if noise_multiplier else 0.0
        if clipped_count_stddev < 0:
            raise ValueError(f"`clipped_count_stddev` must be 0 or more, not {clipped_count_stddev}.")
        self.target_clipped_quantile = target_clipped_quantile
        self.clip_norm_lr = clip_norm_lr
        self.clipped_count_stddev = clipped_count_stddev
        self.noise_multiplier = update_noise_multiplier(noise_multiplier, clipped_count_stddev)

    def follow(self, within: int, results: FitResults, key: bytes) -> None:
        """See DifferentialPrivacy."""
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
                raise KeyError(f"Client {client.cid} has no metric {self.norm_bit!r}: has its ClientApp the mod?")
        super().follow(sum(bool(res.metrics[self.norm_bit]) for _, res in results), results, key)
