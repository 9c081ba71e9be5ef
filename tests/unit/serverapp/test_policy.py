"""Quorum, deadline and invalid settings."""

from __future__ import annotations

import pytest

from tests.support.clients import answer, bits, failing, model
from tests.support.fake_grid import FakeGrid
from tests.unit.serverapp.strategies import Streamed
from umbel.errors import ConfigError
from umbel.serverapp import RoundPolicy
from umbel.serverapp.strategy import FedAvg


@pytest.mark.parametrize(
    ("options", "policy"),
    [
        ({}, RoundPolicy(60)),
        ({"deadline": 5}, RoundPolicy(60, 5, quorum=1)),
        ({"quorum": 2}, RoundPolicy(60, None, quorum=2)),
        ({"quorum": 200, "deadline": 5}, RoundPolicy(60, 5, quorum=100)),
        ({"quorum": 0.07}, RoundPolicy(60, None, quorum=7)),
        ({"quorum": 0.071}, RoundPolicy(60, None, quorum=8)),
        ({"quorum": 1.0}, RoundPolicy(60, None, quorum=100)),
        ({"quorum": 1}, RoundPolicy(60, None, quorum=1)),
    ],
)
def test_the_policy_of_a_phase(options: dict[str, float], policy: RoundPolicy) -> None:
    """A quorum is a count or a share rounded up, at most all; a deadline alone needs one reply."""
    assert FedAvg(**options).round_policy(100, 60) == policy  # type: ignore[arg-type]


def test_the_policy_reaches_the_grid() -> None:
    """Both phases are sent with it."""
    grid = FakeGrid(answer)
    FedAvg(quorum=0.5, deadline=9).start(grid, model(1), num_rounds=1, timeout=30)
    assert grid.policies == [RoundPolicy(30, 9, 2)] * 2


@pytest.mark.parametrize("kind", [FedAvg, Streamed])
def test_a_missed_quorum_keeps_the_arrays(kind: type[FedAvg]) -> None:
    """Two of four replies where three are needed: nothing is aggregated, a note says why."""
    grid = FakeGrid(failing(2, 3))
    result = kind(quorum=3).start(grid, model(1), num_rounds=1)
    assert bits(result.arrays) == bits(model(1))
    assert result.train_metrics_clientapp == result.evaluate_metrics_clientapp == {}
    assert grid.told("note")[0] == {"text": "Round 1: 2 usable replies, fewer than the quorum of 3."}
    reached = kind(quorum=2).start(FakeGrid(failing(2, 3)), model(1), num_rounds=1)
    assert bits(reached.arrays) != bits(model(1))


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"fraction_train": 1.5}, "fraction_train must be in"),
        ({"fraction_evaluate": -0.1}, "fraction_evaluate must be in"),
        ({"quorum": 0}, "quorum must be"),
        ({"quorum": 1.5}, "quorum must be"),
        ({"quorum": 0.0}, "quorum must be"),
        ({"deadline": -1}, "deadline must be"),
        ({"wait_for_nodes_timeout": float("nan")}, "wait_for_nodes_timeout must be"),
    ],
)
def test_settings_out_of_range(options: dict[str, float], text: str) -> None:
    """A bad setting is refused when the strategy is made."""
    with pytest.raises(ConfigError, match=text):
        FedAvg(**options)  # type: ignore[arg-type]
