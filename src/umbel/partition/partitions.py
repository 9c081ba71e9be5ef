"""Partitions: common checks, IID and natural divisions."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

from umbel.errors import PartitionInvalid


def classes_of(labels: ArrayLike) -> tuple[NDArray[np.int64], int]:
    """The labels, of shape [num_samples], as class numbers in [0, num_classes), and num_classes."""
    values = vector(labels, "labels")
    names, classes = np.unique(values, return_inverse=True)
    return classes.astype(np.int64, copy=False), len(names)


def vector(values: ArrayLike, name: str) -> NDArray[Any]:
    """`values` as an array of shape [num_samples] with at least one sample."""
    array = np.asarray(values)
    if array.ndim != 1 or array.size == 0:
        raise PartitionInvalid(
            f"Invalid shape of `{name}`: {array.shape}.",
            hint="Pass one value per sample, as a non-empty one-dimensional array.",
        )
    return array


def check_fits(num_samples: int, num_partitions: int, min_size: int = 1) -> None:
    """Raise PartitionInvalid unless there are `min_size` samples for each partition."""
    if num_partitions < 1:
        raise PartitionInvalid(f"Invalid `num_partitions`: {num_partitions}.", hint="It must be at least 1.")
    if min_size < 0:
        raise PartitionInvalid(f"Invalid `min_size`: {min_size}.", hint="It must not be negative.")
    if num_samples < num_partitions * min_size:
        raise PartitionInvalid(
            f"{num_samples} samples are too few for {num_partitions} partitions of at least {min_size}.",
            hint="Use fewer partitions or a smaller `min_size`.",
        )


def check_alpha(alpha: float) -> None:
    """Raise PartitionInvalid unless `alpha` is a valid concentration of a Dirichlet distribution."""
    if not (math.isfinite(alpha) and alpha > 0):
        raise PartitionInvalid(
            f"Invalid `alpha`: {alpha}.",
            hint="It must be greater than 0: small values give skewed partitions, large values almost IID ones.",
        )


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


Indices = NDArray[np.int64]
"""Sample indices, of shape [n]."""


class Partitions(Sequence[Indices]):
    """A read-only list of index arrays, one per client, created at access.

    Behaves as a read-only list: `parts[i]` is the sorted int64 array of the samples of client i, `len(parts)` the
    number of clients, `list(parts)` all of them. It keeps one int64 array of all samples and one of the bounds, so a
    million clients cost 8 bytes each.
    """

    def __init__(self, owner: NDArray[np.integer[Any]], num_partitions: int) -> None:
        """`owner`, of shape [num_samples], is the partition of each sample, in [0, num_partitions)."""
        sizes = np.bincount(owner, minlength=num_partitions)
        # A stable sort by owner leaves the indices of each owner in ascending order.
        self._order: Indices = np.argsort(owner, kind="stable").astype(np.int64, copy=False)
        self._order.flags.writeable = False
        self._bounds: Indices = np.concatenate(([0], np.cumsum(sizes))).astype(np.int64, copy=False)

    @property
    def sizes(self) -> Indices:
        """The number of samples of each partition, of shape [num_partitions]."""
        return np.diff(self._bounds)

    def __len__(self) -> int:
        return len(self._bounds) - 1

    @overload
    def __getitem__(self, index: int) -> Indices: ...
    @overload
    def __getitem__(self, index: slice) -> list[Indices]: ...
    def __getitem__(self, index: int | slice) -> Indices | list[Indices]:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        position = range(len(self))[index]
        return self._order[self._bounds[position] : self._bounds[position + 1]]

    def __repr__(self) -> str:
        sizes = self.sizes
        return f"Partitions({len(self)} of {sizes.min()} to {sizes.max()} samples)"


def by_id(ids: ArrayLike) -> Partitions:
    """One partition for each distinct id.

    Args:
        ids: the owner of each sample, of shape [num_samples], any type that can be sorted.

    Returns:
        Partition i holds the samples of `np.unique(ids)[i]`.

    Raises:
        PartitionInvalid: `ids` is empty or has more than one axis.
    """
    names, owner = np.unique(vector(ids, "ids"), return_inverse=True)
    return Partitions(owner, len(names))
