from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import pytest

from tests.support.fake_grid import FakeCheckpoints, FakeGrid, Killed
from umbel.compat import flwr as alias
from umbel.errors import AggregationFailed, InconsistentReplies, all_errors

with alias.active():
    from flwr.app import Array, ArrayRecord, ConfigRecord, Context, Error, Message, MetricRecord, RecordDict
    from flwr.serverapp import Grid
    from flwr.serverapp.exception import AggregationError, AppExitException, InconsistentMessageReplies
    from flwr.serverapp.strategy import FedAvg, FedProx, FedXgbCyclic, Krum, QFedAvg, Result, Strategy
    from flwr.serverapp.strategy.strategy_utils import aggregate_metricrecords, config_to_str, sample_nodes


def client(message: Any, context: Context) -> Message:
    """Add the node's number to the model, and say how often it trained."""
    node = context.node_id
    metrics = MetricRecord({"num-examples": node, "loss": float(node)})
    content = RecordDict({"m": metrics})
    if message.metadata.message_type == "train":
        content["a"] = ArrayRecord([array + node for array in message.content["arrays"].to_numpy_ndarrays()])
    return Message(content, reply_to=message)


def grid(answer: Any = client, nodes: int = 2) -> Grid:
    """Flower's Grid over nodes 2, 3, …."""
    return Grid(FakeGrid(answer, range(2, 2 + nodes)))


def start(strategy: Strategy, over: Grid | None = None, **options: Any) -> Result:
    """Two rounds from zeros."""
    return strategy.start(over or grid(), ArrayRecord([np.zeros(2)]), 2, **options)


def test_the_round_is_written_into_the_callers_configurations() -> None:
    """As Flower does: `server-round` is in the very records that `start` was given."""
    train, evaluate = ConfigRecord({"lr": 0.1}), ConfigRecord()
    start(FedAvg(), train_config=train, evaluate_config=evaluate)
    assert (train, evaluate) == ({"lr": 0.1, "server-round": 2}, {"server-round": 2})
    start(FedProx(proximal_mu=0.5), train_config=train)
    assert train["proximal-mu"] == 0.5


def test_what_a_subclass_changes_in_the_configuration_stays() -> None:
    """A `configure_train` that lowers the learning rate lowers it for all rounds to come, and sees the round it is in."""
    seen = []

    class Decaying(FedAvg):
        def configure_train(
            self, server_round: int, arrays: ArrayRecord, config: ConfigRecord, grid: Grid
        ) -> Iterable[Message]:
            config["lr"] *= 0.5
            messages = list(super().configure_train(server_round, arrays, config, grid))
            seen.append([message.content["config"] for message in messages])
            return messages

    start(Decaying(fraction_evaluate=0), train_config=ConfigRecord({"lr": 1.0}))
    assert seen == [[{"lr": 0.5, "server-round": 1}] * 2, [{"lr": 0.25, "server-round": 2}] * 2]


def test_replies_are_as_good_as_a_list() -> None:
    """An `aggregate_train` may ask for their number, an index, a slice, and go through them twice."""
    found: list[Any] = []

    class Looking(FedAvg):
        def aggregate_train(self, server_round: int, replies: Any) -> Any:
            found[:] = [replies[0], replies[-1], replies[0:1], list(replies), len(replies)]
            return super().aggregate_train(server_round, replies)

    result = start(Looking(fraction_evaluate=0))
    first, last, some, everything, length = found
    assert [first, last] == everything
    assert (some, length) == ([first], 2)
    assert type(first) is Message
    assert result.train_metrics_clientapp[2]["loss"] == pytest.approx((2 * 2 + 3 * 3) / 5)


def test_arrays_that_a_strategy_sees_are_copies() -> None:
    """Neither `configure_train` nor `evaluate_fn` can change the model by writing to what they read from it."""

    class Meddling(FedAvg):
        def configure_train(
            self, server_round: int, arrays: ArrayRecord, config: ConfigRecord, grid: Grid
        ) -> Iterable[Message]:
            arrays.to_numpy_ndarrays()[0][:] = 99
            return super().configure_train(server_round, arrays, config, grid)

    def evaluate(server_round: int, arrays: ArrayRecord) -> None:
        arrays["0"].numpy()[:] = 99

    result = start(Meddling(fraction_evaluate=0), evaluate_fn=evaluate)
    assert result.arrays["0"].numpy() == pytest.approx([2 * 13 / 5] * 2)
    assert type(result.arrays) is ArrayRecord
    assert type(result.arrays["0"]) is Array


def test_a_strategy_of_ones_own_needs_four_methods_and_a_summary() -> None:
    """A subclass of Strategy without any of Umbel's settings runs its rounds; None keeps the old arrays."""

    class Own(Strategy):
        def __init__(self, step: float) -> None:
            self.step = step

        def summary(self) -> None:
            self.told = True

        def configure_train(
            self, server_round: int, arrays: ArrayRecord, config: ConfigRecord, grid: Grid
        ) -> Iterable[Message]:
            content = RecordDict({"arrays": arrays, "config": config})
            return [Message(content, node, "train") for node in grid.get_node_ids()]

        def aggregate_train(self, server_round: int, replies: Iterable[Message]) -> Any:
            if server_round == 2:
                return None, None
            total = sum(reply.content["a"]["0"].numpy() for reply in replies)
            return ArrayRecord([total * self.step]), MetricRecord({"step": self.step})

        def configure_evaluate(
            self, server_round: int, arrays: ArrayRecord, config: ConfigRecord, grid: Grid
        ) -> Iterable[Message]:
            return []

        def aggregate_evaluate(self, server_round: int, replies: Iterable[Message]) -> MetricRecord | None:
            raise AssertionError("no one was asked")

    strategy = Own(0.5)
    result = start(strategy)
    assert strategy.told
    assert result.arrays["0"].numpy().tolist() == [2.5, 2.5]
    assert result.train_metrics_clientapp == {1: {"step": 0.5}}


def test_metrics_can_be_aggregated_otherwise() -> None:
    """`(list of contents, key) -> MetricRecord` replaces the weighted mean; the default can be called by a subclass."""
    calls = []

    def worst(contents: list[RecordDict], key: str) -> MetricRecord:
        calls.append((len(contents), key))
        return MetricRecord({"worst": max(content["m"]["loss"] for content in contents)})

    result = start(FedAvg(train_metrics_aggr_fn=worst, evaluate_metrics_aggr_fn=worst))
    assert result.train_metrics_clientapp[1] == result.evaluate_metrics_clientapp[2] == {"worst": 3.0}
    assert calls == [(2, "num-examples")] * 4
    assert FedAvg().train_metrics_aggr_fn is aggregate_metricrecords


def test_metrics_are_weighted_and_the_weight_is_left_out() -> None:
    """Numbers and lists, each over the weights, which may come from another key."""
    contents = [RecordDict({"m": MetricRecord({"w": w, "x": float(w), "l": [w * 1.0, 1.0]})}) for w in (1, 3)]
    assert aggregate_metricrecords(contents, "w") == {"x": 2.5, "l": [2.5, 1.0]}


def test_replies_that_do_not_fit_end_the_app_with_flowers_exception() -> None:
    """It can be caught as Flower's exception, as its base, and as Umbel's own."""

    def useless(message: Message, context: Context) -> Message:
        return Message(RecordDict({"m": MetricRecord({"loss": 1.0})}), reply_to=message)

    for kind in (InconsistentMessageReplies, AppExitException, InconsistentReplies):
        with pytest.raises(kind, match="num-examples"):
            start(FedAvg(), grid(useless))


def test_an_average_over_nothing_ends_the_app_with_flowers_exception() -> None:
    """Weights that sum to 0 have no mean."""

    def weightless(message: Message, context: Context) -> Message:
        reply = client(message, context)
        reply.content["m"]["num-examples"] = 0
        return reply

    for kind in (AggregationError, AggregationFailed):
        with pytest.raises(kind, match="sum to 0"):
            start(FedAvg(), grid(weightless))


def test_flowers_exceptions_can_be_raised_by_apps() -> None:
    """With a reason; they have no entry in Umbel's error table."""
    assert "no keys" in str(InconsistentMessageReplies(reason="no keys"))
    assert "no sum" in str(AggregationError(reason="no sum"))

    class Own(AppExitException):
        exit_code = 250

    assert {Own, AggregationError} & set(all_errors()) == set()


def test_at_least_so_many_are_sampled() -> None:
    """The share of the nodes that are there, but never fewer than the minimum; none for a share of 0."""
    over = grid(nodes=10)

    def asked(**settings: Any) -> int:
        return len(list(FedAvg(**settings).configure_train(1, ArrayRecord(), ConfigRecord(), over)))

    assert asked(fraction_train=0.5) == 5
    assert asked(fraction_train=0.1) == 2
    assert asked(fraction_train=0.1, min_train_nodes=4) == 4
    assert asked(fraction_train=0.0) == 0
    sampled, everybody = sample_nodes(over, 2, 3)
    assert (len(set(sampled)), set(sampled) <= set(everybody), everybody) == (3, True, list(range(2, 12)))


def test_arguments_stand_where_flower_has_them() -> None:
    """Krum's and QFedAvg's own settings come before others; one too many is a TypeError."""
    krum = Krum(1.0, 0.5, 3, 2, 2, 1, "w")
    assert (krum.fraction_evaluate, krum.num_malicious_nodes, krum.weighted_by_key) == (0.5, 1, "w")
    fair = QFedAvg(0.1, 0.2, "loss")
    assert (fair.client_learning_rate, fair.q, fair.train_loss_key) == (0.1, 0.2, "loss")
    with pytest.raises(TypeError, match="too many positional"):
        Krum(*range(12))
    with pytest.raises(TypeError):
        FedXgbCyclic(min_train_nodes=2)


def test_subclasses_find_flowers_helpers() -> None:
    """`_construct_messages` and `_check_and_log_replies`, which custom strategies call."""
    strategy = FedAvg()
    messages = strategy._construct_messages(RecordDict({"arrays": ArrayRecord()}), [2, 3], "train")
    replies = grid().send_and_receive(messages)
    replies[1] = Message(Error(2, "no"), reply_to=messages[1])
    valid, failed = strategy._check_and_log_replies(replies, is_train=True)
    assert (valid, failed) == (replies[:1], replies[1:])
    with pytest.raises(InconsistentMessageReplies, match="ArrayRecord"):
        strategy._check_and_log_replies([messages[0].create_reply(RecordDict())], is_train=True)


def test_a_result_prints_its_metrics() -> None:
    """Each round's metrics in words, and not the arrays."""
    text = str(start(FedAvg(), evaluate_fn=lambda server_round, arrays: MetricRecord({"sum": 1.0, "l": [1, 2]})))
    assert "Arrays: 1 (" in text
    assert "round 2: loss 2.6" in text
    assert "round 0: sum 1, l [1, 2]" in text


def test_bytes_are_not_shown() -> None:
    """Settings in one line, without the bytes in them."""
    assert config_to_str(ConfigRecord({"a": 1, "b": b"secret"})) == "{'a': 1, 'b': '<bytes>'}"


def test_a_killed_run_goes_on() -> None:
    """A strategy of an app resumes from its checkpoint, with what it changed in the configuration, and ends with the same bits."""

    class Decaying(FedAvg):
        def configure_train(
            self, server_round: int, arrays: ArrayRecord, config: ConfigRecord, grid: Grid
        ) -> Iterable[Message]:
            config["lr"] *= 0.5
            rates.append(config["lr"])
            assert type(arrays) is ArrayRecord
            return super().configure_train(server_round, arrays, config, grid)

    def attempt(checkpoints: FakeCheckpoints) -> Result:
        over = Grid(FakeGrid(client, range(2, 4), checkpoints=checkpoints))
        config = ConfigRecord({"lr": 1.0})
        return Decaying().start(over, ArrayRecord([np.zeros(2)]), 3, train_config=config)

    rates: list[float] = []
    whole = attempt(FakeCheckpoints())
    dying = FakeCheckpoints(die_after=1)
    with pytest.raises(Killed):
        attempt(dying)
    rates.clear()
    resumed = attempt(FakeCheckpoints(dying.newest))
    assert rates == [0.25, 0.125]
    assert resumed.arrays == whole.arrays
    assert resumed.evaluate_metrics_clientapp == whole.evaluate_metrics_clientapp


def test_the_callers_configuration_is_as_it_was_before_the_run_was_killed() -> None:
    """An app that looks into it at the end sees the same as undisturbed."""

    def attempt(checkpoints: FakeCheckpoints) -> ConfigRecord:
        config = ConfigRecord({"lr": 1.0})
        over = Grid(FakeGrid(client, range(2, 4), checkpoints=checkpoints))
        FedProx(proximal_mu=0.5).start(over, ArrayRecord([np.zeros(2)]), 2, train_config=config)
        return config

    dying = FakeCheckpoints(die_after=2)
    with pytest.raises(Killed):
        attempt(dying)
    assert attempt(FakeCheckpoints(dying.newest)) == {"lr": 1.0, "server-round": 2, "proximal-mu": 0.5}


@pytest.mark.parametrize("since", [1, 3])
def test_a_strategy_that_remembers_is_led_through_those_rounds_again(since: int) -> None:
    """What it keeps in its attributes is in no checkpoint: the last that counts is from before it kept something."""

    class Remembering(FedAvg):
        seen: tuple[int, ...] = ()

        def configure_train(
            self, server_round: int, arrays: ArrayRecord, config: ConfigRecord, grid: Grid
        ) -> Iterable[Message]:
            rounds.append(server_round)
            if server_round >= since:
                self.seen = (*self.seen, server_round)
            return super().configure_train(server_round, arrays, config, grid)

    def attempt(checkpoints: FakeCheckpoints, num_rounds: int) -> tuple[Result, Any]:
        over = Grid(FakeGrid(client, range(2, 4), checkpoints=checkpoints))
        strategy = Remembering()
        return strategy.start(over, ArrayRecord([np.zeros(2)]), num_rounds), strategy.seen

    rounds: list[int] = []
    killed = FakeCheckpoints()
    attempt(killed, 4)  # and then something happened
    rounds.clear()
    result, seen = attempt(FakeCheckpoints(killed.newest), 5)
    assert rounds == list(range(since, 6))
    assert seen == tuple(range(since, 6))
    assert sorted(result.evaluate_metrics_clientapp) == [1, 2, 3, 4, 5]
