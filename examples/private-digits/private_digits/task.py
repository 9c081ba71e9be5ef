"""The data and the model: nothing here knows that the learning is federated or private."""

from functools import cache

import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from umbel.partition import iid

NUM_PIXELS, NUM_CLASSES = 64, 10


@cache
def load_data():
    """1,437 training and 360 test images of 8 x 8 pixels in [0, 1]: x_train, x_test, y_train, y_test."""
    x, y = load_digits(return_X_y=True)
    return train_test_split(x / 16, y, test_size=0.2, stratify=y, random_state=0)


@cache
def parts(num_people):
    """Which training images are whose: with 479 people, three for each."""
    return iid(len(load_data()[2]), num_people, seed=0)


def load_person(person, num_people):
    """The images of one person: x, y."""
    x, _, y, _ = load_data()
    mine = parts(num_people)[person]
    return x[mine], y[mine]


def initial_weights():
    """A matrix of shape [64, 10] and a bias of shape [10], all zero."""
    return [np.zeros((NUM_PIXELS, NUM_CLASSES)), np.zeros(NUM_CLASSES)]


def train(weights, x, y, learning_rate):
    """The weights after one step of gradient descent on x and y."""
    matrix, bias = weights
    error = (softmax(x @ matrix + bias) - np.eye(NUM_CLASSES)[y]) / len(y)
    return [matrix - learning_rate * x.T @ error, bias - learning_rate * error.sum(axis=0)]


def accuracy(weights, x, y):
    """The share of the images that are read correctly."""
    matrix, bias = weights
    return float(((x @ matrix + bias).argmax(axis=1) == y).mean())


def softmax(z):
    """Probabilities of shape [n, classes]; each row sums to 1."""
    powers = np.exp(z - z.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)
