"""Clients that the data itself names: a hospital, a writer, a device."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from umbel.partition.checks import vector
from umbel.partition.partitions import Partitions


def by_id(ids: ArrayLike) -> Partitions:
    """One partition for each distinct id.

    Args:
        ids: whose each sample is, of shape [num_samples], any type that can be sorted.

    Returns:
        Partition i holds the samples of `np.unique(ids)[i]`.

    Raises:
        PartitionInvalid: `ids` is empty or has more than one axis.
    """
    names, owner = np.unique(vector(ids, "ids"), return_inverse=True)
    return Partitions(owner, len(names))
