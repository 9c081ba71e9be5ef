"""Privacy accounting of the strategies."""

from __future__ import annotations

import math
from typing import Any

import pytest

from tests.support.clients import answer, bits, failing, model
from tests.support.fake_grid import FakeCheckpoints, FakeGrid, Killed
from tests.unit.serverapp.private import (
    CLIENTS,
    NODES,
    fixed,
    value,
    wrapped,
)
from umbel.app import ConfigRecord, MetricRecord
from umbel.errors import AggregationFailed, ConfigError
from umbel.privacy.accounting import Release
from umbel.privacy.gaussian import gaussian_epsilon
from umbel.serverapp.strategy import (
    DifferentialPrivacy,
    FedAdam,
    FedAvg,
    Result,
)

# The cost


def test_epsilon_stands_beside_the_servers_metrics() -> None:
    """In the result, in what is reported, for round 0 too, and beside what `evaluate_fn` gives; it is that of the closed form."""
    grid = FakeGrid(answer)
    result = fixed(z=2.0).start(grid, model(1), 3, evaluate_fn=lambda r, _: MetricRecord({"accuracy": r / 10}))
    expected = [gaussian_epsilon(2.0 / math.sqrt(r), 1e-5) if r else 0.0 for r in range(4)]
    assert [m["epsilon"] for m in result.evaluate_metrics_serverapp.values()] == pytest.approx(expected)
    assert result.evaluate_metrics_serverapp[3]["accuracy"] == 0.3
    told = {r: metrics["epsilon"] for r, phase, metrics, _ in grid.metrics if phase == "server"}
    assert told == pytest.approx(dict(enumerate(expected)))


def test_without_noise_there_is_no_epsilon(caplog: pytest.LogCaptureFixture) -> None:
    """Infinity is not a figure to report; the log says that there is no privacy."""
    result = fixed().start(FakeGrid(answer), model(1), 1)
    assert result.evaluate_metrics_serverapp == {}
    assert "A noise_multiplier of 0 provides no privacy" in caplog.text


@pytest.mark.parametrize("cls", CLIENTS)
@pytest.mark.parametrize("accountant", ["gaussian", "zcdp", "rdp"])
def test_the_budget_stops_the_run_before_it_is_exceeded(cls: type[DifferentialPrivacy], accountant: str) -> None:
    """ε ends at or below the budget, another round would have exceeded it, and the result says why there was none."""
    strategy = wrapped(cls, z=3.0, epsilon_budget=5.0, accountant=accountant)
    result = strategy.start(FakeGrid(CLIENTS[cls]), model(1), 50)
    assert 4.0 < strategy.epsilon <= 5.0
    assert strategy._epsilon([*strategy._releases, Release(3.0)], 1e-5) > 5.0
    assert len(result.train_metrics_clientapp) == len(strategy._releases) < 50
    assert result.stopped_early is not None
    assert "privacy budget" in result.stopped_early


def test_a_budget_that_allows_no_round() -> None:
    """It is refused before a client is asked."""
    grid = FakeGrid(answer)
    with pytest.raises(ConfigError, match="A single round exceeds the epsilon_budget of"):
        fixed(z=1.0, epsilon_budget=0.1).start(grid, model(1), 3)
    assert grid.asked == []


def test_a_spent_budget_asks_nobody() -> None:
    """Even where the round was begun regardless: no message, no noise, no cost."""
    strategy = fixed(z=1.0, epsilon_budget=5.0)
    assert list(strategy.configure_train(1, model(1), ConfigRecord(), FakeGrid(answer)))
    assert not list(strategy.configure_train(2, model(1), ConfigRecord(), FakeGrid(answer)))
    assert len(strategy._releases) == 1
    assert not strategy.allows_another()


def test_a_secret_sample_costs_less() -> None:
    """5 of 200 drawn in secret: ε is that of the draw without replacement, and far below that of no one's drawing."""
    options: dict[str, Any] = {"z": 2.0, "n": 5, "accountant": "rdp"}
    inner = FedAvg(fraction_train=0.025, fraction_evaluate=0)
    secret, open_ = fixed(inner, secret_sample=True, **options), fixed(inner, **options)
    for strategy in (secret, open_):
        strategy.start(FakeGrid(answer, range(2, 202)), model(1), 5)
    assert secret._releases == [Release(2.0, 5, 200)] * 5
    assert secret.epsilon < open_.epsilon / 3


def test_a_draw_of_its_own_is_no_secret_sample() -> None:
    """A strategy that picks its nodes otherwise cannot claim the gain."""

    class Picky(FedAvg):
        def sample_nodes(self, *arguments: Any) -> list[int]:
            return [2, 3]

    with pytest.raises(ConfigError, match="has its own way of sampling clients, for which no amplification is known"):
        fixed(Picky(), z=1.0, secret_sample=True)
    fixed(Picky(), z=1.0)


def test_a_node_that_is_asked_twice() -> None:
    """Its data could move the sum twice as far: refused."""

    class Twice(FedAvg):
        def configure_train(self, *arguments: Any) -> Any:
            return [*super().configure_train(*arguments), *super().configure_train(*arguments)]

    with pytest.raises(ConfigError, match="A node received two train messages in one round"):
        fixed(Twice(), z=1.0).start(FakeGrid(answer), model(1), 1)


def test_a_sum_is_released_once() -> None:
    """Aggregating a round again would show its sum under the same noise and other clips: refused."""
    strategy, grid = fixed(z=1.0), FakeGrid(answer)
    messages = list(strategy.configure_train(1, model(1), ConfigRecord(), grid))
    replies = [grid._reply(message) for message in messages]
    strategy.aggregate_train(1, replies)
    with pytest.raises(ConfigError, match="The sum of this round has already been released"):
        strategy.aggregate_train(1, replies)


# Resuming


@pytest.mark.parametrize("cls", CLIENTS)
@pytest.mark.parametrize("seed", [1, None])
def test_a_killed_run_goes_on_with_the_same_noise(cls: type[DifferentialPrivacy], seed: int | None) -> None:
    """Killed in every round and started again: the same arrays, norms and ε as the attempt before was on the way to, seeded or not."""
    whole_grid = FakeGrid(CLIENTS[cls], checkpoints=FakeCheckpoints())
    first = FakeCheckpoints(die_after=0 if seed is None else 1)
    with pytest.raises(Killed):
        wrapped(cls, seed=seed).start(FakeGrid(CLIENTS[cls], checkpoints=first), model(1, 2), 4)
    data = first.newest
    whole = wrapped(cls, seed=seed).start(FakeGrid(CLIENTS[cls], checkpoints=FakeCheckpoints(data)), model(1, 2), 4)
    for last in (1, 2, 3, 4) if seed is None else (2, 3, 4):
        store = FakeCheckpoints(data, die_after=last)
        with pytest.raises(Killed):
            wrapped(cls, seed=seed).start(FakeGrid(CLIENTS[cls], checkpoints=store), model(1, 2), 4)
        data = store.newest
    resumed = wrapped(cls, seed=seed).start(FakeGrid(CLIENTS[cls], checkpoints=FakeCheckpoints(data)), model(1, 2), 4)
    assert bits(resumed.arrays) == bits(whole.arrays)
    assert repr(resumed) == repr(whole)
    unbroken = wrapped(cls, seed=seed).start(whole_grid, model(1, 2), 4)
    assert (bits(unbroken.arrays) == bits(whole.arrays)) is (seed is not None)


def test_the_wrapped_strategys_memory_is_kept() -> None:
    """FedAdam's moments survive a restart inside the wrapper."""

    def run(store: FakeCheckpoints | None) -> Result:
        return fixed(FedAdam(), z=0.5).start(FakeGrid(answer, checkpoints=store), model(1, 2), 4)

    store = FakeCheckpoints(die_after=2)
    with pytest.raises(Killed):
        run(store)
    assert bits(run(FakeCheckpoints(store.newest)).arrays) == bits(run(None).arrays)


def test_a_stopped_run_stays_stopped() -> None:
    """The budget is counted over a restart."""
    options: dict[str, Any] = {"z": 3.0, "epsilon_budget": 5.0}
    whole = fixed(**options).start(FakeGrid(answer), model(1), 50)
    store = FakeCheckpoints(die_after=3)
    with pytest.raises(Killed):
        fixed(**options).start(FakeGrid(answer, checkpoints=store), model(1), 50)
    resumed = fixed(**options).start(FakeGrid(answer, checkpoints=FakeCheckpoints(store.newest)), model(1), 50)
    assert repr(resumed) == repr(whole)


def test_a_checkpoint_does_not_give_past_noise_away() -> None:
    """The key in a checkpoint is for the rounds to come: the key of the round it follows is not derived from it."""
    strategy = fixed(z=1.0)
    before = strategy._key
    list(strategy.configure_train(1, model(1), ConfigRecord(), FakeGrid(answer)))
    assert strategy._round_key not in {before, strategy._key}
    assert strategy.state().config_records["differential-privacy"]["key"] == strategy._key != before


def test_the_quorum_is_that_of_the_wrapped_strategy() -> None:
    """Unless the wrapper has its own; a round below it changes nothing, but is counted."""
    strategy = fixed(FedAvg(quorum=4), z=1.0)
    assert strategy.quorum == 4
    assert fixed(FedAvg(quorum=4), quorum=2).quorum == 2
    result = strategy.start(FakeGrid(answer, silent=[5]), model(7), 2)
    assert value(result) == 7
    assert len(strategy._releases) == 2


def test_clients_that_all_fail() -> None:
    """The run ends with their reason, as without the wrapper."""
    with pytest.raises(AggregationFailed, match="no data"):
        fixed(z=1.0).start(FakeGrid(failing(*NODES)), model(1), 5)
