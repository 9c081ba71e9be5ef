"""The data and the model: nothing here knows that the learning is federated."""

from functools import cache

import numpy as np
import xgboost
from sklearn.datasets import load_breast_cancer
from sklearn.metrics import log_loss, roc_auc_score
from sklearn.model_selection import train_test_split

from umbel.partition import iid

PARAMETERS = {
    "objective": "binary:logistic",
    "max_depth": 3,
    "base_score": 0.5,  # given, so that the forests of all clinics begin from the same guess
    "nthread": 1,
    "seed": 0,
}


@cache
def load_data():
    """398 training and 171 test patients, 30 numbers about the cells of each: x_train, x_test, y_train, y_test."""
    x, y = load_breast_cancer(return_X_y=True)
    return train_test_split(x, y, test_size=0.3, stratify=y, random_state=0)


def load_partition(partition_id, num_partitions):
    """The patients of one clinic, four fifths to train on and one fifth to evaluate: x_train, x_test, y_train, y_test."""
    x, _, y, _ = load_data()
    mine = iid(len(y), num_partitions, seed=0)[partition_id]
    return train_test_split(x[mine], y[mine], test_size=0.2, stratify=y[mine], random_state=0)


def grow(forest, x, y, rounds, learning_rate):
    """The forest with `rounds` more trees, which fix what it gets wrong; a `forest` of None is empty."""
    parameters = {**PARAMETERS, "eta": learning_rate}
    return xgboost.train(parameters, xgboost.DMatrix(x, y), rounds, xgb_model=forest)


def to_bytes(forest):
    """The forest as an array of bytes: how it travels."""
    return np.frombuffer(forest.save_raw("json"), np.uint8)


def from_bytes(data):
    """The forest again; None where there are no bytes yet."""
    return xgboost.Booster(PARAMETERS, model_file=bytearray(data.tobytes())) if data.size else None


def evaluate(forest, x, y):
    """Loss, accuracy and AUC on x and y."""
    p = np.full(len(y), 0.5) if forest is None else forest.predict(xgboost.DMatrix(x)).astype(float)
    return {
        "loss": float(log_loss(y, p)),
        "accuracy": float(((p > 0.5) == y).mean()),
        "auc": float(roc_auc_score(y, p)),
    }
