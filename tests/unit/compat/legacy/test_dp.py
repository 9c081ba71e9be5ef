from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from tests.support.fake_grid import FakeGrid
from tests.unit.compat.legacy.federation import Adding, adding, grid_of, model, numbers, results, run
from umbel.app import Context
from umbel.clientapp.clientapp import ClientFn, wrap
from umbel.compat.flwr.legacy.client import DPFedAvgNumPyClient, NumPyClient
from umbel.compat.flwr.legacy.clientapp import handler
from umbel.compat.flwr.legacy.clientmanager import SimpleClientManager
from umbel.compat.flwr.legacy.gridproxy import connected
from umbel.compat.flwr.legacy.mod import adaptiveclipping_mod, fixedclipping_mod
from umbel.compat.flwr.legacy.strategy import (
    DifferentialPrivacyClientSideAdaptiveClipping,
    DifferentialPrivacyClientSideFixedClipping,
    DifferentialPrivacyServerSideAdaptiveClipping,
    DifferentialPrivacyServerSideFixedClipping,
    DPFedAvgAdaptive,
    DPFedAvgFixed,
    FedAvg,
    Strategy,
)
from umbel.compat.flwr.legacy.strategy.dp import DifferentialPrivacy
from umbel.compat.flwr.legacy.typing import Config, ndarrays_to_parameters, parameters_to_ndarrays
from umbel.serverapp.grid import Grid


def started(strategy: Strategy, *values: float) -> list[Config]:
    """Begin a round with a model of these numbers; the clients' configurations."""
    manager = SimpleClientManager()
    with connected(grid_of(), manager):
        return [ins.config for _, ins in strategy.configure_fit(1, model(list(values)), manager)]


def aggregated(strategy: Strategy, *models: list[float], examples: Any = None) -> list[float]:
    """The model after a round in which clients trained these."""
    return numbers(strategy.aggregate_fit(1, results(*models, examples=examples), [])[0])[0]


def test_the_server_clips_each_update() -> None:
    """Of (3, 4), 5 long, remains (0.6, 0.8); (0, 0.5) stays; and all count the same, whatever their examples."""
    strategy = DifferentialPrivacyServerSideFixedClipping(FedAvg(), 0.0, 1.0, 2)
    started(strategy, 1.0, 1.0)
    found = aggregated(strategy, [4.0, 5.0], [1.0, 1.5], examples=[1, 1000])
    assert found == [pytest.approx(1 + 0.6 / 2), pytest.approx(1 + (0.8 + 0.5) / 2)]


@pytest.mark.parametrize(
    ("sampled", "stddev"), [(2, 1.5 * 0.5 / 2), (1, 1.5 * 0.5)], ids=["as-many-as-said", "more-than-said"]
)
def test_the_noise_is_that_of_the_mean(sampled: int, stddev: float) -> None:
    """σ = z C / n on each element, independent of every other."""
    strategy = DifferentialPrivacyServerSideFixedClipping(FedAvg(), 1.5, 0.5, sampled)
    zeros = [0.0] * 4000
    started(strategy, *zeros)
    noise = np.array(aggregated(strategy, zeros, zeros))
    assert noise.std() == pytest.approx(stddev, rel=0.06)
    assert abs(noise.mean()) < 5 * stddev / math.sqrt(len(zeros))
    assert abs(np.corrcoef(noise[:-1], noise[1:])[0, 1]) < 0.08


def test_fewer_clients_get_more_noise() -> None:
    """One of two said to be sampled: its update is the whole mean, and moves it by C."""
    strategy = DifferentialPrivacyServerSideFixedClipping(FedAvg(), 1.0, 0.5, 2)
    zeros = [0.0] * 4000
    started(strategy, *zeros)
    assert np.array(aggregated(strategy, zeros)).std() == pytest.approx(0.5, rel=0.06)


def test_noise_differs_from_round_to_round_and_run_to_run() -> None:
    """No one can subtract what was added."""
    zeros = [0.0] * 10
    found = []
    for _ in range(2):
        strategy = DifferentialPrivacyServerSideFixedClipping(FedAvg(), 1.0, 1.0, 2)
        started(strategy, *zeros)
        for server_round in (1, 2):
            parameters, _ = strategy.aggregate_fit(server_round, results(zeros, zeros), [])
            found.append(tuple(numbers(parameters)[0]))
    assert len(set(found)) == 4


def test_a_round_with_a_failure_is_not_used() -> None:
    """Neither one with a client that failed, nor one with an update that has no length."""
    strategy = DifferentialPrivacyServerSideFixedClipping(FedAvg(), 0.0, 1.0, 2)
    started(strategy, 0.0)
    assert strategy.aggregate_fit(1, results([1.0]), [ValueError("failed")]) == (None, {})
    assert strategy.aggregate_fit(1, results([1.0], [math.nan]), []) == (None, {})
    assert strategy.aggregate_fit(1, [], []) == (None, {})


def test_the_clients_are_told_the_norm() -> None:
    """Beside what the inner strategy tells them."""
    inner = FedAvg(on_fit_config_fn=lambda server_round: {"lr": 0.1})
    strategy = DifferentialPrivacyClientSideFixedClipping(inner, 0.0, 2.0, 4)
    assert started(strategy, 0.0) == [{"lr": 0.1, "clipping_norm": 2.0}] * 4


def test_the_server_clips_what_a_client_has_not() -> None:
    """A client without the mod moves the model no further than one with it."""
    strategy = DifferentialPrivacyClientSideFixedClipping(FedAvg(), 0.0, 1.0, 2)
    started(strategy, 0.0)
    assert aggregated(strategy, [9.0], [0.5]) == [pytest.approx(0.75)]


def test_the_norm_follows_a_quantile() -> None:
    """One of two updates is within: b̃ = ½ leaves C for γ = ½, and none within lets it grow by e^(η γ)."""
    strategy = DifferentialPrivacyServerSideAdaptiveClipping(FedAvg(), 0.0, 2, initial_clipping_norm=1.0)
    started(strategy, 0.0)
    aggregated(strategy, [0.5], [3.0])
    assert strategy.clipping_norm == pytest.approx(1.0)
    aggregated(strategy, [5.0], [3.0])
    assert strategy.clipping_norm == pytest.approx(math.exp(0.2 * 0.5))
    aggregated(strategy, [0.5], [0.1])
    assert strategy.clipping_norm == pytest.approx(1.0)


def test_the_count_costs_noise() -> None:
    """z_Δ = (z⁻² - (2 σ_b)⁻²)^(-½); where σ_b allows no such z it is an error."""
    strategy = DifferentialPrivacyServerSideAdaptiveClipping(FedAvg(), 1.0, 100)
    assert strategy.clipped_count_stddev == 5.0
    assert strategy.noise_multiplier == pytest.approx(1 / math.sqrt(1 - 0.01))
    with pytest.raises(ValueError, match="noise"):
        DifferentialPrivacyServerSideAdaptiveClipping(FedAvg(), 1.0, 2)


def modded(mod: Any) -> FakeGrid:
    """A grid whose clients clip."""
    inner: ClientFn = wrap(handler(adding), [mod])
    return FakeGrid(inner)


def test_clients_clip_with_the_mod() -> None:
    """Updates 0, 1, 2 and 3 with a norm of 1.5: the mean is (0 + 1 + 1.5 + 1.5) / 4."""
    seen: list[Any] = []
    inner = FedAvg(initial_parameters=model([0.0]), evaluate_fn=lambda _, arrays, config: seen.append(arrays[0][0]))
    run(modded(fixedclipping_mod), DifferentialPrivacyClientSideFixedClipping(inner, 0.0, 1.5, 4))
    assert seen[1] == pytest.approx(1.0)


def test_clients_say_whether_they_were_within_the_norm() -> None:
    """Three of four were within 2: b̃ = ¾, and C falls by e^(-η ¼)."""
    inner = FedAvg(initial_parameters=model([0.0]))
    strategy = DifferentialPrivacyClientSideAdaptiveClipping(inner, 0.0, 4, initial_clipping_norm=2.0)
    run(modded(adaptiveclipping_mod), strategy)
    assert strategy.clipping_norm == pytest.approx(2 * math.exp(-0.2 * 0.25))


def test_a_client_without_the_bit_is_named() -> None:
    """The app lacks the mod: the run says so."""
    inner = FedAvg(initial_parameters=model([0.0]))
    with pytest.raises(KeyError, match=r"Client \d+ reported no metric 'norm_bit'"):
        run(grid_of(), DifferentialPrivacyClientSideAdaptiveClipping(inner, 0.0, 4))


def dp_client(context: Context) -> NumPyClient:
    """A `client_fn` whose client clips by itself."""
    return DPFedAvgNumPyClient(Adding(int(context.node_config["partition-id"])))


def test_dpfedavg_clips_at_the_client() -> None:
    """As with the mod: (0 + 1 + 1.5 + 1.5) / 4."""
    seen: list[Any] = []
    inner = FedAvg(initial_parameters=model([0.0]), evaluate_fn=lambda _, arrays, config: seen.append(arrays[0][0]))
    run(grid_of(dp_client), DPFedAvgFixed(inner, 4, clip_norm=1.5, noise_multiplier=0.0))
    assert seen[1] == pytest.approx(1.0)


def test_dpfedavg_adapts_the_norm() -> None:
    """By the bits of the clients."""
    inner = FedAvg(initial_parameters=model([0.0]))
    strategy = DPFedAvgAdaptive(inner, 4, init_clip_norm=2.0, noise_multiplier=0.0)
    run(grid_of(dp_client), strategy)
    assert strategy.clip_norm == pytest.approx(2 * math.exp(-0.2 * 0.25))


def test_dpfedavg_may_have_the_clients_add_the_noise() -> None:
    """Each client z C / √n, and then the server none."""
    strategy = DPFedAvgFixed(FedAvg(), 4, clip_norm=2.0, noise_multiplier=3.0, server_side_noising=False)
    config = started(strategy, 0.0)[0]
    assert config == {"dpfedavg_clip_norm": 2.0, "dpfedavg_noise_stddev": 3.0}
    assert strategy.noise_stddev == 0
    client = DPFedAvgNumPyClient(Adding(0))
    arrays, _, _ = client.fit([np.zeros(4000)], config)
    assert arrays[0].std() == pytest.approx(3.0, rel=0.06)


@pytest.mark.parametrize(
    "make",
    [
        lambda: DifferentialPrivacy(FedAvg(), -1.0, 1.0, 2),
        lambda: DifferentialPrivacy(FedAvg(), 1.0, 0.0, 2),
        lambda: DifferentialPrivacy(FedAvg(), 1.0, 1.0, 0),
        lambda: DifferentialPrivacyServerSideAdaptiveClipping(FedAvg(), 0.0, 2, target_clipped_quantile=1.5),
        lambda: DifferentialPrivacyServerSideAdaptiveClipping(FedAvg(), 0.0, 2, clip_norm_lr=0.0),
        lambda: DifferentialPrivacyServerSideAdaptiveClipping(FedAvg(), 0.0, 2, clipped_count_stddev=-1.0),
    ],
)
def test_bad_settings_are_refused(make: Any) -> None:
    """When the strategy is made."""
    with pytest.raises(ValueError, match="must be"):
        make()


def test_all_else_is_the_inner_strategys() -> None:
    """Initial parameters, evaluation by clients and at the server."""
    inner = FedAvg(initial_parameters=model([7.0]), evaluate_fn=lambda *_: (0.5, {}))
    strategy = DifferentialPrivacyServerSideFixedClipping(inner, 0.0, 1.0, 4)
    history = run(grid_of(), strategy)
    assert history.losses_centralized == [(0, 0.5), (1, 0.5)]
    assert history.losses_distributed == [(1, 2.0)]


def test_whole_numbers_get_no_noise() -> None:
    """A counter among the arrays stays a counter."""
    strategy = DifferentialPrivacyServerSideFixedClipping(FedAvg(), 1.0, 1.0, 1)
    start = ndarrays_to_parameters([np.zeros(2), np.array(5)])
    manager = SimpleClientManager()
    grid: Grid = grid_of()
    with connected(grid, manager):
        strategy.configure_fit(1, start, manager)
    answers = results([0.0])
    answers[0][1].parameters = start
    parameters, _ = strategy.aggregate_fit(1, answers, [])
    assert parameters is not None
    assert parameters_to_ndarrays(parameters)[1] == 5
