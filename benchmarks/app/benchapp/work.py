"""Simulated training work of the benchmark app."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

FEATURES = 784
CLASSES = 10
EXAMPLES = 320
BATCH = 32
EPOCHS = 28


def work(kind: str, values: Floats, partition: int) -> Floats:
    """Return the arrays of one client after one round.

    Args:
        kind: `noop` returns `values` itself, `changed` a copy that differs for each partition, `train` the result of
            softmax regression on data generated for the partition.
        values: shape `[n]`; for `train`, n is FEATURES * CLASSES.
        partition: which client this is, from 0.
    """
    if kind == "noop":
        return values
    if kind == "changed":
        return values + np.float32(1e-3 * (partition + 1))
    return train(values, partition)


def train(values: Floats, partition: int) -> Floats:
    """About 20 ms of mini-batch SGD; the same partition gives the same bits."""
    rng = np.random.default_rng(partition)
    inputs = rng.standard_normal((EXAMPLES, FEATURES), dtype=np.float32)  # [example, feature]
    labels = rng.integers(0, CLASSES, EXAMPLES)
    weights = values.reshape(FEATURES, CLASSES).copy()
    for _ in range(EPOCHS):
        for start in range(0, EXAMPLES, BATCH):
            step(weights, inputs[start : start + BATCH], labels[start : start + BATCH])
    return weights.reshape(-1)


def step(weights: Floats, inputs: Floats, labels: NDArray[np.int64]) -> None:
    """One SGD step in place: cross-entropy of a softmax over `inputs @ weights`, learning rate 0.01."""
    logits = inputs @ weights
    logits -= logits.max(axis=1, keepdims=True)
    probabilities = np.exp(logits)
    probabilities /= probabilities.sum(axis=1, keepdims=True)
    probabilities[np.arange(len(labels)), labels] -= 1.0
    weights -= np.float32(0.01 / len(labels)) * (inputs.T @ probabilities)
