"""The data and the model: nothing here knows that the learning is federated."""

import json
from functools import cache
from pathlib import Path

import numpy as np

from umbel.partition import iid

NUM_FEATURES, NUM_SPECIES = 4, 3


@cache
def load_data():
    """150 iris flowers, every fifth kept for the test: x_train, x_test of shape [n, 4], y_train, y_test of shape [n]."""
    rows = np.array(json.loads(Path(__file__).with_name("iris.json").read_text())["rows"])
    x, y = rows[:, :NUM_FEATURES], rows[:, NUM_FEATURES].astype(int)
    test = np.arange(len(y)) % 5 == 0
    return x[~test], x[test], y[~test], y[test]


def load_partition(partition_id, num_partitions):
    """The training flowers of one client: x, y."""
    x, _, y, _ = load_data()
    mine = iid(len(y), num_partitions, seed=0)[partition_id]
    return x[mine], y[mine]


def initial_weights():
    """A matrix of shape [features, species] and a bias for each species."""
    return [np.zeros((NUM_FEATURES, NUM_SPECIES)), np.zeros(NUM_SPECIES)]


def train(weights, x, y, steps, learning_rate):
    """The weights after some steps of gradient descent on all of x and y."""
    matrix, bias = weights
    target = np.eye(NUM_SPECIES)[y]
    for _ in range(steps):
        error = (softmax(x @ matrix + bias) - target) / len(y)
        matrix = matrix - learning_rate * x.T @ error
        bias = bias - learning_rate * error.sum(axis=0)
    return [matrix, bias]


def evaluate(weights, x, y):
    """Loss and accuracy on x and y."""
    matrix, bias = weights
    probability = softmax(x @ matrix + bias)
    return {
        "loss": float(-np.log(probability[np.arange(len(y)), y]).mean()),
        "accuracy": float((probability.argmax(axis=1) == y).mean()),
    }


def softmax(z):
    """Probabilities of shape [n, species]; each row sums to 1."""
    powers = np.exp(z - z.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)
