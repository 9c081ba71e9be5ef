"""The data of the experiments and their division."""

from __future__ import annotations

from typing import Any

import numpy as np
from federation import Part
from numpy.typing import NDArray
from sklearn.datasets import load_digits

from umbel.partition import Partitions

_TRAINING = 1_437  # the other 360 are the test


def digits() -> tuple[Part, Part]:
    """1,437 training and 360 test images of 8 x 8 pixels in [0, 1]."""
    x, y = load_digits(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(y))
    x, y = x[order] / 16, y[order]
    return (x[:_TRAINING], y[:_TRAINING]), (x[_TRAINING:], y[_TRAINING:])


def divided(part: Part, parts: Partitions) -> list[Part]:
    """The part of each client."""
    x, y = part
    return [(x[mine], y[mine]) for mine in parts]


def rare_words(clients: int, seed: int = 0) -> tuple[list[Part], Part]:
    """Texts of a few words out of 400, most of them rare, each client with its own words: which of 10 tags?

    Word r occurs in proportion to 1/r, and each word speaks for one tag; a text's tag is that of most of its words, and the
    rarer a word the more it says.
    """
    rng = np.random.default_rng(seed)
    words, tags, length = 400, 10, 12
    frequency = 1 / np.arange(1, words + 1)
    speaks_for = rng.integers(tags, size=words)
    says = np.sqrt(np.arange(1, words + 1))

    def texts(count: int, taste: NDArray[Any]) -> Part:
        drawn = rng.choice(words, (count, length), p=frequency * taste / (frequency * taste).sum())
        x = np.zeros((count, words))
        np.add.at(x, (np.arange(count)[:, None], drawn), 1.0)
        votes = np.zeros((count, tags))
        np.add.at(votes, (np.arange(count)[:, None], speaks_for[drawn]), says[drawn])
        return np.minimum(x, 1), votes.argmax(axis=1)

    parts = [texts(60, rng.gamma(0.3, size=words) + 1e-3) for _ in range(clients)]
    return parts, texts(1_000, np.ones(words))
