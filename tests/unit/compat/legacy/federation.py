"""A small federation of the older API for tests: clients that add their number to the model, and results as strategies get them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tests.support.fake_grid import FakeGrid
from umbel.app import Context
from umbel.compat.flwr.legacy.client import NumPyClient
from umbel.compat.flwr.legacy.clientapp import handler
from umbel.compat.flwr.legacy.clientmanager import ClientProxy
from umbel.compat.flwr.legacy.components import ServerAppComponents
from umbel.compat.flwr.legacy.gridproxy import GridClientProxy
from umbel.compat.flwr.legacy.server import History, ServerConfig
from umbel.compat.flwr.legacy.serverapp import lead
from umbel.compat.flwr.legacy.strategy import Strategy
from umbel.compat.flwr.legacy.typing import (
    Code,
    Config,
    FitRes,
    Metrics,
    NDArrays,
    Parameters,
    Status,
    ndarrays_to_parameters,
    parameters_to_ndarrays,
)

OK = Status(Code.OK, "Success")


class Adding(NumPyClient):
    """Adds its number, 0, 1, …, to the model; it has one example more than that."""

    def __init__(self, number: int) -> None:
        """`number` is that of its partition."""
        self.number = number

    def get_parameters(self, config: Config) -> NDArrays:
        """A model of two numbers."""
        return [np.array([10.0, 20.0])]

    def fit(self, parameters: NDArrays, config: Config) -> tuple[NDArrays, int, Metrics]:
        """Add the number; say what came in the configuration."""
        return [array + self.number for array in parameters], self.number + 1, {"number": self.number, **config}

    def evaluate(self, parameters: NDArrays, config: Config) -> tuple[float, int, Metrics]:
        """The loss is the number."""
        return float(self.number), self.number + 1, {"number": self.number, **config}


def adding(context: Context) -> NumPyClient:
    """A `client_fn`."""
    return Adding(int(context.node_config["partition-id"]))


def grid_of(client_fn: Callable[..., Any] = adding, **settings: Any) -> FakeGrid:
    """A grid of four nodes."""
    return FakeGrid(handler(client_fn), **settings)


def run(grid: FakeGrid, strategy: Strategy, num_rounds: int = 1, **settings: Any) -> History:
    """Run the rounds on the grid."""
    return lead(grid, ServerAppComponents(strategy=strategy, config=ServerConfig(num_rounds, **settings)))


def model(*arrays: Sequence[float]) -> Parameters:
    """A model of these arrays."""
    return ndarrays_to_parameters([np.array(array, dtype=np.float64) for array in arrays])


def numbers(parameters: Parameters | None) -> list[list[float]]:
    """The arrays of a model."""
    assert parameters is not None
    return [array.tolist() for array in parameters_to_ndarrays(parameters)]


def results(*models: Sequence[float], examples: Sequence[int] | None = None) -> list[tuple[ClientProxy, FitRes]]:
    """What clients 2, 3, … trained, each a model of one array; each on one example unless `examples` says otherwise."""
    counts = [1] * len(models) if examples is None else examples
    return [
        (GridClientProxy(index + 2, grid_of()), FitRes(OK, model(values), count, {"number": index}))
        for index, (values, count) in enumerate(zip(models, counts, strict=True))
    ]
