"""Data, model and private training: nothing here knows that the learning is federated."""

import warnings
from functools import cache

import torch
from opacus import PrivacyEngine
from opacus.accountants import RDPAccountant
from opacus.accountants.utils import get_noise_multiplier
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from umbel.partition import iid

torch.set_num_threads(1)


@cache
def load_data():
    """1,437 training and 360 test images as rows of 64 pixels in [0, 1]: x_train, x_test, y_train, y_test."""
    x, y = load_digits(return_X_y=True)
    x_train, x_test, y_train, y_test = train_test_split(x / 16, y, test_size=0.2, stratify=y, random_state=0)
    images = [torch.tensor(part, dtype=torch.float32) for part in (x_train, x_test)]
    return *images, torch.tensor(y_train), torch.tensor(y_test)


def load_site(site, num_sites):
    """The training images of one site: x, y."""
    x, _, y, _ = load_data()
    mine = torch.tensor(iid(len(y), num_sites, seed=0)[site])
    return x[mine], y[mine]


def make_model():
    """A logistic regression."""
    return nn.Linear(64, 10)


def train(model, x, y, config, accountant):
    """Train the model in place with DP-SGD, and add what it costs to the account.

    `accountant` holds what the earlier rounds have cost. The noise is what all rounds may have to cost the epsilon that was asked for.
    """
    data = DataLoader(TensorDataset(x, y), config["batch-size"])
    rounds, epochs = config["num-server-rounds"], config["local-epochs"]
    noise = noise_for(config["epsilon"], config["delta"], 1 / len(data), rounds * epochs * len(data))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # opacus and torch remark on each other's interfaces
        engine = PrivacyEngine(accountant="rdp")
        engine.accountant = accountant
        private, optimizer, loader = engine.make_private(
            module=model,
            optimizer=torch.optim.SGD(model.parameters(), lr=config["learning-rate"]),
            data_loader=data,
            noise_multiplier=noise,
            max_grad_norm=config["max-grad-norm"],
        )
        for _ in range(epochs):
            for images, labels in loader:
                optimizer.zero_grad()
                nn.functional.cross_entropy(private(images), labels).backward()
                optimizer.step()
        private.remove_hooks()


@cache
def noise_for(epsilon, delta, sample_rate, steps):
    """The noise multiplier with which that many steps cost epsilon."""
    return get_noise_multiplier(
        target_epsilon=epsilon, target_delta=delta, sample_rate=sample_rate, steps=steps, accountant="rdp"
    )


def account(history):
    """An account that has the `history` of earlier rounds."""
    accountant = RDPAccountant()
    accountant.history = history
    return accountant


def accuracy(model, x, y):
    """The share of the images that are read correctly."""
    with torch.no_grad():
        return float((model(x).argmax(dim=1) == y).float().mean())
