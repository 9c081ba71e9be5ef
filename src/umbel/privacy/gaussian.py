"""The Gaussian mechanism: noise, its calibration, and the guarantee."""

from __future__ import annotations

import hashlib
import math
import secrets
from typing import Any

import numpy as np
from numpy.typing import NDArray

_BLOCK = 32_768  # numbers made at a time
_UNIT = 2.0**-53


def new_key(seed: int | None = None) -> bytes:
    """A key of 32 bytes from the operating system's generator; from `seed` in tests, where the noise then protects nothing."""
    return secrets.token_bytes(32) if seed is None else derive(b"umbel-seed", str(seed).encode())


def derive(key: bytes, label: bytes) -> bytes:
    """A key of 32 bytes that belongs to `label`. Neither `key` nor another label's key can be found from it."""
    return hashlib.blake2b(label, key=key, digest_size=32).digest()


def normal(key: bytes, label: bytes, size: int) -> NDArray[np.float64]:
    """`size` independent standard normal numbers."""
    target = np.zeros(size)
    add_gaussian(target, 1.0, key, label)
    return target


def add_gaussian(target: NDArray[Any], stddev: float, key: bytes, label: bytes) -> None:
    """Add independent noise of this standard deviation to each element of `target` (float32 or float64, one-dimensional), in place.

    A label is used once for a key: the same two give the same noise.
    """
    if stddev == 0:
        return
    for number, start in enumerate(range(0, target.size, _BLOCK)):
        block = target[start : start + _BLOCK]
        noise = _normal_block(derive(key, label + b"/%d" % number))[: block.size]
        np.multiply(noise, stddev, out=noise)
        np.add(block, noise, out=block, casting="same_kind")


def _normal_block(key: bytes) -> NDArray[np.float64]:
    words = np.frombuffer(hashlib.shake_128(key).digest(8 * _BLOCK), dtype="<u8")
    uniform = (words >> np.uint64(11)).astype(np.float64)  # whole numbers below 2^53
    radius, angle = np.split(uniform, 2)
    np.log((radius + 1.0) * _UNIT, out=radius)
    np.sqrt(-2.0 * radius, out=radius)
    angle *= 2.0 * np.pi * _UNIT
    return np.concatenate([radius * np.cos(angle), radius * np.sin(angle)])


def gaussian_delta(noise_multiplier: float, epsilon: float) -> float:
    """The smallest δ for this ε (Balle & Wang 2018, arXiv 1805.06530, theorem 8), with μ = 1/z:

    δ(ε) = Φ(μ/2 - ε/μ) - e^ε · Φ(-μ/2 - ε/μ)
    """
    mu = 1 / noise_multiplier
    return max(0.0, _phi(mu / 2 - epsilon / mu) - math.exp(min(0.0, epsilon + _log_phi(-mu / 2 - epsilon / mu))))


def gaussian_epsilon(noise_multiplier: float, delta: float) -> float:
    """The smallest ε for this δ in (0, 1), to 1e-12 of it, from above; inf without noise."""
    if noise_multiplier == 0:
        return math.inf
    low, high = 0.0, zcdp_epsilon(noise_multiplier, delta)
    if gaussian_delta(noise_multiplier, low) <= delta:
        return 0.0
    while high - low > 1e-12 * high:
        middle = (low + high) / 2
        if middle in {low, high}:
            break
        low, high = (middle, high) if gaussian_delta(noise_multiplier, middle) > delta else (low, middle)
    return high


def zcdp_epsilon(noise_multiplier: float, delta: float) -> float:
    """ε by zero-concentrated differential privacy (Bun & Steinke 2016, arXiv 1605.02065, proposition 1.3): ρ + 2·√(ρ · ln 1/δ), ρ = 1/(2z²).

    Never below `gaussian_epsilon`: a bound that is easy to check by hand.
    """
    if noise_multiplier == 0:
        return math.inf
    rho = 1 / (2 * noise_multiplier**2)
    return rho + 2 * math.sqrt(rho * math.log(1 / delta))


def classic_stddev(sensitivity: float, epsilon: float, delta: float) -> float:
    """σ = Δ·√(2 ln(1.25/δ))/ε (Dwork & Roth 2014, theorem A.1), which is proven for ε below 1 only."""
    return sensitivity * math.sqrt(2 * math.log(1.25 / delta)) / epsilon


def analytic_stddev(sensitivity: float, epsilon: float, delta: float) -> float:
    """The smallest σ that gives (ε, δ), for every ε above 0 (Balle & Wang 2018, algorithm 1), to 1e-12 of it, from above."""
    low, high = 0.0, 1.0
    while gaussian_delta(high, epsilon) > delta:
        low, high = high, 2 * high
    while high - low > 1e-12 * high:
        middle = (low + high) / 2
        if middle in {low, high}:
            break
        low, high = (middle, high) if gaussian_delta(middle, epsilon) > delta else (low, middle)
    return sensitivity * high


def noise_multiplier_for(epsilon: float, delta: float, releases: int) -> float:
    """The smallest z, to 1e-9 of it, from above, with which this number of releases costs at most ε at this δ."""
    return analytic_stddev(1.0, epsilon, delta) * math.sqrt(releases) * (1 + 1e-9)


def _phi(x: float) -> float:
    return math.erfc(-x / math.sqrt(2)) / 2


def _log_phi(x: float) -> float:
    """The logarithm of Φ(x) for x of at most 0, also where Φ(x) itself is too small for a float: there by its asymptotic series."""
    if x > -30:
        return math.log(_phi(x))
    return -x * x / 2 - math.log(-x * math.sqrt(2 * math.pi)) + math.log1p(-1 / x**2 + 3 / x**4)
