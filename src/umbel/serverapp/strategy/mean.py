"""The weighted mean of models that are all there."""

from __future__ import annotations

from collections.abc import Sequence

from umbel.app.arrayrecord import ArrayRecord
from umbel.serverapp.tree import SumTree
from umbel.serverapp.weightedsum import WeightedSum


def mean_of(models: Sequence[ArrayRecord], weights: Sequence[float]) -> ArrayRecord:
    """The weighted mean of models of one schema, at least one; of a single one itself. As FedAvg it sums along the summation tree.

    Raises ValueError when the weights of several do not sum to a finite number above 0.
    """
    if len(models) == 1:
        return models[0]
    tree: SumTree[WeightedSum] = SumTree(WeightedSum.add)
    for index, (model, weight) in enumerate(zip(models, weights, strict=True)):
        tree.put(0, index, WeightedSum.of(model, weight, index))
    total = tree.result()
    assert total is not None
    return total.mean()
