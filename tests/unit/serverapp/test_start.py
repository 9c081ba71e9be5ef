"""`Strategy.start`: the rounds, what they tell, and what becomes of failures."""

from __future__ import annotations

import logging
from collections.abc import Iterable

import pytest

from tests.support.clients import Client, answer, bits, failing, model, sending
from tests.support.fake_grid import FakeGrid
from tests.unit.serverapp.strategies import Streamed
from umbel.app import ArrayRecord, ConfigRecord, Context, Error, Message, MetricRecord, RecordDict, safetensors
from umbel.errors import AggregationFailed, InconsistentReplies, NotEnoughNodes
from umbel.serverapp import Grid
from umbel.serverapp.strategy import FedAvg, Result, Strategy

Trained = tuple[ArrayRecord | None, MetricRecord | None]


def test_two_rounds_by_hand() -> None:
    """Two nodes with 2 and 3 examples: w ← w/2 + (2·2 + 3·3)/5, twice, from w = 1."""
    result = FedAvg().start(FakeGrid(answer, [2, 3]), model(1), num_rounds=2)
    assert result.arrays["0"].numpy().tolist() == pytest.approx([(0.5 + 2.6) / 2 + 2.6])
    assert result.train_metrics_clientapp == {1: {"loss": 1.0}, 2: {"loss": pytest.approx(3.1)}}
    assert result.evaluate_metrics_clientapp == {1: {"loss": pytest.approx(3.1)}, 2: {"loss": pytest.approx(4.15)}}
    assert result.evaluate_metrics_serverapp == {}
    assert result.stopped_early is None


def test_the_server_evaluates_from_round_0() -> None:
    """`evaluate_fn` sees the initial arrays as round 0 and the new ones after each round; None is no metric."""

    def first(server_round: int, arrays: ArrayRecord) -> MetricRecord | None:
        return MetricRecord({"first": float(arrays["0"].numpy()[0])}) if server_round != 1 else None

    result = FedAvg(fraction_evaluate=0.0).start(FakeGrid(answer, [2, 3]), model(1), num_rounds=2, evaluate_fn=first)
    assert result.evaluate_metrics_serverapp == {0: {"first": 1.0}, 2: {"first": pytest.approx(4.15)}}
    assert result.evaluate_metrics_clientapp == {}


def test_no_round_at_all() -> None:
    """With 0 rounds the initial arrays are evaluated, saved and returned."""
    grid = FakeGrid(answer)
    result = FedAvg().start(
        grid, model(1), num_rounds=0, evaluate_fn=lambda server_round, arrays: MetricRecord({"a": 1})
    )
    assert result == Result(model(1), evaluate_metrics_serverapp={0: MetricRecord({"a": 1})})
    assert grid.asked == []
    assert grid.artifacts["model.safetensors"][1] == 0


class Constant(Strategy):
    """A strategy from scratch: no constructor, no reduction, only what is abstract."""

    def __init__(self) -> None:
        """Does not call super."""

    def configure_train(
        self, server_round: int, arrays: ArrayRecord, config: ConfigRecord, grid: Grid
    ) -> Iterable[Message]:
        """Ask node 2."""
        return iter([Message(RecordDict({"arrays": arrays}), 2, "train")])

    def aggregate_train(self, server_round: int, replies: Iterable[Message]) -> Trained:
        """The arrays of the only reply."""
        (reply,) = replies
        return reply.content.array_records["arrays"], None

    def configure_evaluate(
        self, server_round: int, arrays: ArrayRecord, config: ConfigRecord, grid: Grid
    ) -> Iterable[Message]:
        return []

    def aggregate_evaluate(self, server_round: int, replies: Iterable[Message]) -> MetricRecord | None:
        """Never called."""
        raise AssertionError


def test_a_strategy_from_scratch() -> None:
    """A subclass of Strategy needs its four methods only, not even a call of its base's constructor."""
    result = Constant().start(FakeGrid(answer), model(8), num_rounds=2)
    assert result.arrays["0"].numpy().tolist() == [(8 / 2 + 2) / 2 + 2]
    assert result.train_metrics_clientapp == {}


def test_an_overridden_start_is_called() -> None:
    """An author may replace the rounds as a whole."""

    class Mine(FedAvg):
        def start(self, *args: object, **kwargs: object) -> Result:
            return Result(model(3))

    assert bits(Mine().start().arrays) == bits(model(3))


def test_the_callers_configuration_stays_as_it_is() -> None:
    """Each message has the round in its own configuration; what configure_train changes stays changed for later rounds."""
    sent: list[tuple[str, dict[str, object]]] = []

    class Halving(FedAvg):
        def configure_train(
            self, server_round: int, arrays: ArrayRecord, config: ConfigRecord, grid: Grid
        ) -> Iterable[Message]:
            messages = list(super().configure_train(server_round, arrays, config, grid))
            config["lr"] = float(config["lr"]) / 2  # type: ignore[arg-type]
            return messages

    def spy(message: Message, context: Context) -> Message:
        if context.node_id == 2:
            sent.append((message.metadata.message_type, dict(message.content.config_records["config"])))
        return answer(message, context)

    train, evaluate = ConfigRecord({"lr": 1.0}), ConfigRecord({"batches": 4})
    Halving().start(FakeGrid(spy), model(1), 2, train_config=train, evaluate_config=evaluate)
    assert sent == [
        ("train", {"lr": 1.0, "server-round": 1}),
        ("evaluate", {"batches": 4, "server-round": 1}),
        ("train", {"lr": 0.5, "server-round": 2}),
        ("evaluate", {"batches": 4, "server-round": 2}),
    ]
    assert (train, evaluate) == ({"lr": 1.0}, {"batches": 4})


def test_a_failing_client_is_named_and_left_out(caplog: pytest.LogCaptureFixture) -> None:
    """The others' replies are averaged; the failure is an event, a log line and a count."""
    grid = FakeGrid(failing(3), [2, 3, 4])
    result = FedAvg(fraction_evaluate=0).start(grid, model(0), num_rounds=1)
    assert result.arrays["0"].numpy().tolist() == pytest.approx([(2 * 2 + 4 * 4) / 6])
    assert grid.told("reply-dropped") == [
        {"round": 1, "phase": "train", "node_id": 3, "code": 2, "reason": "RuntimeError('no data')"}
    ]
    assert grid.told("round-finished")[0]["failed"] == 1
    assert "excluded the reply of node 3: RuntimeError('no data')" in caplog.text


@pytest.mark.parametrize(
    ("client", "reason"),
    [
        (sending(model(float("nan")), 3), "Array '0' contains NaN or infinity."),
        (sending(model(1, 2, 3), 3), "it has '0' of type float32 and shape (3,)"),
        (sending(None, 3, **{"num-examples": -1}), "Its weight 'num-examples' is -1"),
        (sending(None, 3, **{"num-examples": float("inf")}), "Its weight 'num-examples' is inf"),
        (sending(None, 3, **{"num-examples": float("nan")}), "it must be finite"),
    ],
)
@pytest.mark.parametrize("kind", [FedAvg, Streamed])
def test_a_malformed_reply_is_named_and_left_out(client: Client, reason: str, kind: type[FedAvg]) -> None:
    """NaN, another shape, an impossible weight: that reply is dropped, told once, and the round continues without it."""
    grid = FakeGrid(client, [2, 3, 4])
    result = kind(fraction_evaluate=0).start(grid, model(0), num_rounds=1)
    assert result.arrays["0"].numpy().tolist() == pytest.approx([(2 * 2 + 4 * 4) / 6])
    (dropped,) = grid.told("reply-dropped")
    assert (dropped["node_id"], dropped["code"]) == (3, 20)
    assert reason in str(dropped["reason"])


def test_a_reply_without_arrays_is_left_out() -> None:
    """A train reply must hold one ArrayRecord."""

    def client(message: Message, context: Context) -> Message:
        reply = answer(message, context)
        if context.node_id == 2:
            del reply.content["arrays"]
        return reply

    grid = FakeGrid(client, [2, 3, 4])
    FedAvg(fraction_evaluate=0).start(grid, model(0), num_rounds=1)
    assert (
        grid.told("reply-dropped")[0]["reason"]
        == "A reply must contain exactly one ArrayRecord, but this one contains 0."
    )


def test_no_reply_in_time_keeps_the_arrays() -> None:
    """When no node answers, the arrays stay, no metric is recorded and the run continues."""
    grid = FakeGrid(failing(), silent=range(2, 6))
    result = FedAvg().start(grid, model(1), num_rounds=4)
    assert bits(result.arrays) == bits(model(1))
    assert result.train_metrics_clientapp == result.evaluate_metrics_clientapp == {}
    assert grid.told("note")[0] == {"text": "Round 1: no new arrays; keeping the previous ones."}
    assert [finished["failed"] for finished in grid.told("round-finished")] == [8, 8, 8, 8]


@pytest.mark.parametrize(("num_rounds", "until"), [(2, 2), (9, 3)])
def test_an_app_that_fails_on_every_client_ends_the_run(num_rounds: int, until: int) -> None:
    """After three rounds, or all of them, without one trained client: the error has the last client's own words."""
    grid = FakeGrid(failing(*range(2, 6)))
    with pytest.raises(AggregationFailed, match=rf"Every client failed in {until} rounds.*Last error: \w+Error"):
        FedAvg().start(grid, model(1), num_rounds=num_rounds)
    assert len(grid.told("round-started")) == 2 * until


def test_nothing_but_malformed_replies_ends_the_run() -> None:
    """When all clients reply and not one reply fits, the app is wrong: the error names the first reason, the events all."""
    grid = FakeGrid(sending(model(float("nan")), 2, 3, 4, 5))
    with pytest.raises(InconsistentReplies, match=r"None of the 4 replies is usable. Node 2: Array '0' contains NaN"):
        FedAvg().start(grid, model(1))
    assert [dropped["node_id"] for dropped in grid.told("reply-dropped")] == [2, 3, 4, 5]


def test_nothing_but_malformed_evaluations_ends_the_run() -> None:
    """The same in evaluation."""

    def client(message: Message, context: Context) -> Message:
        return Message(RecordDict(), reply_to=message)

    with pytest.raises(InconsistentReplies, match="exactly one MetricRecord, but this one contains 0"):
        FedAvg(fraction_train=0).start(FakeGrid(client), model(1))


@pytest.mark.parametrize("phase", ["train", "evaluate"])
def test_weights_that_sum_to_0(phase: str) -> None:
    """No client used an example: there is no mean, and the error says what to report."""
    client = sending(None, 2, 3, 4, 5, **{"num-examples": 0})
    strategy = FedAvg(fraction_train=float(phase == "train"), fraction_evaluate=float(phase == "evaluate"))
    with pytest.raises(AggregationFailed, match=r"sum to 0.*number of examples"):
        strategy.start(FakeGrid(client), model(1))


def test_a_reply_with_weight_0_counts_for_nothing() -> None:
    """A client without examples is not malformed; it moves no number."""
    grid = FakeGrid(sending(model(1e30), 2, **{"num-examples": 0, "loss": 1e300}), [2, 3])
    result = FedAvg().start(grid, model(0), num_rounds=1)
    assert result.arrays["0"].numpy().tolist() == [3.0]
    assert result.train_metrics_clientapp == {1: {"loss": 0.0}}
    assert grid.told("reply-dropped") == []


def test_a_round_without_enough_nodes() -> None:
    """One node where two are needed: the error says so."""
    with pytest.raises(NotEnoughNodes, match="2 nodes are required, but only 1 exist"):
        FedAvg().start(FakeGrid(answer, [2]), model(1))


def test_the_waiting_for_nodes_has_a_limit() -> None:
    """A phase waits for `max(min_available_nodes, min nodes)` for `wait_for_nodes_timeout` seconds."""
    waits: list[tuple[int, float | None]] = []

    class Waiting(FakeGrid):
        def wait_for_nodes(self, at_least: int, timeout: float | None = None) -> list[int]:
            waits.append((at_least, timeout))
            return list(self.get_node_ids())

    strategy = FedAvg(min_available_nodes=3, min_evaluate_nodes=4, wait_for_nodes_timeout=60)
    strategy.start(Waiting(answer), model(1), num_rounds=1)
    assert waits == [(3, 60), (4, 60)]


def test_what_is_reported() -> None:
    """Each phase's start, each client's metrics, the aggregates and the round's end."""
    grid = FakeGrid(answer, [2, 3])
    FedAvg().start(
        grid,
        model(1),
        num_rounds=1,
        evaluate_fn=lambda server_round, arrays: MetricRecord({"acc": 0.5, "per-class": [0.5, 1.0]}),
    )
    kinds = [kind for kind, _ in grid.events]
    assert kinds == ["round-started", "round-started", "round-finished"]
    assert grid.told("round-started")[1] == {"round": 1, "num_rounds": 1, "phase": "evaluate", "clients": 2}
    (finished,) = grid.told("round-finished")
    assert isinstance(finished.pop("seconds"), float)
    assert finished == {
        "round": 1,
        "num_rounds": 1,
        "train": {"loss": 1.0},
        "evaluate": {"loss": pytest.approx(3.1)},
        "server": {"acc": 0.5},
        "clients": 2,
        "failed": 0,
    }
    loss = pytest.approx(3.1)
    assert grid.metrics == [
        (0, "server", {"acc": 0.5}, None),
        (1, "train", {"num-examples": 2, "loss": 1.0}, 2),
        (1, "train", {"num-examples": 3, "loss": 1.0}, 3),
        (1, "train", {"loss": 1.0}, None),
        (1, "evaluate", {"num-examples": 2, "loss": loss}, 2),
        (1, "evaluate", {"num-examples": 3, "loss": loss}, 3),
        (1, "evaluate", {"loss": loss}, None),
        (1, "server", {"acc": 0.5}, None),
    ]


@pytest.mark.parametrize(("clients", "recorded"), [(64, 64), (65, 0)])
def test_the_metrics_of_each_client_are_recorded_in_small_cohorts(clients: int, recorded: int) -> None:
    """Up to 64 clients each has its numbers in the run's metrics; beyond that only the aggregate is kept."""
    grid = FakeGrid(answer, range(2, 2 + clients))
    FedAvg(fraction_evaluate=0).start(grid, model(1), num_rounds=1)
    assert sum(node_id is not None for *_, node_id in grid.metrics) == recorded
    assert grid.metrics[-1][3] is None


def test_each_reason_is_logged_in_full_once(caplog: pytest.LogCaptureFixture) -> None:
    """The first time there is the traceback, later its last line alone, with all nodes it holds for; events have all of it."""
    reason = "Traceback\n  File x\nKeyError: 'x'"

    def client(message: Message, context: Context) -> Message:
        if context.node_id == 9:
            return answer(message, context)
        return Message(Error(5) if context.node_id == 4 else Error(2, reason), reply_to=message)

    grid = FakeGrid(client, [2, 3, 4, 9])
    FedAvg(fraction_evaluate=0).start(grid, model(1), num_rounds=2)
    assert [dropped["reason"] for dropped in grid.told("reply-dropped")] == 2 * [reason, reason, ""]
    assert [record.getMessage() for record in caplog.records if record.levelname == "WARNING"] == [
        f"Round 1, train: excluded the replies of nodes 2, 3: {reason}",
        "Round 1, train: excluded the reply of node 4: error 5",
        "Round 2, train: excluded the replies of nodes 2, 3: KeyError: 'x'",
        "Round 2, train: excluded the reply of node 4: error 5",
    ]


def test_a_flood_of_failures_is_cut(caplog: pytest.LogCaptureFixture) -> None:
    """Of more than 64 failures the first are sent as events, and the log names a few and counts the rest."""
    grid = FakeGrid(failing(*range(3, 103)), range(2, 103))
    FedAvg(fraction_evaluate=0).start(grid, model(1), num_rounds=1)
    assert len(grid.told("reply-dropped")) == 64
    assert grid.told("round-finished")[0]["failed"] == 100
    assert "nodes 3, 4, 5, 6, 7, 8, 9, 10 and 92 more" in caplog.text


def test_metrics_of_another_length_are_left_out() -> None:
    """A reply whose list is longer than the others' keeps its arrays, loses its metrics, and is named."""

    def client(message: Message, context: Context) -> Message:
        reply = answer(message, context)
        reply.content.metric_records["metrics"]["curve"] = [1.0, 2.0] if context.node_id != 4 else [1.0]
        return reply

    grid = FakeGrid(client, [2, 3, 4])
    result = FedAvg(fraction_evaluate=0).start(grid, model(0), num_rounds=1)
    assert result.train_metrics_clientapp[1]["curve"] == [1.0, 2.0]
    assert result.arrays["0"].numpy().tolist() == pytest.approx([(4 + 9 + 16) / 9])
    assert grid.told("reply-dropped")[0]["node_id"] == 4


def test_custom_metrics() -> None:
    """A custom function gets the contents, in dispatch order, without the arrays that were folded."""

    def largest(contents: list[RecordDict], weighted_by_key: str) -> MetricRecord:
        assert all(not content.array_records for content in contents)
        weights = [content.metric_records["metrics"][weighted_by_key] for content in contents]
        return MetricRecord({"weights": weights})  # type: ignore[dict-item]

    strategy = FedAvg(train_metrics_aggr_fn=largest, evaluate_metrics_aggr_fn=largest)
    result = strategy.start(FakeGrid(answer), model(1), num_rounds=1)
    assert result.train_metrics_clientapp == result.evaluate_metrics_clientapp == {1: {"weights": [2, 3, 4, 5]}}


def test_the_model_is_saved() -> None:
    """The artifact is a safetensors file of the final arrays."""
    grid = FakeGrid(answer)
    result = FedAvg().start(grid, model(1, 2), num_rounds=2)
    data, server_round = grid.artifacts["model.safetensors"]
    assert server_round == 2
    assert bits(safetensors.decode(data)[0]) == bits(result.arrays)
    assert grid.artifacts.keys() == {"model.safetensors"}


def test_a_message_has_the_names_the_author_chose() -> None:
    """`arrayrecord_key`, `configrecord_key` and `weighted_by_key` name the records and the weight."""

    def client(message: Message, context: Context) -> Message:
        weight = message.content.config_records["settings"]["server-round"]
        metrics = MetricRecord({"n": weight, "loss": 1})  # type: ignore[dict-item]
        return Message(RecordDict({"w": message.content.array_records["w"], "m": metrics}), reply_to=message)

    strategy = FedAvg(arrayrecord_key="w", configrecord_key="settings", weighted_by_key="n")
    result = strategy.start(FakeGrid(client), model(1), num_rounds=1)
    assert result.train_metrics_clientapp == {1: {"loss": 1.0}}


def test_the_summary_names_the_settings(caplog: pytest.LogCaptureFixture) -> None:
    """The log begins with the strategy and the settings that are not the defaults."""
    with caplog.at_level(logging.INFO):
        FedAvg(fraction_train=0.5).summary()
    assert "Strategy: FedAvg(fraction_train=0.5)" in caplog.text
