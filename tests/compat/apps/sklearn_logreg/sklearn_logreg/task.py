"""sklearn_logreg: a Flower / scikit-learn app."""

import numpy as np
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression


def create_model(penalty: str, local_epochs: int) -> LogisticRegression:
    """A model with all weights 0."""
    del penalty  # l2 is scikit-learn's default, and naming it is deprecated
    model = LogisticRegression(max_iter=local_epochs, warm_start=True)
    model.classes_ = np.arange(10)
    set_params(model, [np.zeros((10, 64)), np.zeros(10)])
    return model


def get_params(model: LogisticRegression) -> list:
    """The weights."""
    return [model.coef_, model.intercept_]


def set_params(model: LogisticRegression, params: list) -> None:
    """Use these weights."""
    model.coef_, model.intercept_ = params


def load_data(partition_id: int, num_partitions: int):
    """Every n-th digit; the last fifth is for tests."""
    digits = load_digits()
    x, y = digits.data[partition_id::num_partitions] / 16, digits.target[partition_id::num_partitions]
    cut = int(0.8 * len(x))
    return x[:cut], x[cut:], y[:cut], y[cut:]
