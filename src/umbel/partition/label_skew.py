"""Partitions whose mix of classes differs from client to client."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from umbel.errors import PartitionInvalid
from umbel.partition.partitions import Indices, Partitions, check_alpha, check_fits, classes_of, raise_to, split


def dirichlet(labels: ArrayLike, num_partitions: int, alpha: float, *, seed: int, min_size: int = 1) -> Partitions:
    """Label skew with unequal sizes: each class is shared out by its own Dirichlet draw over the clients.

    Yurochkin et al., "Bayesian Nonparametric Federated Learning of Neural Networks", arXiv 1905.12022. For clients of
    equal size, as in Hsu et al. 2019, see `dirichlet_equal`.

    Args:
        labels: the class of each sample, of shape [num_samples], any type that can be sorted.
        num_partitions: how many clients, at least 1.
        alpha: concentration, above 0. At 0.1 most clients hold a few classes, at 100 all are nearly alike.
        seed: the same seed gives the same partitions.
        min_size: the fewest samples of a client. Clients that drew fewer are filled up with random samples of the
            larger ones.

    Raises:
        PartitionInvalid: `alpha` is not above 0, or the samples are too few for `num_partitions` x `min_size`.
    """
    classes, num_classes = classes_of(labels)
    check_fits(len(classes), num_partitions, min_size)
    check_alpha(alpha)
    rng = np.random.default_rng(seed)
    owner = np.empty(len(classes), np.int64)
    for members in _members(classes, num_classes, rng):
        counts = split(len(members), rng.dirichlet(np.full(num_partitions, alpha)))
        owner[members] = np.repeat(np.arange(num_partitions), counts)
    return Partitions(_fill_up(owner, num_partitions, min_size, rng), num_partitions)


def dirichlet_equal(labels: ArrayLike, num_partitions: int, alpha: float, *, seed: int) -> Partitions:
    """Label skew with equal sizes: each client draws its own mix of classes around that of the whole.

    Hsu et al., "Measuring the Effects of Non-Identical Data Distribution for Federated Visual Classification",
    arXiv 1909.06335: client i draws q_i from Dirichlet(alpha x p), p being the share of each class in `labels`, and
    takes its samples by q_i. A class that has run out is left out of the mixes of the clients that are still to choose.

    Args:
        labels: the class of each sample, of shape [num_samples], any type that can be sorted.
        num_partitions: how many clients, at least 1.
        alpha: concentration, above 0. At 0.1 most clients hold one or two classes, at 1,000 all are nearly alike.
        seed: the same seed gives the same partitions.

    Returns:
        Partitions whose sizes differ by at most one.

    Raises:
        PartitionInvalid: `alpha` is not above 0, or there are fewer samples than partitions.
    """
    classes, num_classes = classes_of(labels)
    check_fits(len(classes), num_partitions)
    check_alpha(alpha)
    rng = np.random.default_rng(seed)
    members = _members(classes, num_classes, rng)
    left = np.bincount(classes, minlength=num_classes)
    prior = left / len(classes)
    owner = np.empty(len(classes), np.int64)
    for client, size in enumerate(_even_sizes(len(classes), num_partitions)):
        counts = _draw(size, rng.dirichlet(alpha * prior), left, rng)
        for class_, count in enumerate(counts):
            owner[members[class_][left[class_] - count : left[class_]]] = client
        left = left - counts
    return Partitions(owner, num_partitions)


def shards(labels: ArrayLike, num_partitions: int, shards_per_partition: int = 2, *, seed: int) -> Partitions:
    """Pathological label skew: sort by label, cut into equal shards, give each client some at random.

    McMahan et al., "Communication-Efficient Learning of Deep Networks from Decentralized Data", arXiv 1602.05629: with
    two shards most clients hold two classes only.

    Args:
        labels: the class of each sample, of shape [num_samples], any type that can be sorted.
        num_partitions: how many clients, at least 1.
        shards_per_partition: how many shards each client gets, at least 1.
        seed: the same seed gives the same partitions.

    Returns:
        Partitions of `shards_per_partition` shards each; the sizes of shards differ by at most one.

    Raises:
        PartitionInvalid: there are fewer samples than shards.
    """
    classes, _ = classes_of(labels)
    check_fits(len(classes), num_partitions, _at_least_one(shards_per_partition))
    num_shards = num_partitions * shards_per_partition
    shard_owner = np.random.default_rng(seed).permutation(num_shards) // shards_per_partition
    owner = np.empty(len(classes), np.int64)
    owner[np.argsort(classes, kind="stable")] = np.repeat(shard_owner, _even_sizes(len(classes), num_shards))
    return Partitions(owner, num_partitions)


def _at_least_one(shards_per_partition: int) -> int:
    if shards_per_partition < 1:
        raise PartitionInvalid(
            f"Invalid `shards_per_partition`: {shards_per_partition}.", hint="It must be at least 1."
        )
    return shards_per_partition


def _members(classes: Indices, num_classes: int, rng: np.random.Generator) -> list[Indices]:
    """The shuffled indices of each class."""
    return [rng.permutation(np.flatnonzero(classes == class_)) for class_ in range(num_classes)]


def _even_sizes(total: int, parts: int) -> Indices:
    """`total` cut into `parts` counts that differ by at most one."""
    return np.diff(np.arange(parts + 1) * total // parts)


def _draw(size: int, mix: NDArray[np.float64], left: Indices, rng: np.random.Generator) -> Indices:
    """How many samples of each class a client takes: `size` in all, by `mix`, none beyond what is `left`."""
    counts = np.zeros_like(left)
    while (missing := size - int(counts.sum())) > 0:
        free = left - counts
        # A mix drawn with a small alpha can be 0 in all the classes that are left.
        weights = np.where(free > 0, mix, 0.0) if mix[free > 0].sum() > 0 else free.astype(np.float64)
        counts += np.minimum(rng.multinomial(missing, weights / weights.sum()), free)
    return counts


def _fill_up(owner: Indices, num_partitions: int, min_size: int, rng: np.random.Generator) -> Indices:
    """`owner` with random samples of the larger partitions moved to those below `min_size`."""
    sizes = np.bincount(owner, minlength=num_partitions)
    change = raise_to(sizes, min_size) - sizes
    if not change.any():
        return owner
    shuffled = rng.permutation(len(owner))
    by_owner = shuffled[np.argsort(owner[shuffled], kind="stable")]
    rank = np.arange(len(owner)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    moved = by_owner[rank < np.repeat(-change, sizes)]
    filled = owner.copy()
    filled[rng.permutation(moved)] = np.repeat(np.arange(num_partitions), np.maximum(change, 0))
    return filled
