"""Partitioners without label skew: equal sizes, or skewed sizes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from umbel.errors import PartitionInvalid
from umbel.partition.partitions import Indices, Partitions, check_alpha, check_fits, raise_to, split


def iid(num_samples: int, num_partitions: int, *, seed: int) -> Partitions:
    """Independent, identically distributed: the samples are shuffled and divided evenly.

    Args:
        num_samples: at least `num_partitions`.
        num_partitions: how many clients, at least 1.
        seed: the same seed gives the same partitions.

    Returns:
        Partitions whose sizes differ by at most one.

    Raises:
        PartitionInvalid: there are fewer samples than partitions.
    """
    check_fits(num_samples, num_partitions)
    deal = np.arange(num_samples) % num_partitions
    return Partitions(np.random.default_rng(seed).permutation(deal), num_partitions)


def quantity(
    num_samples: int,
    num_partitions: int,
    *,
    alpha: float | None = None,
    sizes: Sequence[int] | Indices | None = None,
    seed: int,
) -> Partitions:
    """Quantity skew: clients of unequal size, each a uniform sample of the whole.

    Give either `alpha` or `sizes`.

    Args:
        num_samples: at least `num_partitions`.
        num_partitions: how many clients, at least 1.
        alpha: the clients' shares are drawn from a symmetric Dirichlet distribution with this concentration; each
            client then gets at least one sample. Li et al., "Federated Learning on Non-IID Data Silos", arXiv 2102.02079.
        sizes: the number of samples of each client, of shape [num_partitions], summing to `num_samples`.
        seed: the same seed gives the same partitions.

    Raises:
        PartitionInvalid: neither or both of `alpha` and `sizes`, or values that do not fit.
    """
    check_fits(num_samples, num_partitions, min_size=0)
    rng = np.random.default_rng(seed)
    if (alpha is None) == (sizes is None):
        raise PartitionInvalid("Quantity skew requires either `alpha` or `sizes`.", hint="Pass exactly one of the two.")
    if alpha is not None:
        counts = _drawn_sizes(num_samples, num_partitions, alpha, rng)
    else:
        counts = _given_sizes(num_samples, num_partitions, np.asarray(sizes))
    return Partitions(rng.permutation(np.repeat(np.arange(num_partitions), counts)), num_partitions)


def _drawn_sizes(num_samples: int, num_partitions: int, alpha: float, rng: np.random.Generator) -> Indices:
    check_fits(num_samples, num_partitions)
    check_alpha(alpha)
    counts = split(num_samples, rng.dirichlet(np.full(num_partitions, alpha)))
    return raise_to(counts, 1)


def _given_sizes(num_samples: int, num_partitions: int, sizes: Indices) -> Indices:
    if sizes.shape != (num_partitions,) or (sizes < 0).any() or sizes.sum() != num_samples:
        raise PartitionInvalid(
            f"Invalid `sizes` (shape {sizes.shape}, sum {sizes.sum()}) for {num_samples} samples.",
            hint=f"Pass {num_partitions} non-negative sizes that sum to {num_samples}.",
        )
    return sizes
