"""The clipping norm that follows a quantile."""

from __future__ import annotations

import math

import numpy as np
import pytest

from umbel.privacy.clipping import next_clipping_norm, update_noise_multiplier


def test_by_hand() -> None:
    """All within at a target of one half and a rate of 0.2: the norm shrinks by exp(-0.1); on target it stays."""
    assert next_clipping_norm(2.0, 1.0, 0.5, 0.2) == pytest.approx(2 * math.exp(-0.1))
    assert next_clipping_norm(2.0, 0.5, 0.5, 0.2) == 2.0


@pytest.mark.parametrize("quantile", [0.2, 0.5, 0.9])
@pytest.mark.parametrize("start", [0.01, 100.0])
def test_it_reaches_the_quantile(quantile: float, start: float) -> None:
    """From far below and far above, with the paper's noise on the count, it ends near the quantile of 1,000 clients' lengths."""
    random = np.random.default_rng(0)
    lengths = random.lognormal(size=1000)
    norm = start
    late = []
    for step in range(300):
        within = float((lengths <= norm).mean()) + random.normal(0, 1 / 20) / 10
        norm = next_clipping_norm(norm, within, quantile, 0.2)
        late += [norm] * (step >= 250)
    assert np.mean([(lengths <= each).mean() for each in late]) == pytest.approx(quantile, abs=0.03)


def test_the_noise_is_shared_out() -> None:
    """1/z² = 1/z_Δ² + 1/(2σ_b)²: sum and count together cost what was asked for, and an impossible share is refused."""
    for z, count in [(1.0, 5.0), (0.3, 0.2), (2.0, 1.1)]:
        assert update_noise_multiplier(z, count) ** -2 + (2 * count) ** -2 == pytest.approx(z**-2)
    assert update_noise_multiplier(0.0, 0.0) == 0.0
    with pytest.raises(ValueError, match="The standard deviation of the clipped count"):
        update_noise_multiplier(1.0, 0.5)
