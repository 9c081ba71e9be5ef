"""Exchanges: delivery of replies, deadlines and failures."""

from __future__ import annotations

import threading

import numpy as np
import pytest

from umbel.app import ArrayRecord, Error, Message, MetricRecord, RecordDict
from umbel.app.message import ErrorCode
from umbel.engine.exchange import Exchange
from umbel.errors import AppLoadError
from umbel.serverapp.aggregation.reduction import Fold, Reduction, WeightedMean
from umbel.serverapp.grid import RoundPolicy


def exchange(count: int, policy: RoundPolicy | None = None, reduction: Reduction | None = None) -> Exchange:
    """An exchange with nodes 2 … count + 1."""
    content = RecordDict()
    messages = [Message(content, node, "train") for node in range(2, count + 2)]
    return Exchange(1, messages, reduction, policy or RoundPolicy(), 1)


def reply(under_way: Exchange, index: int, value: float = 0.0) -> None:
    """Client `index` answers."""
    content = RecordDict({"a": ArrayRecord([np.full(3, float(value))]), "m": MetricRecord({"num-examples": 1})})
    under_way.replied(index, Message(content, reply_to=under_way.messages[index]))


def test_replies_are_given_out_in_dispatch_order_as_soon_as_they_can() -> None:
    """An early reply of a late message waits for those before it, and not for those after it."""
    under_way = exchange(3)
    got: list[int] = []
    first_two = threading.Event()

    def read() -> None:
        for message in under_way.in_order():
            got.append(message.metadata.src_node_id)
            if len(got) == 2:
                first_two.set()

    reader = threading.Thread(target=read)
    reader.start()
    reply(under_way, 1)
    reply(under_way, 0)
    assert first_two.wait(10)
    assert got == [2, 3]
    reply(under_way, 2)
    reader.join()
    assert got == [2, 3, 4]


def test_who_has_not_answered_in_time_is_answered_for() -> None:
    """After the cut every message has a reply, and one that comes later changes nothing."""
    under_way = exchange(3)
    reply(under_way, 1)
    under_way.cut_off()
    assert under_way.over
    reply(under_way, 0)
    replies = list(under_way.in_order())
    assert [r.has_error() for r in replies] == [True, False, True]
    assert replies[0].error.code == ErrorCode.TIMED_OUT


def test_the_deadline_counts_once_there_is_a_quorum() -> None:
    """Before the quorum only the time-out limits a round; error replies do not count for the quorum."""
    under_way = exchange(4, RoundPolicy(timeout=100, deadline=5, quorum=2))
    assert under_way.limit() == under_way.began + 100
    reply(under_way, 0)
    under_way.replied(1, Message(Error(2), reply_to=under_way.messages[1]))
    assert under_way.limit() == under_way.began + 100
    reply(under_way, 2)
    assert under_way.limit() == under_way.began + 5
    assert exchange(2).limit() is None


def test_what_is_unanswered_is_told_in_ranges() -> None:
    """The engine serves exactly these."""
    under_way = exchange(6)
    for index in (0, 2, 3):
        reply(under_way, index)
    assert under_way.unanswered() == [(1, 2), (4, 6)]


def test_contents_that_are_shared_are_packed_once() -> None:
    """Messages with the very same content share it."""
    shared, own = RecordDict(), RecordDict()
    messages = [Message(content, node, "train") for node, content in enumerate([shared, own, shared], 2)]
    contents, which = Exchange(1, messages, None, RoundPolicy(), 1).contents()
    assert [id(content) for content in contents] == [id(shared), id(own)]
    assert which == [0, 1, 0]


def test_folding_here_and_elsewhere_gives_one_result() -> None:
    """Single replies and whole subtrees, in any order, and errors, make one sum."""
    whole, parts = exchange(4, reduction=WeightedMean()), exchange(4, reduction=WeightedMean())
    for index in range(4):
        reply(whole, index, index)
    elsewhere = Fold(WeightedMean())
    for index in (2, 3):
        content = RecordDict({"a": ArrayRecord([np.full(3, float(index))]), "m": MetricRecord({"num-examples": 1})})
        elsewhere.add(index, Message(content, reply_to=parts.messages[index]))
    parts.folded(*elsewhere.parts())
    for index in (1, 0):
        reply(parts, index, index)
    sums = [under_way.reduced().sum for under_way in (whole, parts)]
    assert sums[0] is not None
    assert sums[1] is not None
    assert sums[0].mean() == sums[1].mean()
    assert parts.done == 4


def test_the_engines_failure_reaches_whoever_waits() -> None:
    """No one waits for an engine that cannot continue."""
    under_way = exchange(2)
    under_way.failed_with(AppLoadError("no module"))
    with pytest.raises(AppLoadError, match="no module"):
        under_way.wait()
    with pytest.raises(AppLoadError, match="no module"):
        list(under_way.in_order())
