"""Clipping: an update is made shorter until its Euclidean length is within a bound.

Flat clipping: the bound is on the length of all tensors of the update together, as in McMahan et al. 2018 (arXiv 1710.06963),

    clip(Δ, C) = Δ · min(1, C / ‖Δ‖₂)

so that one client can move a sum of clipped updates by at most C, whatever its data. The update Δ is what a client changed: its reply
minus the model it was sent.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

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
        raise ValueError("The update's length is not finite.")
    if length > bound:
        for part in parts:
            np.multiply(part, bound / length, out=part)
    return length
