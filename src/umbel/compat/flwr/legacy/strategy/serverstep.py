"""Steps of the server towards the clients' mean, by the rules of Umbel's own strategies."""

from __future__ import annotations

import numpy as np

from umbel.compat.flwr.legacy.typing import NDArray, NDArrays
from umbel.serverapp.strategy.server_optimizers import ServerStep


def stepped(rule: ServerStep, server_round: int, current: NDArrays, mean: NDArrays) -> NDArrays:
    """Where `rule` goes from `current`, given the clients' `mean`. Arrays of whole numbers take the mean.

    Raises ValueError when the two do not have the same number of arrays.
    """
    return [
        _tensor(rule, server_round, str(index), now, towards)
        for index, (now, towards) in enumerate(zip(current, mean, strict=True))
    ]


def _tensor(rule: ServerStep, server_round: int, name: str, now: NDArray, towards: NDArray) -> NDArray:
    if not np.issubdtype(now.dtype, np.inexact):
        return towards
    flat = now.reshape(-1)
    new = rule.step(server_round, name, flat, towards.reshape(-1) - flat)
    return new.astype(now.dtype, copy=False).reshape(now.shape)
