"""Choice between folding replies and passing them one by one."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pytest

from tests.support.clients import answer, bits, model
from tests.support.fake_grid import FakeGrid, WorkersGrid
from tests.unit.serverapp.strategies import Streamed
from umbel.app import ArrayRecord, Message, MetricRecord, RecordDict
from umbel.serverapp.aggregation.reduction import Reduction
from umbel.serverapp.strategy import FedAvg

Trained = tuple[ArrayRecord | None, MetricRecord | None]


def test_the_same_bits_however_the_replies_are_folded() -> None:
    """Folded by the grid, in workers' subtrees, or by aggregate_train from a stream: the same bits, also with silent nodes."""
    start = model(*np.random.default_rng(0).normal(size=50))
    nodes, silent = range(2, 25), [3, 9, 10]
    folded, workers, streamed = (kind(answer, nodes, silent=silent) for kind in (FakeGrid, WorkersGrid, FakeGrid))
    strategy = Streamed()
    results = [FedAvg().start(folded, start), FedAvg().start(workers, start), strategy.start(streamed, start)]
    assert [grid.reduced for grid in (folded, workers, streamed)] == [3, 3, 0]
    assert strategy.seen == 3 * 20
    assert bits(results[0].arrays) == bits(results[1].arrays) == bits(results[2].arrays)
    assert results[0] == results[1] == results[2]


@dataclass(frozen=True)
class Unweighted(Reduction):
    """Every model counts the same."""

    def weigh(self, content: RecordDict) -> tuple[ArrayRecord, float]:
        return content.array_records["arrays"], 1.0


class PlainMean(FedAvg):
    """FedAvg with its own reduction."""

    def train_reduction(self) -> Reduction:
        return Unweighted()


class Doubled(PlainMean):
    """Overrides aggregate_train below the class that declares the reduction: it is not folded any longer."""

    def aggregate_train(self, server_round: int, replies: Iterable[Message]) -> Trained:
        """Twice the mean."""
        arrays, metrics = super().aggregate_train(server_round, replies)
        assert arrays is not None
        return ArrayRecord([arrays["0"].numpy() * 2]), metrics


@pytest.mark.parametrize(
    ("kind", "mean", "folded"), [(FedAvg, 2.6, 1), (PlainMean, 2.5, 1), (Doubled, 5.0, 0), (Streamed, 2.6, 0)]
)
def test_when_replies_are_folded(kind: type[FedAvg], mean: float, folded: int) -> None:
    """Where the class that declares the reduction, or one above it, also says how to aggregate; not where one below it does."""
    grid = FakeGrid(answer, [2, 3])
    result = kind(fraction_evaluate=0).start(grid, model(0), num_rounds=1)
    assert result.arrays["0"].numpy().tolist() == pytest.approx([mean])
    assert grid.reduced == folded


def test_an_aggregate_train_set_on_the_object_counts_as_overridden(monkeypatch: pytest.MonkeyPatch) -> None:
    """A strategy whose aggregate_train was replaced on the instance gets the replies, not their sum."""
    strategy, grid = FedAvg(), FakeGrid(answer)
    monkeypatch.setattr(strategy, "aggregate_train", lambda server_round, replies: (model(5), None))
    assert bits(strategy.start(grid, model(1)).arrays) == bits(model(5))
    assert grid.reduced == 0
    assert [kind for kind, _ in grid.asked] == ["train", "evaluate"] * 3
