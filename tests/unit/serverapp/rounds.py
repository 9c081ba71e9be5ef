"""One round of a strategy without clients: the arrays it sends and the replies it gets."""

from __future__ import annotations

from collections.abc import Sequence

from tests.support.clients import answer, reply
from tests.support.fake_grid import FakeGrid
from umbel.app import ArrayRecord, ConfigRecord, Message, MetricRecord
from umbel.serverapp.strategy import Strategy


def one_round(
    strategy: Strategy, sent: ArrayRecord, replies: Sequence[Message], server_round: int = 1
) -> tuple[ArrayRecord | None, MetricRecord | None]:
    """What the strategy makes of these replies to the arrays it has sent to twenty nodes."""
    list(strategy.configure_train(server_round, sent, ConfigRecord(), FakeGrid(answer, range(2, 22))))
    return strategy.aggregate_train(server_round, replies)


def new_arrays(
    strategy: Strategy, sent: ArrayRecord, models: Sequence[ArrayRecord], server_round: int = 1
) -> ArrayRecord:
    """The arrays after a round in which nodes 1, 2, … reply these models, each from one example."""
    arrays, _ = one_round(strategy, sent, [reply(node, arrays) for node, arrays in enumerate(models, 1)], server_round)
    assert arrays is not None
    return arrays


def values(arrays: ArrayRecord) -> list[float]:
    """The elements of the tensor "0"."""
    return list(arrays["0"].numpy().astype(float).ravel())
