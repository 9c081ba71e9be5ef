"""The result of a partitioner: which samples each client holds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

Indices = NDArray[np.int64]
"""Sample indices, of shape [n]."""


class Partitions(Sequence[Indices]):
    """A list of index arrays, one a client, cut out only when asked for.

    Behaves as a read-only list: `parts[i]` is the sorted int64 array of the samples of client i, `len(parts)` the
    number of clients, `list(parts)` all of them. It keeps one int64 array of all samples and one of the bounds, so a
    million clients cost 8 bytes each.
    """

    def __init__(self, owner: NDArray[np.integer[Any]], num_partitions: int) -> None:
        """`owner`, of shape [num_samples], says for each sample the partition in [0, num_partitions) that holds it."""
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
