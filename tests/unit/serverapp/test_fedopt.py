"""Strategies whose server steps from the arrays it sent towards the clients' mean: FedAvgM, FedAdagrad, FedAdam, FedYogi."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.clients import bits, model, reply
from tests.support.examples import examples
from tests.unit.serverapp.rounds import new_arrays, one_round, values
from umbel.app import ArrayRecord
from umbel.errors import AggregationFailed, ConfigError, InconsistentReplies
from umbel.serverapp.strategy import FedAdagrad, FedAdam, FedAvg, FedAvgM, FedYogi
from umbel.serverapp.strategy.server_optimizers import ServerOptimizer

KINDS: list[Callable[[], ServerOptimizer]] = [
    lambda: FedAvgM(server_learning_rate=0.5, server_momentum=0.9),
    FedAdagrad,
    FedAdam,
    FedYogi,
]


def test_fedavgm_by_hand() -> None:
    """From w = 0, β = 0.5, η = 2: means 1, then 1 + w, give v = 1, then 1.5; the mean is weighted."""
    strategy = FedAvgM(server_learning_rate=2.0, server_momentum=0.5)
    arrays, _ = one_round(strategy, model(0), [reply(1, model(4), num_examples=1), reply(2, model(0), num_examples=3)])
    assert arrays == model(2)
    assert new_arrays(strategy, model(2), [model(3)], server_round=2) == model(2 + 2 * 1.5)


def test_fedavgm_without_momentum_is_fedavg() -> None:
    """With the default arguments it is FedAvg to the last bit."""
    models = [model(*np.random.default_rng(node).normal(size=9)) for node in range(5)]
    averaged = new_arrays(FedAvg(), model(*[1e6] * 9), models)
    assert bits(new_arrays(FedAvgM(), model(*[1e6] * 9), models)) == bits(averaged)


def test_fedadagrad_by_hand() -> None:
    """Δ = 2, then 1: v = 4, then 5."""
    strategy = FedAdagrad(eta=1.0, tau=1.0)
    assert values(new_arrays(strategy, model(0), [model(1), model(3)])) == pytest.approx([2 / 3])
    assert values(new_arrays(strategy, model(0), [model(1)], 2)) == pytest.approx([1 / (math.sqrt(5) + 1)])


def test_fedadam_by_hand() -> None:
    """Two rounds with Δ = 1 and Δ = -2, β₁ = 0.5, β₂ = 0.75."""
    strategy = FedAdam(eta=0.1, beta_1=0.5, beta_2=0.75, tau=0.5)
    eta_1 = 0.1 * math.sqrt(1 - 0.75**2) / (1 - 0.5**2)
    assert values(new_arrays(strategy, model(7), [model(8)])) == pytest.approx([7 + eta_1 * 0.5 / (0.5 + 0.5)])
    eta_2 = 0.1 * math.sqrt(1 - 0.75**3) / (1 - 0.5**3)
    m, v = 0.5 * 0.5 - 0.5 * 2, 0.75 * 0.25 + 0.25 * 4
    assert values(new_arrays(strategy, model(7), [model(5)], 2)) == pytest.approx(
        [7 + eta_2 * m / (math.sqrt(v) + 0.5)]
    )


def test_fedyogi_by_hand() -> None:
    """The moment v rises by (1 - β₂) Δ² while it is below Δ², and falls by that when it is above."""
    strategy = FedYogi(eta=1.0, beta_1=0.0, beta_2=0.5, tau=1.0)
    assert values(new_arrays(strategy, model(0), [model(2)])) == pytest.approx([2 / (math.sqrt(2) + 1)])
    assert values(new_arrays(strategy, model(0), [model(1)], 2)) == pytest.approx([1 / (math.sqrt(1.5) + 1)])


def test_the_defaults_are_those_of_the_paper() -> None:
    """The settings that one gets without asking."""
    assert [(s.eta, s.eta_l, s.beta_1, s.beta_2, s.tau) for s in (FedAdagrad(), FedAdam(), FedYogi())] == [
        (0.1, 0.1, 0.0, 0.0, 1e-3),
        (0.1, 0.1, 0.9, 0.99, 1e-3),
        (0.01, 0.0316, 0.9, 0.99, 1e-3),
    ]
    assert (FedAvgM().server_learning_rate, FedAvgM().server_momentum) == (1.0, 0.0)


finite = st.floats(-1e3, 1e3, width=32)


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=examples(25))
@given(sent=st.lists(finite, min_size=3, max_size=3), count=st.integers(1, 4))
def test_clients_that_change_nothing(kind: Callable[[], ServerOptimizer], sent: list[float], count: int) -> None:
    """When every client returns what it was sent, the arrays stay, up to rounding of the mean."""
    assert values(new_arrays(kind(), model(*sent), [model(*sent)] * count)) == pytest.approx(sent, rel=1e-5, abs=1e-6)


@pytest.mark.parametrize("kind", KINDS[1:])
@settings(max_examples=examples(25))
@given(delta=st.floats(0.01, 1e3), scale=st.sampled_from([0.25, 8.0, 1024.0]))
def test_adaptive_steps_do_not_depend_on_the_scale(
    kind: Callable[[], ServerOptimizer], delta: float, scale: float
) -> None:
    """Updates and τ times s: the same step; and each step goes the way of its update."""
    strategies = [kind(), kind()]
    strategies[1].tau *= scale  # type: ignore[attr-defined]
    steps = [
        values(new_arrays(s, model(0), [model(d)]))[0] for s, d in zip(strategies, (delta, delta * scale), strict=True)
    ]
    assert steps[0] == pytest.approx(steps[1], rel=1e-4)
    assert steps[0] > 0


@pytest.mark.parametrize(
    ("kind", "arguments", "name"),
    [
        (FedAvgM, {"server_learning_rate": 0.0}, "server_learning_rate"),
        (FedAvgM, {"server_momentum": 1.0}, "server_momentum"),
        (FedAdam, {"eta": 0.0}, "eta"),
        (FedAdam, {"eta": math.nan}, "eta"),
        (FedAdam, {"beta_1": 1.0}, "beta_1"),
        (FedYogi, {"beta_2": -0.1}, "beta_2"),
        (FedAdagrad, {"tau": 0.0}, "tau"),
        (FedAdagrad, {"eta_l": math.inf}, "eta_l"),
    ],
)
def test_wrong_arguments(kind: type[ServerOptimizer], arguments: dict[str, Any], name: str) -> None:
    """A value outside its range is refused by name."""
    with pytest.raises(ConfigError, match=f"{name} must be"):
        kind(**arguments)


def test_other_tensors_than_were_sent() -> None:
    """Clients that all return another shape end the round with an error, not with an array of that shape."""
    with pytest.raises(InconsistentReplies, match="from those that FedAdam sent"):
        new_arrays(FedAdam(), model(1, 2), [model(1)])
    with pytest.raises(AggregationFailed, match="needs the arrays it sent in this round, but it has not sent any"):
        FedAdam().aggregate_train(1, [reply(1, model(1))])


@pytest.mark.parametrize("kind", KINDS)
def test_whole_numbers_take_the_mean(kind: Callable[[], ServerOptimizer]) -> None:
    """A counter among the tensors is averaged and rounded, not stepped."""
    sent = ArrayRecord([np.array([10, 20]), np.array([1], np.float32)])
    new = new_arrays(kind(), sent, [ArrayRecord([np.array([30, 21]), np.array([1], np.float32)])] * 2)
    assert new["0"].numpy().tolist() == [30, 21]
    assert new["0"].dtype == "int64"
