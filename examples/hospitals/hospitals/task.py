"""The data, the model and its score: nothing here knows that the learning is federated."""

from functools import cache
from importlib.resources import files

import numpy as np

from umbel.partition import by_id

SITES = 6
OUTCOME = "binexp"  # 1 if the person had any medical expense in the year
FEATURES = [
    "coins",  # coinsurance: how many percent of a bill the person pays
    "xage",  # age in years
    "female",
    "black",
    "child",  # under 18
    "linc",  # log of the family's income
    "lnum",  # log of the family's size
    "educdec",  # years of school
    "disea",  # index of chronic diseases
    "physlm",  # a physical limitation
    "mhi",  # index of mental health
    "hlthg",  # rates own health good,
    "hlthf",  # fair
    "hlthp",  # or poor (else excellent)
]


@cache
def load_table():
    """The RAND Health Insurance Experiment: 20,186 years of the lives of 5,908 people, as named columns."""
    path = files("statsmodels") / "datasets" / "randhie" / "src" / "randhie.csv"
    columns = ["site", "zper", OUTCOME, *FEATURES]
    table = np.genfromtxt(path, delimiter=",", names=True, usecols=columns)
    return table[~np.isnan(table["educdec"])]


def load_site(site):
    """The data of one site, 0 to 5: x_train, x_test of shape [n, 14] and y_train, y_test of shape [n].

    Every fifth person is kept for the test, with all their years.
    """
    table = load_table()
    rows = table[by_id(table["site"])[site]]
    x = np.stack([rows[name] for name in FEATURES], axis=1)
    y = rows[OUTCOME]
    test = rows["zper"] % 5 == 0
    return x[~test], x[test], y[~test], y[test]


def load_all_sites():
    """What no one may do outside of an experiment: the data of all sites in one place."""
    sites = [load_site(site) for site in range(SITES)]
    return tuple(np.concatenate(arrays) for arrays in zip(*sites, strict=True))


def initial_weights():
    """One weight for each feature, and the intercept."""
    return np.zeros(len(FEATURES) + 1)


def scores(weights, x, scale):
    """The log-odds of the outcome, of shape [n]; `scale` is the mean and the standard deviation of each feature."""
    mean, std = scale
    return (x - mean) / std @ weights[:-1] + weights[-1]


def train(weights, x, y, scale, steps, learning_rate=0.5):
    """The weights of a logistic regression after some steps of gradient descent on all of x and y."""
    mean, std = scale
    inputs = np.column_stack([(x - mean) / std, np.ones(len(x))])
    for _ in range(steps):
        probability = 1 / (1 + np.exp(-inputs @ weights))
        weights = weights - learning_rate * inputs.T @ (probability - y) / len(y)
    return weights


def auc(score, y):
    """The chance that someone with the outcome scores above someone without: 0.5 is guessing, 1 is perfect."""
    with_outcome, without = score[y == 1], np.sort(score[y == 0])
    below = np.searchsorted(without, with_outcome, "left").mean()
    not_above = np.searchsorted(without, with_outcome, "right").mean()
    return float(below + not_above) / (2 * len(without))
