"""The benchmark of the FedAvg paper: its perceptron is right, and it reaches the paper's accuracy."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.acceptance.examples.conftest import Import, Run, data_file

APP = "benchmarks/fedavg_paper"
Array = NDArray[Any]


def test_a_step_follows_the_gradient(import_from: Import) -> None:
    """The hand-written backward pass equals the slope of the loss in each of 60 random weights."""
    mlp = import_from(APP, "fedavg_paper.mlp")
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(7, 5)), rng.integers(0, 3, 7)
    weights = [w.astype(float) + 0.01 for w in mlp.initial_weights([5, 6, 4, 3], seed=1)]
    stepped = [w.copy() for w in weights]
    mlp.step_(stepped, x, y, learning_rate=1.0)
    for _ in range(60):
        layer = int(rng.integers(len(weights)))
        place = tuple(int(rng.integers(size)) for size in weights[layer].shape)
        gradient = weights[layer][place] - stepped[layer][place]
        assert gradient == pytest.approx(slope(mlp, weights, layer, place, x, y), abs=1e-6)


def slope(mlp: ModuleType, weights: list[Array], layer: int, place: tuple[int, ...], x: Array, y: Array) -> float:
    """The central difference of the loss in one weight."""
    losses = []
    for shift in (1e-5, -1e-5):
        moved = [w.copy() for w in weights]
        moved[layer][place] += shift
        losses.append(mlp.evaluate(moved, x, y)[0])
    return float(losses[0] - losses[1]) / 2e-5


def test_it_is_the_model_of_the_paper(import_from: Import) -> None:
    """Two hidden layers of 200: 199,210 weights, all float32, and training keeps them so."""
    mlp = import_from(APP, "fedavg_paper.mlp")
    weights = mlp.initial_weights([784, 200, 200, 10], seed=0)
    x, y = np.random.default_rng(0).random((20, 784), np.float32), np.arange(20) % 10
    trained = mlp.train(weights, x, y, epochs=1, batch=10, learning_rate=0.1, seed=0)
    assert sum(w.size for w in weights) == 199_210
    assert {w.dtype for w in [*weights, *trained]} == {np.dtype(np.float32)}
    assert not np.array_equal(weights[0], trained[0])


@pytest.mark.slow
@pytest.mark.data
@pytest.mark.timeout(300)
def test_iid_reaches_97_percent_as_fast_as_in_the_paper(run_app: Run) -> None:
    """100 clients, 10 a round, one epoch in batches of 10: 97 % within the paper's 87 rounds."""
    data_file("mnist")
    ended = run_app(APP)
    assert ended["metrics"]["server"]["accuracy"] >= 0.97
    assert ended["rounds"] <= 87
