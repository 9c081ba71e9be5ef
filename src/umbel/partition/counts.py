"""Shares turned into whole numbers of samples."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from umbel.partition.partitions import Indices


def split(total: int, shares: NDArray[np.float64]) -> Indices:
    """Divide `total` samples by `shares`, of shape [n] and summing to 1, into n whole counts that sum to `total`."""
    cuts = np.minimum(np.floor(np.cumsum(shares) * total), total).astype(np.int64)
    cuts[-1] = total
    return np.diff(cuts, prepend=0)


def raise_to(counts: Indices, least: int) -> Indices:
    """`counts`, of shape [n], with each at least `least` and the same sum: those above give to those below.

    Each gives in proportion to what it has above `least`. The sum must be at least n x `least`.
    """
    missing = np.maximum(least - counts, 0)
    spare = np.maximum(counts - least, 0)
    if not missing.any():
        return counts
    # In whole numbers, so that no rounding takes more from one than it has to spare.
    given = np.diff(np.cumsum(spare) * missing.sum() // spare.sum(), prepend=0)
    return np.asarray(counts + missing - given)
