"""The data and the model: nothing here knows that the learning is federated."""

import os
from functools import cache
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from umbel.partition import dirichlet


class Net(nn.Module):
    """Two convolutions and a linear layer: 11,274 parameters, small enough for one CPU core."""

    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(1, 8, 5, stride=2, padding=2),
            nn.ReLU(),
            nn.Conv2d(8, 16, 5, stride=2, padding=2),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(16 * 7 * 7, 10),
        )

    def forward(self, images):
        """Logits of shape [n, 10] for images of shape [n, 1, 28, 28]."""
        return self.layers(images)


@cache
def load_arrays(name):
    """The data set that `dev/data.sh` fetched: uint8 arrays x_train, y_train, x_test, y_test."""
    root = Path(os.environ.get("UMBEL_DATA") or "~/.cache/umbel-data").expanduser()
    path = root / name / f"{name}.npz"
    if not path.is_file():
        raise FileNotFoundError(
            f"There is no {path}. Fetch it with `dev/data.sh {name}`, or take the other set: "
            '`umbel run . -c \'dataset="fashion-mnist"\'` or `"mnist"`.'
        )
    with np.load(path) as arrays:
        return {key: arrays[key] for key in arrays}


def load_partition(partition_id, num_partitions, dataset, alpha):
    """One client's images of shape [n, 1, 28, 28] and labels of shape [n], four fifths to train and one to evaluate."""
    arrays = load_arrays(dataset)
    mine = dirichlet(arrays["y_train"], num_partitions, alpha, seed=0, min_size=50)[partition_id]
    test = np.arange(len(mine)) % 5 == 0
    x, y = arrays["x_train"], arrays["y_train"]
    return to_tensors(x[mine[~test]], y[mine[~test]]), to_tensors(x[mine[test]], y[mine[test]])


def load_test(dataset):
    """The 10,000 test images and labels, which no client has."""
    arrays = load_arrays(dataset)
    return to_tensors(arrays["x_test"], arrays["y_test"])


def to_tensors(images, labels):
    """Pixels in [0, 1] of shape [n, 1, 28, 28], classes of shape [n]."""
    return torch.from_numpy(images[:, None] / np.float32(255)), torch.from_numpy(labels.astype(np.int64))


def train(model, data, epochs, batch_size, learning_rate):
    """Train the model in place with SGD; the mean loss of the last epoch."""
    images, labels = data
    optimizer = torch.optim.SGD(model.parameters(), lr=learning_rate)
    model.train()
    for _ in range(epochs):
        losses = []
        for batch in torch.randperm(len(labels)).split(batch_size):
            optimizer.zero_grad()
            loss = cross_entropy(model(images[batch]), labels[batch])
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
    return sum(losses) / len(losses)


@torch.inference_mode()
def evaluate(model, data):
    """Loss and accuracy on the data."""
    images, labels = data
    model.eval()
    logits = torch.cat([model(part) for part in images.split(1000)])
    return {
        "loss": cross_entropy(logits, labels).item(),
        "accuracy": (logits.argmax(dim=1) == labels).float().mean().item(),
    }
