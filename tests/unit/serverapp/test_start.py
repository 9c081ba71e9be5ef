"""`Strategy.start`: the rounds, what they tell, and what becomes of failures."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pytest

from tests.unit.serverapp.clients import answer, bits, model
from tests.unit.serverapp.fakegrid import FakeGrid, WorkersGrid
from umbel.app import ArrayRecord, Message, MetricRecord
from umbel.serverapp.strategy import FedAvg


def test_two_rounds_by_hand() -> None:
    """Two nodes with 2 and 3 examples: w ← w/2 + (2·2 + 3·3)/5, twice, from w = 1."""
    result = FedAvg().start(FakeGrid(answer, [2, 3]), model(1), num_rounds=2)
    assert result.arrays["0"].numpy().tolist() == pytest.approx([(0.5 + 2.6) / 2 + 2.6])
    assert result.train_metrics_clientapp == {1: {"loss": 1.0}, 2: {"loss": pytest.approx(3.1)}}
    assert result.evaluate_metrics_clientapp == {1: {"loss": pytest.approx(3.1)}, 2: {"loss": pytest.approx(4.15)}}
    assert result.evaluate_metrics_serverapp == {}
    assert result.stopped_early is None


def test_the_server_evaluates_from_round_0() -> None:
    """`evaluate_fn` sees the initial arrays as round 0 and the new ones after each round."""

    def first(server_round: int, arrays: ArrayRecord) -> MetricRecord | None:
        return MetricRecord({"first": float(arrays["0"].numpy()[0])}) if server_round != 1 else None

    result = FedAvg(fraction_evaluate=0.0).start(FakeGrid(answer, [2, 3]), model(1), num_rounds=2, evaluate_fn=first)
    assert result.evaluate_metrics_serverapp == {0: {"first": 1.0}, 2: {"first": pytest.approx(4.15)}}
    assert result.evaluate_metrics_clientapp == {}


def test_the_same_bits_however_the_replies_are_folded() -> None:
    """Folded by the grid, in workers' subtrees, or by aggregate_train from a stream: the same bits, also with a silent node."""

    class Streamed(FedAvg):
        def aggregate_train(
            self, server_round: int, replies: Iterable[Message]
        ) -> tuple[ArrayRecord | None, MetricRecord | None]:
            return super().aggregate_train(server_round, replies)

    start = model(*np.random.default_rng(0).normal(size=50))
    nodes = range(2, 25)
    grids = [FakeGrid(answer, nodes, silent=[3, 9, 10]), WorkersGrid(answer, nodes, silent=[3, 9, 10])]
    folded = [FedAvg().start(grid, start) for grid in grids]
    streamed_grid = FakeGrid(answer, nodes, silent=[3, 9, 10])
    streamed = Streamed().start(streamed_grid, start)
    assert [grid.reduced for grid in grids] == [3, 3]
    assert streamed_grid.reduced == 0
    assert bits(folded[0].arrays) == bits(folded[1].arrays) == bits(streamed.arrays)
    assert folded[0].train_metrics_clientapp == folded[1].train_metrics_clientapp == streamed.train_metrics_clientapp
