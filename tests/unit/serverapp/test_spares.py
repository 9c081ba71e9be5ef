"""The memory of a fold's sums is used again."""

from __future__ import annotations

import mmap

import numpy as np

from tests.support.clients import bits, model, reply
from umbel.app import ArrayRecord
from umbel.serverapp.aggregation.reduction import Fold, WeightedMean
from umbel.serverapp.aggregation.weighted_sum import Buffer, BufferPool, WeightedSum


def test_a_fold_needs_few_buffers() -> None:
    """A hundred replies make no more buffers than there are pending sums, and the outcome is that of fresh memory."""
    made: list[int] = []

    class Counting(BufferPool):
        def allocate(self, nbytes: int) -> Buffer:
            buffer = super().allocate(nbytes)
            made.append(buffer.ctypes.data)
            return buffer

    models = [ArrayRecord([np.random.default_rng(k).random(999, np.float32)]) for k in range(100)]
    plain, spare = Fold(WeightedMean(), lambda nbytes: np.empty(nbytes, np.uint8)), Fold(WeightedMean())
    spare._buffer_pool = Counting()
    spare._allocate = spare._buffer_pool.allocate
    for index, arrays in enumerate(models):
        for folding in (plain, spare):
            folding.add(index, reply(index, arrays, num_examples=index))
    assert len(made) == 100
    assert len(set(made)) <= 9
    totals = [folding.result().sum for folding in (plain, spare)]
    assert totals[0] is not None
    assert totals[1] is not None
    assert bits(totals[0].mean()) == bits(totals[1].mean())


def test_a_workers_memory_is_not_kept() -> None:
    """Sums that lie in memory that was lent are let go of as soon as they are added."""
    memory = mmap.mmap(-1, 4)
    lent = np.frombuffer(memory, np.uint8)
    folding = Fold(WeightedMean())
    folding.add(0, reply(1, model(1)))
    right = WeightedSum(model(1).schema(), lent, 1.0, 1, 1)
    folding.merge([(0, 1, {right.schema: right})], [])
    assert folding._buffer_pool._buffers == []
