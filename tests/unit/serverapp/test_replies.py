"""The stream of replies that an aggregate_train gets."""

from __future__ import annotations

from collections.abc import Iterator

from tests.support.clients import model, reply
from umbel.app import Message
from umbel.serverapp.aggregation.replies import Replies


def test_it_is_read_as_far_as_somebody_looks() -> None:
    """The first reply can be folded while the others are on their way."""
    taken = []

    def arriving() -> Iterator[Message]:
        for node_id in (1, 2, 3):
            taken.append(node_id)
            yield reply(node_id, model(node_id))

    replies = Replies(arriving())
    assert taken == []
    assert next(iter(replies)).metadata.src_node_id == 1
    assert taken == [1]
    assert len(replies) == 3
    assert taken == [1, 2, 3]


def test_it_can_be_gone_through_again() -> None:
    """As often as wanted, also by two at once: each sees every reply."""
    stream = [reply(node_id) for node_id in (1, 2, 3)]
    replies = Replies(iter(stream))
    assert list(zip(replies, replies, strict=True)) == list(zip(stream, stream, strict=True))
    assert list(replies) == stream
    assert replies.all() == stream
