"""Clipping of updates to a fixed or adaptive norm."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from umbel.app.array import Array
from umbel.app.arrayrecord import ArrayRecord
from umbel.app.records import Floats, as_array, floats, narrowed

NOISY_TYPES = frozenset({"float16", "bfloat16", "float32", "float64", "complex64", "int32", "int64"})
"""The element types that noise can be added to: not booleans, nor whole numbers that it may carry beyond their range."""


def numbers(arrays: ArrayRecord) -> list[Floats]:
    """Copies of the elements of each tensor, in float32 or float64, one dimension."""
    return [np.array(floats(array)) for array in arrays.values()]


def update_of(reply: ArrayRecord, sent: ArrayRecord, before: Sequence[Floats]) -> list[Floats]:
    """Reply - sent, tensor by tensor; `before` are the `numbers` of `sent`, in case the app has changed it since.

    Raises ValueError when the reply's tensors are not those that were sent.
    """
    if reply.schema() != sent.schema():
        raise ValueError("Its arrays differ in name, dtype, shape or order from those it received.")
    with np.errstate(over="ignore", invalid="ignore"):  # an update whose length is not finite is refused
        return [floats(array) - was for array, was in zip(reply.values(), before, strict=True)]


def moved(sent: ArrayRecord, before: Sequence[Floats], update: Sequence[Floats]) -> ArrayRecord:
    """Sent + update, each tensor rounded to its own type."""
    return ArrayRecord(
        {
            name: _added(array, was, change)
            for (name, array), was, change in zip(sent.items(), before, update, strict=True)
        }
    )


def _added(like: Array, before: Floats, change: Floats) -> Array:
    return as_array(narrowed(like.dtype, before + change), like)


_BLOCK = 32_768  # elements: a block and its copy in float64 stay in the processor's cache


def l2_norm(parts: Sequence[NDArray[Any]]) -> float:
    """The Euclidean length of all `parts` taken as one vector, computed in float64; inf or NaN where they hold such."""
    return math.sqrt(sum(_square(part.reshape(-1)) for part in parts))


def _square(flat: NDArray[Any]) -> float:
    total = 0.0
    with np.errstate(over="ignore", invalid="ignore"):
        for start in range(0, flat.size, _BLOCK):
            block = flat[start : start + _BLOCK]
            total += float(np.einsum("i,i->", block, block, dtype=np.float64))  # np.dot would wake other threads
    return total


def clip(parts: Sequence[NDArray[Any]], bound: float) -> float:
    """Scale the `parts` of one update (float32 or float64), in place, to a length of at most `bound`; gives the length before.

    Exact up to the rounding of the parts' own type. Raises ValueError when the length is not finite: scaled, it would be NaN.
    """
    length = l2_norm(parts)
    if not math.isfinite(length):
        raise ValueError("The norm of the update is not finite.")
    if length > bound:
        for part in parts:
            np.multiply(part, bound / length, out=part)
    return length


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
            f"The standard deviation of the clipped count ({count_stddev}) must exceed half of the noise multiplier ({noise_multiplier})."
        )
    return 1 / math.sqrt(noise_multiplier**-2 - (2 * count_stddev) ** -2)
