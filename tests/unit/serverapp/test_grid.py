"""The Grid interface."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import pytest

from tests.support.clients import model, reply
from umbel.app import Message, RecordDict
from umbel.errors import NotEnoughNodes
from umbel.serverapp import Grid, RoundPolicy, Run
from umbel.serverapp.aggregation.reduction import WeightedMean


class Minimal(Grid):
    """Five methods; node 3 never replies, the others do so in reverse order."""

    timeout: float | None = None

    @property
    def run(self) -> Run:
        return Run(1)

    def get_node_ids(self) -> Sequence[int]:
        return [2, 3, 4]

    def push_messages(self, messages: Iterable[Message]) -> Sequence[str]:
        """Not needed here."""
        raise NotImplementedError

    def pull_messages(self, message_ids: Iterable[str]) -> Iterable[Message]:
        """Not needed here."""
        raise NotImplementedError

    def send_and_receive(self, messages: Iterable[Message], *, timeout: float | None = None) -> Iterable[Message]:
        self.timeout = timeout
        nodes = [message.metadata.dst_node_id for message in messages]
        return [reply(node, model(place)) for place, node in reversed(list(enumerate(nodes))) if node != 3]


MESSAGES = [Message(RecordDict(), node, "train", group_id="7") for node in (4, 3, 2, 4)]


def test_each_message_has_one_reply_in_its_place() -> None:
    """In dispatch order, also where a node has two messages; who is silent is answered for with an error."""
    grid = Minimal()
    replies = list(grid.exchange(MESSAGES, RoundPolicy(timeout=5)))
    assert grid.timeout == 5
    assert [each.metadata.src_node_id for each in replies] == [4, 3, 2, 4]
    assert [each.has_error() for each in replies] == [False, True, False, False]
    late = replies[1]
    assert late.error.code == 21
    assert (late.metadata.dst_node_id, late.metadata.group_id, late.metadata.message_type) == (1, "7", "train")


def test_it_folds() -> None:
    """The replies that came are in the sum, all are in their places."""
    reduced = Minimal().reduce(MESSAGES, WeightedMean(), RoundPolicy())
    assert reduced.sum is not None
    assert reduced.sum.mean() == model((0 + 2 + 3) / 3)
    assert [kept.node_id for kept in reduced.failures()] == [3]


def test_it_waits_for_nobody() -> None:
    """Nodes that are not there now will not come: the error says how many there are."""
    grid = Minimal()
    assert grid.wait_for_nodes(3) == [2, 3, 4]
    with pytest.raises(NotEnoughNodes, match="4 nodes are required, but only 3 exist"):
        grid.wait_for_nodes(4, timeout=1)


def test_it_keeps_nothing() -> None:
    """Without a store there are no checkpoints; reports and artifacts go nowhere."""
    grid = Minimal()
    assert grid.checkpoints is None
    grid.report("note", {"text": "hello"})
    grid.report_metrics(1, "train", {"loss": 1.0})
    grid.save_artifact("model.safetensors", [b""])
