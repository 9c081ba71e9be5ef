"""Fixed-point numbers: what is summed are integers, because masks vanish only from a sum that is exact.

A number x becomes q = round(x / step), where step = clipping_range / half and half = quantization_range // 2 - 1; numbers beyond
±clipping_range are clipped, and counted. A client with the whole number w as its weight adds w · q and w to the sums, so that the
decoded mean is step · Σ w q / Σ w. Each |x - step · q| is at most step / 2 for numbers that are not clipped, and a weighted mean of such
errors is no larger: the mean is within **step / 2** of the exact one. Rounding is to nearest, not stochastic: that bounds the error by half as much,
and the same run gives the same bits.

Sums are formed modulo 2^32 or 2^64; they are those of the integers as long as nodes · max_weight · half stays below 2^31 or 2^63.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from umbel.errors import ConfigError

_BLOCK = 32_768  # numbers worked on at a time: they stay in the processor's cache


@dataclass(frozen=True)
class Quantizer:
    """Numbers in ±`clipping_range` as integers in ±`half`."""

    clipping_range: float
    half: int

    @property
    def step(self) -> float:
        """The distance of two numbers that can be told apart; twice the largest error."""
        return self.clipping_range / self.half

    def encode(self, values: NDArray[Any], weight: int, out: NDArray[Any]) -> int:
        """Write weight · q of each of the `values` (flat, real) to `out` (flat, uint32 or uint64), negative ones as the complement.

        Returns how many were clipped. Raises ValueError for NaN and infinity.
        """
        clipped = 0
        for start in range(0, values.size, _BLOCK):
            part = values[start : start + _BLOCK].astype(np.float64)
            part /= self.step
            if not np.isfinite(part).all():
                raise ValueError("NaN or infinity cannot be summed securely.")
            np.rint(part, out=part)
            clipped += int(np.count_nonzero(np.abs(part) > self.half))
            np.clip(part, -self.half, self.half, out=part)
            integers = part.astype(np.int64)
            integers *= weight
            out[start : start + _BLOCK] = integers.astype(out.dtype)  # wraps around
        return clipped

    def decode(self, sums: NDArray[Any]) -> NDArray[np.float64]:
        """The sums times `step`, of sums as `encode` wrote them."""
        signed: NDArray[Any] = sums.view(np.int32 if sums.dtype == np.uint32 else np.int64)
        decoded: NDArray[np.float64] = np.multiply(signed, self.step, dtype=np.float64)
        return decoded


def half_range(quantization_range: int) -> int:
    """The largest integer that a number becomes, when so many levels may be told apart. Raises ConfigError."""
    if not 8 <= quantization_range <= 2**52:
        raise ConfigError(f"quantization_range must be from 8 to 2**52, not {quantization_range}.")
    return quantization_range // 2 - 1


def modulus_dtype(num_nodes: int, max_weight: int, half: int) -> np.dtype[Any]:
    """uint32 where the largest possible sum fits into it, else uint64. Raises ConfigError when it does not fit into that either."""
    largest = num_nodes * max_weight * half
    for name, limit in (("uint32", 2**31), ("uint64", 2**63)):
        if largest < limit:
            return np.dtype(name)
    raise ConfigError(
        f"The sum of {num_nodes} nodes with weights up to {max_weight} does not fit into 64 bits.",
        hint="Lower max_weight or quantization_range of SecAggPlus.",
    )
