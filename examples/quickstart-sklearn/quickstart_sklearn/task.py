"""The data and the model: nothing here knows that the learning is federated."""

from functools import cache

import numpy as np
from sklearn.datasets import load_digits
from sklearn.linear_model import SGDClassifier
from sklearn.metrics import log_loss
from sklearn.model_selection import train_test_split

from umbel.partition import iid

CLASSES = np.arange(10)
NUM_PIXELS = 64


@cache
def load_data():
    """1,437 training and 360 test images of 8 x 8 pixels in [0, 1]: x_train, x_test, y_train, y_test."""
    x, y = load_digits(return_X_y=True)
    return train_test_split(x / 16, y, test_size=0.2, stratify=y, random_state=0)


def load_partition(partition_id, num_partitions):
    """The part of one client, four fifths to train on and one fifth to evaluate: x_train, x_test, y_train, y_test."""
    x, _, y, _ = load_data()
    mine = iid(len(y), num_partitions, seed=0)[partition_id]
    return train_test_split(x[mine], y[mine], test_size=0.2, random_state=0)


def initial_weights():
    """Coefficients of shape [10, 64] and intercepts of shape [10], all zero."""
    return [np.zeros((len(CLASSES), NUM_PIXELS)), np.zeros(len(CLASSES))]


def make_model(weights, learning_rate=0.1):
    """A logistic regression that continues from `weights`."""
    model = SGDClassifier(loss="log_loss", learning_rate="constant", eta0=learning_rate, random_state=0)
    model.classes_ = CLASSES
    model.coef_, model.intercept_ = (w.copy() for w in weights)
    return model


def train(weights, x, y, epochs, learning_rate):
    """The weights after some passes over x and y."""
    model = make_model(weights, learning_rate)
    for _ in range(epochs):
        model.partial_fit(x, y, classes=CLASSES)
    return [model.coef_, model.intercept_]


def evaluate(weights, x, y):
    """Loss and accuracy on x and y."""
    model = make_model(weights)
    return {
        "loss": float(log_loss(y, model.predict_proba(x), labels=CLASSES)),
        "accuracy": float(model.score(x, y)),
    }
