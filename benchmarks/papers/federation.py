"""A federation in this process: softmax regressions on parts of a data set, through the product's own rounds."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from umbel.app import ArrayRecord, Context, Message, MetricRecord, RecordDict
from umbel.clientapp import ClientApp, Mod
from umbel.clientapp.correction import Correction
from umbel.serverapp import Grid, ServerApp
from umbel.serverapp.strategy import Strategy
from umbel.simulation.run import SimulationResult, run_simulation
from umbel.simulation.settings import SimulationSettings

Array = NDArray[Any]
Part = tuple[Array, Array]
"""Inputs of shape [n, features] and classes of shape [n]."""


@dataclass
class Task:
    """Who has what, and how a client trains: `steps` of SGD in batches of `batch`, without momentum."""

    parts: Sequence[Part]
    test: Part
    classes: int
    steps: int
    batch: int
    learning_rate: float
    mods: Sequence[Mod] = field(default=())
    tests: Sequence[Part] = field(default=())
    """Each client's own test data, where it is asked for."""

    @property
    def initial(self) -> ArrayRecord:
        """A matrix of shape [features, classes] and a bias of shape [classes], all zero."""
        return ArrayRecord([np.zeros((self.test[0].shape[1], self.classes)), np.zeros(self.classes)])


def run(task: Task, strategy: Strategy, rounds: int, seed: int = 0) -> SimulationResult:
    """The rounds of a strategy on a task; `server` metrics hold loss and accuracy on its test data."""
    server, client = ServerApp(), ClientApp(mods=task.mods)

    @server.main()
    def main(grid: Grid, context: Context) -> None:
        strategy.start(grid, task.initial, rounds, evaluate_fn=lambda _, arrays: measured(arrays, task.test))

    @client.train()
    def train(message: Message, context: Context) -> Message:
        return trained(task, message, context)

    settings = SimulationSettings(num_supernodes=len(task.parts), backend="inline")
    return run_simulation((server, client), settings=settings, seed=seed)


def trained(task: Task, message: Message, context: Context) -> Message:
    """A client's reply: some steps on its part, drawn by its number and the round."""
    part, server_round = context.node_config["partition-id"], message.content.config_records["config"]["server-round"]
    x, y = task.parts[int(part)]
    rng = np.random.default_rng([int(part), int(server_round)])  # type: ignore[arg-type]
    correction = Correction(message)
    weights = [w.copy() for w in message.content.array_records["arrays"].to_numpy_ndarrays()]
    before = loss_and_accuracy(weights, x, y)[0]
    for _ in range(task.steps):
        chosen = rng.choice(len(y), min(task.batch, len(y)), replace=False)
        gradients = gradients_of(weights, x[chosen], y[chosen])
        correction.add(gradients, weights)
        weights = [w - task.learning_rate * g for w, g in zip(weights, gradients, strict=True)]
    metrics = {
        "num-examples": len(y),
        "local-steps": task.steps,
        "learning-rate": task.learning_rate,
        "train_loss": before,
    }
    return Message(RecordDict({"arrays": ArrayRecord(weights), "metrics": MetricRecord(metrics)}), reply_to=message)


def probabilities(weights: Sequence[Array], x: Array) -> Array:
    """Of shape [n, classes]."""
    logits = x @ weights[0] + weights[1]
    exponentials = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(exponentials / exponentials.sum(axis=1, keepdims=True))


def gradients_of(weights: Sequence[Array], x: Array, y: Array) -> list[Array]:
    """Of the mean cross-entropy."""
    delta = probabilities(weights, x)
    delta[np.arange(len(y)), y] -= 1
    delta /= len(y)
    return [x.T @ delta, delta.sum(axis=0)]


def loss_and_accuracy(weights: Sequence[Array], x: Array, y: Array) -> tuple[float, float]:
    """The mean cross-entropy and the share of right answers."""
    p = probabilities(weights, x)
    return float(-np.log(np.maximum(p[np.arange(len(y)), y], 1e-12)).mean()), float((p.argmax(axis=1) == y).mean())


def measured(arrays: ArrayRecord, test: Part) -> MetricRecord:
    """Loss and accuracy as metrics."""
    loss, accuracy = loss_and_accuracy(arrays.to_numpy_ndarrays(), *test)
    return MetricRecord({"loss": loss, "accuracy": accuracy})


def best_of(values: Sequence[float], outcome: Callable[[float], float]) -> tuple[float, float]:
    """The largest outcome over a grid of settings, and the setting."""
    return max((outcome(value), value) for value in values)
