"""Differential privacy round an averaging strategy: what is summed, and how much noise it gets."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from tests.support.clients import answer, bits, failing, model, sending
from tests.support.fake_grid import FakeGrid, WorkersGrid
from tests.unit.serverapp.private import (
    CLIENTS,
    ClientAdaptive,
    ClientFixed,
    ServerAdaptive,
    ServerFixed,
    fixed,
    moving,
    value,
    wrapped,
)
from tests.unit.serverapp.strategies import Streamed
from umbel.app import Array, ArrayRecord, ConfigRecord, Context, Message, MetricRecord, RecordDict
from umbel.clientapp.clientapp import wrap
from umbel.clientapp.mod import adaptiveclipping_mod, fixedclipping_mod
from umbel.errors import ConfigError
from umbel.serverapp.aggregation.reduction import Reduced, Reply
from umbel.serverapp.strategy import (
    DifferentialPrivacy,
    FedAdam,
    FedAvg,
    FedAvgM,
    FedMedian,
    FedProx,
    Krum,
    Strategy,
)
from umbel.serverapp.strategy.strategy import Trained


def test_the_arguments_are_those_people_know() -> None:
    """Positional arguments in the known order, with the known defaults; what is ours is by keyword only."""
    inner = FedAvg()
    for cls in (ServerFixed, ClientFixed):
        one = cls(inner, 1.0, 0.5, 10)
        assert (one.strategy, one.noise_multiplier, one.clipping_norm, one.num_sampled_clients) == (inner, 1.0, 0.5, 10)
    for kind in (ServerAdaptive, ClientAdaptive):
        two = kind(inner, 1.0, 100)
        assert (two.num_sampled_clients, two.initial_clipping_norm, two.target_clipped_quantile) == (100, 0.1, 0.5)
        assert (two.clip_norm_lr, two.clipped_count_stddev) == (0.2, None)
        assert kind(inner, 1.0, 100, 0.2, 0.6, 0.3, 4.0).clipped_count_stddev == 4.0


def test_updates_are_clipped_not_models() -> None:
    """By hand, at w = 100: updates 0.5, -0.25, 3 and -8 are clipped to 1 and sum to 0.25; a quarter of that is added to w."""
    result = fixed().start(FakeGrid(moving(0.5, -0.25, 3, -8)), model(100), 1)
    assert value(result) == 100.0625


def test_nobody_weighs_more() -> None:
    """A client that claims 10^9 examples moves the model as much as any other; its clip is the same."""
    plain = fixed().start(FakeGrid(moving(1, 0, 0, 0)), model(0), 1)
    loud = fixed().start(FakeGrid(boasting), model(0), 1)
    assert value(loud) == value(plain) == 0.25


def boasting(message: Message, context: Context) -> Message:
    """Of these clients only node 2 moves, by 1, and it says that it has 10^9 examples."""
    reply = moving(1, 0, 0, 0)(message, context)
    reply.content.metric_records["metrics"]["num-examples"] = 1e9 if context.node_id == 2 else 1
    return reply


def test_a_failed_client_counts_as_an_update_of_zero() -> None:
    """What it is divided by is the number given, not that of the replies: with one of four failing, three updates of 1 move the model by 3/4."""
    grid = FakeGrid(lambda m, c: failing(5)(m, c) if c.node_id == 5 else moving(1, 1, 1, 1)(m, c))
    assert value(fixed().start(grid, model(0), 1)) == 0.75
    assert [event["node_id"] for event in grid.told("reply-dropped") if event["phase"] == "train"] == [5]


def test_a_reply_of_another_form_is_dropped_whatever_the_others_send() -> None:
    """Three of four with other tensors than were sent do not outvote the fourth: which replies count is no client's choice."""
    strange = ArrayRecord([np.array([1.0, 2.0], np.float32)])
    grid = FakeGrid(sending(strange, 3, 4, 5))
    assert value(fixed(norm=0.5).start(grid, model(0), 1)) == 0.125
    assert "differ" in str(grid.told("reply-dropped")[0]["reason"])


@pytest.mark.parametrize("bad", [math.nan, math.inf, -3e38])
def test_an_update_that_is_no_number_is_dropped(bad: float) -> None:
    """NaN, infinity, and a difference beyond the largest float add nothing."""
    grid = FakeGrid(sending(model(bad), 2))
    result = fixed(norm=1.0).start(grid, model(3e38 if bad == -3e38 else 0), 1)
    assert np.isfinite(result.arrays["0"].numpy()).all()
    assert any(event["node_id"] == 2 for event in grid.told("reply-dropped"))


@pytest.mark.parametrize("cls", CLIENTS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_noise_is_that_of_the_formula(cls: type[DifferentialPrivacy], dtype: str) -> None:
    """Over 10^6 elements whose updates are 0, the mean has a standard deviation within 1 % of z_Δ·C/n."""
    arrays = ArrayRecord([np.zeros(1_000_000, dtype)])

    def client(message: Message, context: Context) -> Message:
        metrics = MetricRecord({"num-examples": 1, "norm_bit": 1})
        return Message(RecordDict({"arrays": message.content["arrays"], "m": metrics}), reply_to=message)

    strategy = wrapped(cls, z=0.6, norm=2.5)
    strategy.strategy.fraction_evaluate = 0  # type: ignore[attr-defined]
    result = strategy.start(FakeGrid(client), arrays, 1)
    multiplier = 0.6 if "Fixed" in cls.__name__ else (0.6**-2 - (2 * 0.6) ** -2) ** -0.5
    assert result.arrays["0"].numpy().std() == pytest.approx(multiplier * 2.5 / 4, rel=0.01)
    assert result.arrays["0"].dtype == dtype


@pytest.mark.parametrize("cls", CLIENTS)
def test_it_folds_to_the_same_bits_everywhere(cls: type[DifferentialPrivacy]) -> None:
    """At the server, in workers of any size, and through `aggregate_train`."""
    whole = wrapped(cls).start(FakeGrid(CLIENTS[cls]), model(1, 2, 3), 3)
    grid = WorkersGrid(CLIENTS[cls])
    assert bits(wrapped(cls).start(grid, model(1, 2, 3), 3).arrays) == bits(whole.arrays)
    assert grid.reduced == 3
    direct = wrapped(cls)
    grid2 = FakeGrid(CLIENTS[cls])
    messages = list(direct.configure_train(1, model(1, 2, 3), ConfigRecord(), grid2))
    arrays, _ = direct.aggregate_train(1, [grid2._reply(message) for message in messages])
    assert arrays is not None
    assert bits(arrays) == bits(wrapped(cls).start(FakeGrid(CLIENTS[cls]), model(1, 2, 3), 1).arrays)


@pytest.mark.parametrize("inner", [FedAvg(), FedProx(proximal_mu=0.1), FedAvgM(server_momentum=0.9), FedAdam()])
def test_it_composes_with_every_averaging_strategy(inner: FedAvg) -> None:
    """Without noise and with room for every update it is the strategy itself, of replies that weigh the same."""

    def client(message: Message, context: Context) -> Message:
        reply = answer(message, context)
        reply.content.metric_records["metrics"]["num-examples"] = 5
        return reply

    plain = type(inner)(**{name: setting for name, setting in vars(inner).items() if not name.startswith("_")})
    theirs = plain.start(FakeGrid(client), model(1, 2, 3), 4)
    ours = fixed(inner, norm=1e6).start(FakeGrid(client), model(1, 2, 3), 4)
    assert np.allclose(ours.arrays["0"].numpy(), theirs.arrays["0"].numpy(), rtol=1e-5)
    for ended, metrics in theirs.train_metrics_clientapp.items():
        assert dict(ours.train_metrics_clientapp[ended]) == pytest.approx(dict(metrics), rel=1e-5)


def test_the_strategy_sees_the_noisy_mean_and_no_reply() -> None:
    """What makes the arrays gets no metric of any client, and a metrics function of the author's sees them all."""
    seen: list[int] = []

    class Watching(FedAvg):
        def aggregate_reduced(self, server_round: int, reduced: Any) -> Any:
            seen.append(len(reduced.replies))
            return super().aggregate_reduced(server_round, reduced)

    strategy = Watching(train_metrics_aggr_fn=lambda contents, key: MetricRecord({"count": len(contents)}))
    result = fixed(strategy).start(FakeGrid(answer), model(1), 1)
    assert seen == [0]
    assert result.train_metrics_clientapp[1] == {"count": 4}


@pytest.mark.parametrize("inner", [Krum(), FedMedian(), Streamed(), fixed()], ids=lambda inner: type(inner).__name__)
def test_what_it_cannot_protect_is_refused(inner: Strategy) -> None:
    """A strategy that picks, ranks or looks at single replies, or is under differential privacy already."""
    makers: list[Callable[[], Strategy]] = [
        lambda: ServerFixed(inner, 1.0, 1.0, 4),
        lambda: ClientFixed(inner, 1.0, 1.0, 4),
        lambda: ServerAdaptive(inner, 1.0, 4),
        lambda: ClientAdaptive(inner, 1.0, 4),
    ]
    for make in makers:
        with pytest.raises(ConfigError, match=f"{type(inner).__name__} cannot be protected"):
            make()


@pytest.mark.parametrize(
    ("wrong", "text"),
    [
        ({"z": -1}, "noise_multiplier"),
        ({"z": math.nan}, "noise_multiplier"),
        ({"norm": 0}, "clipping_norm"),
        ({"n": 0}, "num_sampled_clients"),
        ({"delta": 0}, "delta"),
        ({"z": 1, "epsilon_budget": 0}, "epsilon_budget"),
        ({"epsilon_budget": 1}, "An epsilon_budget requires noise"),
        ({"accountant": "moments"}, "Unknown accountant"),
        (
            {"secret_sample": True, "accountant": "gaussian"},
            "This accountant does not support amplification by secret sampling of clients",
        ),
    ],
)
def test_wrong_settings(wrong: dict[str, Any], text: str) -> None:
    """Each is refused before anything is sent."""
    with pytest.raises(ConfigError, match=text):
        fixed(**wrong)


@pytest.mark.parametrize(
    "wrong",
    [
        {"initial_clipping_norm": 0},
        {"target_clipped_quantile": 1.5},
        {"clip_norm_lr": 0},
        {"clipped_count_stddev": 0.4},
        {"clipped_count_stddev": -1},
    ],
)
def test_wrong_adaptive_settings(wrong: dict[str, float]) -> None:
    """As above; so is less noise on the count than the guarantee needs."""
    with pytest.raises(ConfigError):
        wrapped(ServerAdaptive, **wrong)
    with pytest.raises(ConfigError, match="num_sampled_clients"):
        ServerAdaptive(FedAvg(), 1.0, 0)


@pytest.mark.parametrize("bad", [Array(np.zeros(2, np.uint8)), Array(np.zeros(2, bool))])
def test_arrays_that_take_no_noise(bad: Array) -> None:
    """Booleans and unsigned numbers are refused by name."""
    with pytest.raises(ConfigError, match="cannot be added to array 'mask'"):
        fixed().start(FakeGrid(answer), ArrayRecord({"mask": bad}), 1)


def test_another_number_of_clients_is_told_once() -> None:
    """When four train but two were announced, a note says that the mean is twice as long."""
    grid = FakeGrid(answer)
    fixed(n=2).start(grid, model(1), 3)
    (note,) = grid.told("note")
    assert "num_sampled_clients is 2" in str(note["text"])
    assert "scaled by 2" in str(note["text"])


# Where the clients clip


@pytest.mark.parametrize(("cls", "server"), [(ClientFixed, ServerFixed), (ClientAdaptive, ServerAdaptive)])
def test_clipping_at_the_client_is_clipping_at_the_server(
    cls: type[DifferentialPrivacy], server: type[DifferentialPrivacy]
) -> None:
    """With the mod the arrays are the same but for rounding, over rounds in which the norm changes; no norm bit is reported."""
    grid = FakeGrid(CLIENTS[cls])
    theirs = wrapped(cls, norm=1.3).start(grid, model(1, 2, 3), 5)
    ours = wrapped(server, norm=1.3).start(FakeGrid(answer), model(1, 2, 3), 5)
    assert np.allclose(theirs.arrays["0"].numpy(), ours.arrays["0"].numpy(), rtol=1e-4)
    assert not grid.told("reply-dropped")
    assert not any("norm_bit" in metrics for _, _, metrics, _ in grid.metrics)
    for ended, metrics in ours.evaluate_metrics_serverapp.items():
        assert theirs.evaluate_metrics_serverapp[ended] == metrics


@pytest.mark.parametrize("cls", [ClientFixed, ClientAdaptive])
def test_a_client_without_the_mod_is_named(cls: type[DifferentialPrivacy]) -> None:
    """Its reply is dropped, whose length no one has bounded, and the reason names the mod."""
    grid = FakeGrid(lambda m, c: (answer if c.node_id == 5 else CLIENTS[cls])(m, c))
    wrapped(cls).start(grid, model(0), 1)
    (dropped,) = (event for event in grid.told("reply-dropped") if event["phase"] == "train")
    assert dropped["node_id"] == 5
    assert "mod" in str(dropped["reason"])


@pytest.mark.parametrize("dtype", ["float16", "float32"])
def test_rounding_at_the_client_is_not_taken_for_lying(dtype: str) -> None:
    """At large weights a clipped update, rounded to a short float, may be longer than the norm; it counts."""
    arrays = ArrayRecord([np.full(50, 1000, dtype)])

    def client(message: Message, context: Context) -> Message:
        sent = message.content.array_records["arrays"]["0"].numpy()
        content = RecordDict({"arrays": ArrayRecord([sent + np.ones(50, dtype)])})
        content["m"] = MetricRecord({"num-examples": 1})
        return Message(content, reply_to=message)

    grid = FakeGrid(wrap(client, [fixedclipping_mod]))
    wrapped(ClientFixed, z=0, norm=3.0).start(grid, arrays, 1)
    assert not [event for event in grid.told("reply-dropped") if event["phase"] == "train"]


# Adaptive clipping


@pytest.mark.parametrize("cls", [ServerAdaptive, ClientAdaptive])
@pytest.mark.parametrize("start", [0.05, 30.0])
def test_the_norm_reaches_the_quantile(cls: type[DifferentialPrivacy], start: float) -> None:
    """Of 40 clients whose updates are 0.1 to 4 long, about 60 % end within the norm, from far below and far above."""
    lengths = [(index + 1) / 10 for index in range(40)]
    mods = [adaptiveclipping_mod] if cls is ClientAdaptive else []
    make: Callable[..., DifferentialPrivacy] = cls
    strategy = make(FedAvg(fraction_evaluate=0), 0.3, 40, start, 0.6, 0.4, 1.0, seed=3)
    result = strategy.start(FakeGrid(wrap(moving(*lengths), mods), range(2, 42)), model(0), 60)
    norms = [float(metrics["clipping-norm"]) for metrics in result.evaluate_metrics_serverapp.values()]  # type: ignore[arg-type]
    assert np.mean([np.mean(np.array(lengths) <= norm) for norm in norms[-20:]]) == pytest.approx(0.6, abs=0.1)


@dataclass(eq=False)
class Cautious(FedAvg):
    """An app's own averaging strategy: it moves only halfway to the mean."""

    def aggregate_reduced(self, server_round: int, reduced: Reduced) -> Trained:
        """Half of the mean, as the arrays were 0."""
        arrays, metrics = super().aggregate_reduced(server_round, reduced)
        if arrays is None:
            return arrays, metrics
        halved = {name: Array(array.numpy() / 2) for name, array in arrays.items()}
        return ArrayRecord(halved), metrics


def test_a_strategy_of_an_app_can_be_wrapped() -> None:
    """What it does with the noisy mean is kept, and a reply that it drops is reported by the wrapper."""
    strategy = ServerFixed(Cautious(fraction_evaluate=0.0), 0.0, 10.0, 4)
    result = strategy.start(FakeGrid(moving(2, 2, 2, 2)), model(0), 1)
    assert value(result) == 1.0
    strategy.strategy.drop(Reply(7))
    assert strategy.dropped.keys() == {7}
