"""How far models are from each other."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from umbel.app.arrayrecord import ArrayRecord
from umbel.serverapp.strategy.coordinates import float_blocks


def squared_distances(models: Sequence[ArrayRecord]) -> NDArray[np.float64]:
    """The squared Euclidean distance of each two models, which share one schema; of shape [models, models].

    That of two models does not depend on the others, nor on their order. It takes time in the square of the number of models.
    """
    distances = np.zeros((len(models), len(models)))
    with np.errstate(over="ignore"):  # further than a float can tell is far enough
        for block in float_blocks(models):
            values = block.astype(np.float64, copy=False)
            for row in range(1, len(models)):
                apart = values[:row] - values[row]
                distances[row, :row] += np.square(apart, out=apart).sum(axis=1)
    return distances + distances.T


def krum_order(distances: NDArray[np.float64], malicious: int, node_ids: Sequence[int]) -> list[int]:
    """The indices of the models from Krum's lowest score to its highest; of equal scores the lower node id comes first.

    The score of one of n models is the sum of its squared distances to its n - `malicious` - 2 nearest others, at least one.
    """
    nearest = max(1, len(distances) - malicious - 2)
    ascending = np.sort(distances, axis=1)[:, 1 : 1 + nearest]  # without itself
    scores = ascending.sum(axis=1)
    return sorted(range(len(scores)), key=lambda index: (scores[index], node_ids[index]))
