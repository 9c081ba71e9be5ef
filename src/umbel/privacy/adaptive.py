"""A clipping norm that follows a quantile of the updates' lengths (Andrew et al. 2019, arXiv 1905.03871).

Each client says by a bit whether its update was within the norm C. From the noisy share b̃ of such clients, the next norm is

    C ← C · exp(-η · (b̃ - γ))

where γ is the quantile that C should be and η a rate. C then rises while fewer than γ of the updates fit, and falls while more do.
"""

from __future__ import annotations

import math


def next_clipping_norm(norm: float, within: float, target_quantile: float, rate: float) -> float:
    """The norm for the next round; `within` is the noisy share of updates that were not longer than `norm`."""
    return norm * math.exp(-rate * (within - target_quantile))


def update_noise_multiplier(noise_multiplier: float, count_stddev: float) -> float:
    """The noise multiplier z_Δ for the updates that, with the noise on the count of bits, gives `noise_multiplier` z for both together.

    Bits are counted as ±½, so that one client moves the count by ½, and Theorem 1 of the paper gives

        z_Δ = (z⁻² - (2σ_b)⁻²)^(-½)

    Raises ValueError when the count's noise σ_b alone does not allow as little as z.
    """
    if noise_multiplier == 0:
        return 0.0
    if 2 * count_stddev <= noise_multiplier:
        raise ValueError(
            f"The noise on the count of bits, {count_stddev}, must be above half of the noise multiplier {noise_multiplier}."
        )
    return 1 / math.sqrt(noise_multiplier**-2 - (2 * count_stddev) ** -2)
