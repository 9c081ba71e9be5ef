"""The Grid of a deployment: sending, replies, deadlines and waiting for nodes."""

from __future__ import annotations

import weakref
from collections.abc import Sequence
from typing import Any

import pytest
from numpy.typing import NDArray

from tests.unit.deployment.conftest import Begin
from tests.unit.deployment.fakes import RUN_ID, Life, Server, content, trained
from umbel.app import ErrorCode, Message, RecordDict
from umbel.app.safetensors import Part
from umbel.deployment import transfer
from umbel.errors import NotEnoughNodes
from umbel.serverapp.aggregation.reduction import WeightedMean, fold
from umbel.serverapp.grid import RoundPolicy
from umbel.wire.messages import ContentRef, MessageMetadata, content_id, message_id
from umbel.wire.records import pack


def messages(nodes: Sequence[int], shared: RecordDict | None = None) -> list[Message]:
    """One message for each node, with separate contents unless one is given."""
    return [Message(shared or content(float(node)), node, "train", group_id="g") for node in nodes]


@pytest.fixture
def server() -> Server:
    """Three sites that answer after half a second."""
    return Server()


@pytest.fixture
def life(begin: Begin, server: Server) -> Life:
    """A run on these sites."""
    return begin(server)


def test_message_ids_are_derived_from_the_message(life: Life, server: Server) -> None:
    """The ID depends on run, exchange, index, node, type and content; each reply names its message."""
    grid = life.attempt().grid
    sent = messages([3, 5])
    replies = list(grid.exchange(sent, RoundPolicy()))
    (push,) = server.pushes
    names = [
        message_id(
            MessageMetadata(
                run_id=RUN_ID,
                sequence=1,
                index=index,
                node_id=node_id,
                message_type="train",
                content_id=content_id(push.contents[index]),
            )
        )
        for index, node_id in enumerate([3, 5])
    ]
    assert [one.message_id for one in push.messages] == names
    assert [message.metadata.message_id for message in sent] == names
    assert {(message.metadata.run_id, one.group_id) for message in sent for one in push.messages} == {(RUN_ID, "g")}
    assert [(reply.metadata.reply_to_message_id, reply.metadata.src_node_id) for reply in replies] == [
        (names[0], 3),
        (names[1], 5),
    ]
    again = list(grid.push_messages(messages([3, 5])))
    assert set(again).isdisjoint(names)


def test_a_shared_content_is_packed_once(life: Life, server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """A content that goes to several nodes is packed once; traffic counts it for each node."""
    packed: list[RecordDict] = []

    def watched(given: RecordDict) -> list[Part]:
        packed.append(given)
        return pack(given)

    monkeypatch.setattr(transfer, "pack", watched)
    attempt = life.attempt()
    replies = list(attempt.grid.exchange(messages([3, 5, 8], content(1.0)), RoundPolicy()))
    (push,) = server.pushes
    assert [one.content for one in push.messages] == [0, 0, 0]
    (shared,) = push.contents
    assert len(packed) == 1
    received = sum(reply.content.size for reply in server.replies if reply.content)
    assert attempt.recorder.told[-1] == ("traffic", 3 * shared.size, received, 0.0)
    assert len(replies) == 3


def test_large_exchanges_are_split(life: Life, server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each request has the contents of its messages; all but the last announce that more follow."""
    monkeypatch.setattr("umbel.deployment.transfer._LARGEST_PUSH", 1_500)
    shared, own = content(1.0), content(2.0)
    sent = [*messages([3, 5], shared), *messages([8], own), *messages([3, 5, 8], shared)]
    replies = list(life.attempt().grid.exchange(sent, RoundPolicy()))
    assert [reply.metadata.src_node_id for reply in replies] == [3, 5, 8, 3, 5, 8]
    assert len(server.pushes) > 1
    assert [push.more for push in server.pushes] == [True] * (len(server.pushes) - 1) + [False]
    assert {push.sequence for push in server.pushes} == {1}
    assert [one.index for push in server.pushes for one in push.messages] == [0, 1, 2, 3, 4, 5]
    for push in server.pushes:
        assert {one.content for one in push.messages} == set(range(len(push.contents)))


def test_replies_come_in_the_order_of_the_messages(life: Life, server: Server) -> None:
    """Replies are yielded in message order, each as soon as all earlier ones have arrived."""
    delays = iter([3.0, 1.0, 2.0])
    server.delay = lambda _: next(delays)
    grid = life.attempt().grid
    seen = []
    for reply in grid.exchange(messages([3, 5, 8]), RoundPolicy()):
        seen.append((reply.metadata.src_node_id, server.now))
    assert seen == [(3, 1003.0), (5, 1003.0), (8, 1003.0)]
    delays = iter([1.0, 3.0, 2.0])
    seen = [(reply.metadata.src_node_id, server.now) for reply in grid.exchange(messages([3, 5, 8]), RoundPolicy())]
    assert seen == [(3, 1004.0), (5, 1006.0), (8, 1006.0)]


def test_the_progress_of_an_exchange_is_reported(life: Life, server: Server) -> None:
    """Each arrival updates the numbers of replies and errors."""
    server.work = lambda node, sequence, received: None if node == 5 else trained(node, sequence, received)
    attempt = life.attempt()
    replies = list(attempt.grid.exchange(messages([3, 5, 8]), RoundPolicy()))
    assert [reply.has_error() for reply in replies] == [False, True, False]
    assert (replies[1].error.code, replies[1].error.reason) == (ErrorCode.CLIENT_APP_RAISED_EXCEPTION, "no")
    assert [numbers[:2] for numbers in attempt.progress] == [(2, 3), (3, 3)]
    assert attempt.progress[-1] == (3, 3, 1)


def test_a_missing_node_gives_an_error_reply(life: Life) -> None:
    """The other nodes are served."""
    replies = list(life.attempt().grid.exchange(messages([3, 99]), RoundPolicy()))
    assert [reply.has_error() for reply in replies] == [False, True]
    assert replies[1].error.code == ErrorCode.NODE_UNAVAILABLE


@pytest.mark.parametrize(
    ("policy", "ends", "missing"),
    [
        (RoundPolicy(timeout=5.0), 5.0, [8]),
        (RoundPolicy(timeout=50.0, deadline=2.0, quorum=2), 2.5, [8]),
        (RoundPolicy(timeout=50.0, deadline=2.0, quorum=1), 2.0, [5, 8]),
        (RoundPolicy(timeout=50.0, deadline=2.0), 50.0, [8]),
        (RoundPolicy(timeout=0.0), 0.0, [3, 5, 8]),
        (RoundPolicy(), 100.0, []),
    ],
)
def test_a_round_ends_at_its_timeout_or_deadline(
    life: Life, server: Server, policy: RoundPolicy, ends: float, missing: list[int]
) -> None:
    """The round ends after the timeout, or at the deadline with a quorum. Late messages expire, and the SuperLink knows the deadline."""
    delays = iter([0.5, 2.5, 100.0])
    server.delay = lambda _: next(delays)
    grid = life.attempt().grid
    replies = list(grid.exchange(messages([3, 5, 8]), policy))
    assert server.now == 1000.0 + ends
    late = [reply.metadata.src_node_id for reply in replies if reply.has_error()]
    assert (late, len(server.expired)) == (missing, len(missing))
    assert {reply.error.code for reply in replies if reply.has_error()} <= {ErrorCode.TIMED_OUT}
    shown = [seconds for seconds in (policy.timeout, policy.deadline) if seconds is not None]
    assert server.pushes[0].until == (1e9 + 1000.0 + min(shown) if shown else 0.0)


def test_errors_do_not_count_for_the_quorum(life: Life, server: Server) -> None:
    """Only replies with content count."""
    server.work = lambda node, sequence, received: None if node == 3 else trained(node, sequence, received)
    delays = iter([0.5, 4.0, 100.0])
    server.delay = lambda _: next(delays)
    list(life.attempt().grid.exchange(messages([3, 5, 8]), RoundPolicy(deadline=1.0, quorum=1)))
    assert server.now == 1004.0


def test_late_replies_are_missing(life: Life, server: Server) -> None:
    """`send_and_receive` yields nothing for late replies; errors of clients stay."""
    delays = iter([1.0, 1.0, 100.0])
    server.delay = lambda _: next(delays)
    server.work = lambda node, sequence, received: None if node == 5 else trained(node, sequence, received)
    replies = list(life.attempt().grid.send_and_receive(messages([3, 5, 8]), timeout=7))
    assert [(reply.metadata.src_node_id, reply.has_error()) for reply in replies] == [(3, False), (5, True)]
    assert server.now == 1007.0


def test_a_reply_is_pulled_once(life: Life, server: Server) -> None:
    """Replies that have arrived are pulled once, in order of arrival; unknown IDs are ignored."""
    delays = iter([3.0, 1.0, 2.0])
    server.delay = lambda _: next(delays)
    grid = life.attempt().grid
    ids = list(grid.push_messages(messages([3, 5, 8])))
    assert list(grid.pull_messages([*ids, "x"])) == []
    server.run_until(1002.0, lambda: False)
    assert [reply.metadata.src_node_id for reply in grid.pull_messages(ids)] == [5, 8]
    assert list(grid.pull_messages(ids)) == []
    server.run_until(1003.0, lambda: False)
    assert [reply.metadata.reply_to_message_id for reply in grid.pull_messages(set(ids))] == ids[:1]
    assert not grid._pushed
    assert not grid._inbox._replies


def test_pushed_messages_do_not_mix_with_an_exchange(life: Life) -> None:
    """Replies to pushed messages that arrive during an exchange are kept for a later pull."""
    grid = life.attempt().grid
    ids = list(grid.push_messages(messages([3, 5])))
    exchanged = list(grid.exchange(messages([8]), RoundPolicy()))
    assert [reply.metadata.src_node_id for reply in exchanged] == [8]
    assert [reply.metadata.src_node_id for reply in grid.pull_messages(ids)] == [3, 5]


def test_an_abandoned_exchange_leaves_nothing(life: Life) -> None:
    """Replies that arrive after the app has continued are dropped."""
    grid = life.attempt().grid
    stream = iter(grid.exchange(messages([3, 5, 8]), RoundPolicy()))
    next(stream)
    stream.close()  # type: ignore[attr-defined]
    list(grid.exchange(messages([3]), RoundPolicy()))
    assert not grid._inbox._replies
    assert not grid._inbox._open


def test_nodes_keep_states_that_may_be_needed(life: Life, server: Server) -> None:
    """States from before the oldest unanswered exchange are kept: a node that fails serves the message again."""
    grid = life.attempt().grid
    list(grid.exchange(messages([3]), RoundPolicy()))
    server.delay = lambda _: 1000.0
    grid.push_messages(messages([3]))
    server.delay = lambda _: 0.5
    for _ in range(2):
        list(grid.exchange(messages([5]), RoundPolicy()))
    assert [push.keep_from for push in server.pushes] == [0, 1, 1, 1]


def test_a_reduction_is_the_fold_of_the_replies(life: Life) -> None:
    """Replies are aggregated in message order, so that the result does not depend on the order of arrival."""
    grid = life.attempt().grid
    reduced = grid.reduce(messages([3, 5, 8]), WeightedMean(), RoundPolicy())
    replies = [
        Message(trained(node, 1, content(float(node))), reply_to=message)
        for node, message in zip([3, 5, 8], messages([3, 5, 8]), strict=True)
    ]
    expected = fold(WeightedMean(), replies)
    assert reduced.sum is not None
    assert expected.sum is not None
    assert bytes(reduced.sum.buffer) == bytes(expected.sum.buffer)


def test_a_malformed_reply_is_an_error(life: Life, server: Server) -> None:
    """A malformed reply is a failure of that site and not of the run."""
    grid = life.attempt().grid
    deep = b"\x91" * 50_000
    for nonsense in (b"nonsense", deep + len(deep).to_bytes(8, "little"), b""):
        server.delay = lambda _: 1e6
        ids = list(grid.push_messages(messages([3])))
        server.answer(ids[0], ContentRef(size=len(nonsense), data=nonsense))
        (reply,) = grid.pull_messages(ids)
        assert reply.error.code == ErrorCode.MALFORMED_REPLY


def test_replies_are_writable(life: Life) -> None:
    """As in a simulation, the app may change the arrays of a reply in place."""
    (reply,) = life.attempt().grid.exchange(messages([3]), RoundPolicy())
    array = reply.content.array_records["arrays"].to_numpy_ndarrays()[0]
    assert array.flags.writeable
    array += 1


def test_the_grid_waits_for_nodes(life: Life, server: Server) -> None:
    """The run reports the wait, its limit and its end; a short wait is not reported."""
    server.coming = [(1000.5, 9), (1010.0, 11), (1090.0, 12)]
    attempt = life.attempt()
    assert attempt.grid.wait_for_nodes(4, 60) == [3, 5, 8, 9]
    assert attempt.recorder.events("waiting") == []
    assert attempt.grid.wait_for_nodes(6, 200.0) == [3, 5, 8, 9, 11, 12]
    waits = attempt.recorder.events("waiting")
    since = 1e9 + 1000.5
    assert waits[0] == {"for": "nodes", "what": "4 of 6 are online", "since": since, "until": since + 200}
    assert waits[1]["what"] == "5 of 6 are online"
    assert waits[-1]["for"] == ""
    assert attempt.grid.get_node_ids() == [3, 5, 8, 9, 11, 12]


def test_too_few_nodes_are_an_error(life: Life) -> None:
    """The error has the number of online nodes; without waiting it is raised immediately."""
    attempt = life.attempt()
    with pytest.raises(NotEnoughNodes, match="5 nodes are required, but only 3 are online"):
        attempt.grid.wait_for_nodes(5, 2.5)
    assert [event["for"] for event in attempt.recorder.events("waiting")] == ["nodes", ""]
    with pytest.raises(NotEnoughNodes):
        attempt.grid.wait_for_nodes(4, 0)


def test_an_aggregated_reply_is_released_before_the_next(life: Life, monkeypatch: pytest.MonkeyPatch) -> None:
    """One large reply at a time is in memory, whatever their number."""
    grid = life.attempt().grid
    alive: list[weakref.ref[NDArray[Any]]] = []
    most = 0
    opened = grid._contents.open

    def watched(reference: ContentRef) -> RecordDict:
        nonlocal most
        made = opened(reference)
        alive.append(weakref.ref(made.array_records["arrays"]["0"].storage))
        most = max(most, sum(one() is not None for one in alive))
        return made

    monkeypatch.setattr(grid._contents, "open", watched)
    grid.reduce(messages([3, 5, 8]), WeightedMean(), RoundPolicy())
    assert (len(alive), most) == (3, 1)
