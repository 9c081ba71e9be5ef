"""The handwritten digits that come with scikit-learn, divided among the clients."""

from functools import cache

import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from umbel.partition import dirichlet


@cache
def load_split():
    """Images of shape [n, 8, 8] with values in [0, 1] and labels of shape [n]: for training, then for testing."""
    x, y = load_digits(return_X_y=True)
    images = (x / 16).astype(np.float32).reshape(-1, 8, 8)
    x_train, x_test, y_train, y_test = train_test_split(images, y, test_size=0.2, random_state=0)
    return (x_train, y_train), (x_test, y_test)


def load_partition(partition_id, num_partitions, alpha):
    """The images and labels of one client."""
    (x, y), _ = load_split()
    part = dirichlet(y, num_partitions, alpha, seed=0, min_size=10)[partition_id]
    return x[part], y[part]
