"""The noise has the distribution that the guarantee is about."""

from __future__ import annotations

import math

import numpy as np
import pytest

from umbel.privacy import gaussian

MILLION = 1_000_000


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_its_standard_deviation(dtype: type[np.floating]) -> None:
    """Of 10^6 draws it is within 1 % of what was asked, in both types; the mean is 0 and what was there stays."""
    target = np.full(MILLION, 5, dtype)
    gaussian.add_gaussian(target, 3.0, gaussian.new_key(1), b"x")
    assert target.std() == pytest.approx(3.0, rel=0.01)
    assert target.mean(dtype=np.float64) == pytest.approx(5.0, abs=5 * 3 / math.sqrt(MILLION))


def test_its_shape() -> None:
    """The largest distance between the empirical and the normal distribution is below the 0.1 % bound of Kolmogorov and Smirnov."""
    draws = np.sort(gaussian.normal(gaussian.new_key(2), b"x", 100_000))
    normal = np.array([math.erfc(-x / math.sqrt(2)) / 2 for x in draws.tolist()])
    steps = np.arange(1, draws.size + 1) / draws.size
    assert np.abs(steps - normal).max() < 1.95 / math.sqrt(draws.size)


def test_no_two_draws_hang_together() -> None:
    """Neighbours, the halves of a block and the blocks are uncorrelated."""
    draws = gaussian.normal(gaussian.new_key(3), b"x", 1 << 18)
    for lag in (1, 2, 16_384, 32_768, 65_536):
        assert abs(np.corrcoef(draws[:-lag], draws[lag:])[0, 1]) < 5 / math.sqrt(draws.size - lag)


def test_a_key_and_a_label_are_one_noise() -> None:
    """The same two repeat it, whatever the length; another key or label gives another; without a seed no two keys are the same."""
    key = gaussian.new_key(1)
    long = gaussian.normal(key, b"x", 70_000)
    assert np.array_equal(gaussian.normal(key, b"x", 40_000), long[:40_000])
    for other in (gaussian.normal(gaussian.new_key(2), b"x", 10), gaussian.normal(key, b"y", 10)):
        assert not np.intersect1d(other, long).size
    assert gaussian.new_key() != gaussian.new_key()
    assert len(gaussian.new_key()) == 32


def test_no_noise() -> None:
    """A standard deviation of 0 leaves every bit as it was."""
    target = np.array([1.5, -0.0])
    gaussian.add_gaussian(target, 0.0, gaussian.new_key(1), b"x")
    assert target.tobytes() == np.array([1.5, -0.0]).tobytes()
