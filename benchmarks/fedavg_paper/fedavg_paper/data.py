"""MNIST, as `dev/data.sh mnist` has fetched it, and its division among the clients."""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fedavg_paper.mlp import Floats, Ints
from umbel.partition import Partitions, iid, shards


@cache
def load_arrays() -> dict[str, NDArray[np.uint8]]:
    """The arrays x_train and x_test, of shape [n, 28, 28], and y_train and y_test, of shape [n]."""
    root = Path(os.environ.get("UMBEL_DATA") or "~/.cache/umbel-data").expanduser()
    path = root / "mnist" / "mnist.npz"
    if not path.is_file():
        raise FileNotFoundError(f"There is no {path}. Fetch it with `dev/data.sh mnist`.")
    with np.load(path) as arrays:
        return {key: arrays[key] for key in arrays}


@cache
def partitions(kind: str, num_partitions: int, seed: int) -> Partitions:
    """The training samples of each client: `kind` is "iid" or "shards"."""
    labels = load_arrays()["y_train"]
    if kind == "iid":
        return iid(len(labels), num_partitions, seed=seed)
    if kind == "shards":
        return shards(labels, num_partitions, 2, seed=seed)
    raise ValueError(f'`partition` is "{kind}"; it must be "iid" or "shards".')


def load_partition(kind: str, partition_id: int, num_partitions: int, seed: int) -> tuple[Floats, Ints]:
    """One client's pixels of shape [n, 784] and classes of shape [n]."""
    mine = partitions(kind, num_partitions, seed)[partition_id]
    arrays = load_arrays()
    return _flat(arrays["x_train"][mine]), arrays["y_train"][mine]


@cache
def load_test() -> tuple[Floats, Ints]:
    """The 10,000 test samples."""
    arrays = load_arrays()
    return _flat(arrays["x_test"]), arrays["y_test"]


def _flat(images: NDArray[Any]) -> Floats:
    """Pixels in [0, 1] of shape [n, 784]."""
    pixels: Floats = np.divide(images.reshape(len(images), -1), 255, dtype=np.float32)
    return pixels
