"""The Grid of simulated clients, with an engine that the test answers for."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from tests.support.fake_runtime import FakeRecorder
from tests.unit.simulation.fakes import FakeEngine, answer_all
from umbel.app import ArrayRecord, Error, Message, MetricRecord, RecordDict
from umbel.app.message import ErrorCode
from umbel.errors import AppLoadError
from umbel.runtime.checkpoints import Checkpoints
from umbel.serverapp.aggregation.reduction import WeightedMean
from umbel.serverapp.grid import RoundPolicy, Run
from umbel.simulation.grid import SimulationGrid

FLOATS = 10


class Bench:
    """A grid of four nodes, its engine, which answers at once unless told otherwise, and its recorder."""

    def __init__(self, earlier: bytes | None = None) -> None:
        self.saved: list[bytes] = []
        self.engine, self.recorder = FakeEngine(), FakeRecorder()
        self.engine.on_submit = lambda exchange: answer_all(exchange, trained)
        self.checkpoints = Checkpoints(lambda _, parts, __: self.saved.append(b"".join(parts)), earlier)
        self.grid = SimulationGrid(self.engine, Run(9, 1), 4, self.recorder, self.checkpoints)

    def traffic(self) -> tuple[object, ...]:
        """What was told of it last."""
        return self.recorder.told[-1]


def content() -> RecordDict:
    """Forty bytes of arrays."""
    return RecordDict({"arrays": ArrayRecord([np.zeros(FLOATS, np.float32)])})


def messages(nodes: Sequence[int], shared: RecordDict | None = None) -> list[Message]:
    """A message to each of these nodes, with its own content unless one is shared."""
    return [Message(shared or content(), node, "train") for node in nodes]


def trained(message: Message) -> Message:
    """The reply of a client: twenty arrays of the size that came, and a weight."""
    arrays = ArrayRecord([np.full(FLOATS, float(message.metadata.dst_node_id), np.float32)])
    return Message(RecordDict({"arrays": arrays, "metrics": MetricRecord({"num-examples": 1})}), reply_to=message)


def test_the_nodes_are_a_range() -> None:
    """A million of them cost nothing."""
    grid = SimulationGrid(FakeEngine(), Run(1), 1_000_000, FakeRecorder(), None)
    assert grid.get_node_ids() == range(2, 1_000_002)
    assert grid.run == Run(1)


def test_messages_are_numbered_by_exchange_and_place() -> None:
    """The same calls give the same ids; each reply names the message it answers."""
    bench = Bench()
    ids = [list(bench.grid.push_messages(messages([2, 3]))), list(bench.grid.push_messages(messages([5])))]
    assert ids == [["1-0", "1-1"], ["2-0"]]
    replies = list(bench.grid.exchange(messages([4, 2]), RoundPolicy()))
    assert [reply.metadata.reply_to_message_id for reply in replies] == ["3-0", "3-1"]
    assert [reply.metadata.src_node_id for reply in replies] == [4, 2]
    assert {message.metadata.run_id for exchange in bench.engine.exchanges for message in exchange.messages} == {9}


def test_the_numbering_goes_on_after_a_checkpoint() -> None:
    """An attempt that continues sends the messages that the first would have sent."""
    bench = Bench()
    for _ in range(3):
        list(bench.grid.exchange(messages([2]), RoundPolicy()))
    assert bench.grid.checkpoints is bench.checkpoints
    bench.checkpoints.save(1, [b"model"])
    again = Bench(bench.saved[0])
    again.checkpoints.load()
    again.checkpoints.resumed()
    assert again.grid.push_messages(messages([2])) == ["4-0"]
    assert again.engine.exchanges[0].keep_from == 3


def test_a_node_that_is_not_there_is_an_error_reply() -> None:
    """The others are served; a round of strangers alone is over at once."""
    bench = Bench()
    replies = list(bench.grid.exchange(messages([2, 99, 1, 5]), RoundPolicy()))
    assert [reply.has_error() for reply in replies] == [False, True, True, False]
    assert replies[1].error.code == ErrorCode.NODE_UNAVAILABLE
    assert "Node 99 does not exist" in str(replies[1].error.reason)
    assert replies[1].metadata.src_node_id == 99
    bench.engine.on_submit = lambda _: None
    assert [reply.error.code for reply in bench.grid.exchange(messages([6]), RoundPolicy())] == [5]


def test_a_reply_is_pulled_once() -> None:
    """When it is there; what was never pushed has none."""
    bench = Bench()
    bench.engine.on_submit = lambda _: None
    ids = list(bench.grid.push_messages(messages([2, 3, 4])))
    assert bench.grid.pull_messages(ids) == []
    exchange = bench.engine.exchanges[0]
    exchange.replied(1, trained(exchange.messages[1]))
    assert [reply.metadata.src_node_id for reply in bench.grid.pull_messages([*ids, "7-7"])] == [3]
    assert bench.grid.pull_messages(ids) == []
    answer_all(exchange, trained)
    assert [reply.metadata.src_node_id for reply in bench.grid.pull_messages(reversed(ids))] == [4, 2]
    assert not bench.grid._pushed


def test_who_pulls_is_told_that_the_engine_cannot_go_on() -> None:
    """Instead of asking forever."""
    bench = Bench()
    bench.engine.on_submit = lambda exchange: exchange.failed_with(AppLoadError("no module"))
    ids = bench.grid.push_messages(messages([2]))
    with pytest.raises(AppLoadError, match="no module"):
        bench.grid.pull_messages(ids)


def test_replies_that_come_too_late_are_missing() -> None:
    """`send_and_receive` has no error for them; a client's own error stays."""
    bench = Bench()

    def answer(message: Message) -> Message:
        codes = {3: ErrorCode.TIMED_OUT, 4: ErrorCode.CLIENT_APP_CRASHED}
        code = codes.get(message.metadata.dst_node_id)
        return trained(message) if code is None else Message(Error(code, "late or dead"), reply_to=message)

    bench.engine.on_submit = lambda exchange: answer_all(exchange, answer)
    replies = list(bench.grid.send_and_receive(messages([2, 3, 4, 5]), timeout=7))
    assert [(reply.metadata.src_node_id, reply.has_error()) for reply in replies] == [(2, False), (4, True), (5, False)]
    assert bench.engine.exchanges[0].policy == RoundPolicy(timeout=7)


def test_nothing_to_send_is_nothing_to_wait_for() -> None:
    """No message, no reply."""
    bench = Bench()
    assert list(bench.grid.send_and_receive([])) == []
    assert list(bench.grid.push_messages([])) == []


def test_traffic_counts_every_message_and_every_reply() -> None:
    """A shared content counts once for each node it goes to; folded replies count as if they had come one by one."""
    size = content()["arrays"].count_bytes()
    answer = sum(record.count_bytes() for record in trained(messages([2])[0]).content.values())
    bench = Bench()
    bench.engine.clientapp_seconds = 2.5
    list(bench.grid.exchange(messages([2, 3, 4], content()), RoundPolicy()))
    assert bench.traffic() == ("traffic", 3 * size, 3 * answer, 2.5)
    ids = bench.grid.push_messages(messages([2, 3]))
    assert bench.traffic() == ("traffic", 5 * size, 3 * answer, 2.5)
    bench.grid.pull_messages(ids)
    assert bench.traffic() == ("traffic", 5 * size, 5 * answer, 2.5)
    reduced = bench.grid.reduce(messages([2, 4]), WeightedMean(), RoundPolicy())
    assert bench.traffic() == ("traffic", 7 * size, 5 * answer + 2 * FLOATS * 4, 2.5)
    assert reduced.sum is not None
    assert reduced.sum.mean().to_numpy_ndarrays()[0].tolist() == [3.0] * FLOATS


def test_what_the_serverapp_tells_is_recorded() -> None:
    """Events, metrics and artifacts go to the recorder as they are."""
    bench = Bench()
    bench.grid.report("note", {"text": "hello"})
    bench.grid.report_metrics(2, "train", {"loss": 0.5}, 3)
    bench.grid.save_artifact("plot.png", [b"pn", b"g"], 2)
    assert bench.recorder.told == [
        ("event", "note", {"text": "hello"}),
        ("metrics", 2, "train", {"loss": 0.5}, 3),
        ("artifact", "plot.png", b"png", 2),
    ]
