"""Differential privacy with a clipping norm that stays."""

from __future__ import annotations

from umbel.compat.flwr.legacy.strategy.dp import CLIPPING_NORM, DifferentialPrivacy
from umbel.compat.flwr.legacy.typing import Config

__all__ = ["DifferentialPrivacyClientSideFixedClipping", "DifferentialPrivacyServerSideFixedClipping"]


class DifferentialPrivacyServerSideFixedClipping(DifferentialPrivacy):
    """The server clips. See DifferentialPrivacy."""


class DifferentialPrivacyClientSideFixedClipping(DifferentialPrivacy):
    """The clients clip, with `fixedclipping_mod`, before anything leaves the site. See DifferentialPrivacy."""

    def extra_config(self) -> Config:
        """The norm, for the mod."""
        return {CLIPPING_NORM: float(self.clipping_norm)}
