"""DP-FedAvg: the oldest of the wrappers for differential privacy, for clients that are a DPFedAvgNumPyClient."""

from __future__ import annotations

from umbel.compat.flwr.legacy.strategy.dp import DifferentialPrivacy
from umbel.compat.flwr.legacy.strategy.dpadaptive import DifferentialPrivacyClientSideAdaptiveClipping
from umbel.compat.flwr.legacy.strategy.strategy import Strategy
from umbel.compat.flwr.legacy.typing import Config

__all__ = ["DPFedAvgAdaptive", "DPFedAvgFixed"]


class _DPFedAvg(DifferentialPrivacy):
    """Clients clip; with `server_side_noising` the server adds the noise, otherwise each client adds z C / √n of it."""

    server_side_noising = True

    @property
    def clip_norm(self) -> float:
        """C."""
        return self.clipping_norm

    @property
    def noise_stddev(self) -> float:
        """See DifferentialPrivacy."""
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
