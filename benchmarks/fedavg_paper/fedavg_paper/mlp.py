"""A multilayer perceptron for classes, trained with plain SGD: hand-written for NumPy, float32 throughout."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Ints = NDArray[np.integer]
Weights = list[Floats]
"""A matrix of shape [inputs, outputs] and a bias of shape [outputs] for each layer, in turn."""


def initial_weights(widths: list[int], seed: int) -> Weights:
    """Glorot-uniform matrices and zero biases for layers of these widths, the input's first."""
    rng = np.random.default_rng(seed)
    weights: Weights = []
    for inputs, outputs in pairwise(widths):
        bound = np.sqrt(6 / (inputs + outputs))
        weights.append(rng.uniform(-bound, bound, (inputs, outputs)).astype(np.float32))
        weights.append(np.zeros(outputs, np.float32))
    return weights


def forward(weights: Weights, x: Floats) -> list[Floats]:
    """The activations of every layer for x of shape [n, inputs]: x, then ReLUs, then the logits of shape [n, classes]."""
    activations = [x]
    for matrix, bias in zip(weights[0::2], weights[1::2], strict=True):
        z = activations[-1] @ matrix
        z += bias
        activations.append(z)
        if len(activations) <= len(weights) // 2:
            np.maximum(z, 0, out=z)
    return activations


def softmax_(logits: Floats) -> Floats:
    """Probabilities of shape [n, classes], written over `logits`."""
    logits -= logits.max(axis=1, keepdims=True)
    np.exp(logits, out=logits)
    logits /= logits.sum(axis=1, keepdims=True)
    return logits


def step_(weights: Weights, x: Floats, y: Ints, learning_rate: float) -> None:
    """One step of SGD on the mean cross-entropy of a batch, written over `weights`."""
    activations = forward(weights, x)
    delta = softmax_(activations.pop())
    delta[np.arange(len(y)), y] -= 1
    delta *= np.float32(learning_rate / len(y))
    for layer in range(len(weights) - 2, -1, -2):
        below = activations.pop()
        gradient = below.T @ delta
        bias_gradient = delta.sum(axis=0)
        if layer > 0:
            delta = delta @ weights[layer].T
            delta *= below > 0
        weights[layer] -= gradient
        weights[layer + 1] -= bias_gradient


def train(
    weights: Weights, x: Floats, y: Ints, *, epochs: int, batch: int, learning_rate: float, seed: int | list[int]
) -> Weights:
    """New weights after `epochs` passes over x of shape [n, inputs] and y of shape [n], shuffled again for each."""
    rng = np.random.default_rng(seed)
    weights = [w.copy() for w in weights]
    for _ in range(epochs):
        order = rng.permutation(len(y))
        for start in range(0, len(y), batch):
            chosen = order[start : start + batch]
            step_(weights, x[chosen], y[chosen], learning_rate)
    return weights


def evaluate(weights: Weights, x: Floats, y: Ints) -> tuple[float, float]:
    """The mean cross-entropy and the accuracy, both over all of x of shape [n, inputs] and y of shape [n]."""
    probability = softmax_(forward(weights, x)[-1])
    loss = -np.log(np.maximum(probability[np.arange(len(y)), y], 1e-12)).mean()
    return float(loss), float((probability.argmax(axis=1) == y).mean())
