"""numpy_quickstart: a Flower / NumPy app."""

import numpy as np


def get_model():
    """Weights and bias of a linear model."""
    return [np.zeros(3), np.zeros(1)]


def load_data(partition_id: int):
    """The data of one partition: as many more examples as its number is higher."""
    rng = np.random.default_rng(partition_id)
    x = rng.normal(size=(20 + 10 * partition_id, 3))
    return x, x @ np.array([1.0, -2.0, 0.5]) + 0.3 + 0.1 * rng.normal(size=len(x))


def loss(weights, x, y) -> float:
    """The mean squared error."""
    return float(np.mean((x @ weights[0] + weights[1] - y) ** 2))


def train(weights, x, y, lr: float) -> float:
    """Ten steps of gradient descent, in place."""
    for _ in range(10):
        error = x @ weights[0] + weights[1] - y
        weights[0] -= lr * 2 * x.T @ error / len(x)
        weights[1] -= lr * 2 * error.mean()
    return loss(weights, x, y)
