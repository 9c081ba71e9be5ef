"""Which nodes take part in a round."""

from __future__ import annotations

import zlib
from collections.abc import Sequence

import numpy as np

_WORD = (1 << 64) - 1


def sample(nodes: Sequence[int], size: int, *, seed: int, server_round: int, phase: str) -> list[int]:
    """`size` of the `nodes`, drawn without replacement, in ascending order; all of them when there are no more.

    The draw depends on the set of nodes, the run's seed, the round and the phase alone. A `range` of a million nodes costs
    neither time nor memory.
    """
    ordered = nodes if isinstance(nodes, range) else sorted(nodes)
    if size >= len(ordered):
        return list(ordered)
    drawn = generator(seed, server_round, phase).choice(len(ordered), size, replace=False, shuffle=False)
    drawn.sort()
    return [ordered[index] for index in drawn.tolist()]


def generator(seed: int, server_round: int, phase: str) -> np.random.Generator:
    """A generator of random numbers for one phase of one round of one run, independent of every other's."""
    purpose = server_round << 32 | zlib.crc32(phase.encode())
    return np.random.Generator(np.random.Philox(key=np.array([seed & _WORD, purpose & _WORD], dtype=np.uint64)))
