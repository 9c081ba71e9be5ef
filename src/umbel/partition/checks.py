"""What every partitioner asks of its arguments."""

from __future__ import annotations

import math
from typing import Any

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
            f"`{name}` has the shape {array.shape}.", hint="Give one value for each sample: a filled array of one axis."
        )
    return array


def check_fits(num_samples: int, num_partitions: int, min_size: int = 1) -> None:
    """Refuse a division that cannot give each of the partitions `min_size` samples."""
    if num_partitions < 1:
        raise PartitionInvalid(f"`num_partitions` is {num_partitions}.", hint="It must be at least 1.")
    if min_size < 0:
        raise PartitionInvalid(f"`min_size` is {min_size}.", hint="It must not be negative.")
    if num_samples < num_partitions * min_size:
        raise PartitionInvalid(
            f"{num_samples} samples do not fill {num_partitions} partitions of at least {min_size}.",
            hint="Ask for fewer partitions or a smaller `min_size`.",
        )


def check_alpha(alpha: float) -> None:
    """Refuse a concentration that no Dirichlet distribution has."""
    if not (math.isfinite(alpha) and alpha > 0):
        raise PartitionInvalid(
            f"`alpha` is {alpha}.", hint="It must be above 0: small values skew, large ones come near IID."
        )
