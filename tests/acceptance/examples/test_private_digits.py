"""The examples of differential privacy reach the accuracies of their READMEs at the epsilons that they claim."""

from __future__ import annotations

import pytest

from tests.acceptance.examples.conftest import Run

pytestmark = pytest.mark.timeout(300)

APP = "examples/private-digits"


@pytest.mark.parametrize(("epsilon", "at_least"), [(2.0, 0.75), (8.0, 0.85)])
def test_it_learns_within_its_budget(run_app: Run, epsilon: float, at_least: float) -> None:
    """20 rounds cost the epsilon that was asked for and no more, and teach most of the digits."""
    ended = run_app(APP, "-c", f"epsilon={epsilon}")
    assert ended["rounds"] == 20
    assert epsilon * 0.999 < ended["metrics"]["server"]["epsilon"] <= epsilon
    assert ended["metrics"]["server"]["accuracy"] > at_least


def test_the_noise_costs_accuracy(run_app: Run) -> None:
    """Without noise it reads more than nine of ten digits and has no epsilon; at a tiny one it learns next to nothing."""
    without = run_app(APP, "-c", "epsilon=0.0")["metrics"]["server"]
    assert without["accuracy"] > 0.9
    assert "epsilon" not in without
    assert run_app(APP, "-c", "epsilon=0.02")["metrics"]["server"]["accuracy"] < 0.5


@pytest.mark.slow
@pytest.mark.torch
def test_opacus_keeps_an_account_at_each_site(run_app: Run) -> None:
    """Five rounds of DP-SGD cost each site the epsilon that was asked for and no more, and teach most of the digits."""
    metrics = run_app("examples/opacus-digits")["metrics"]
    assert 7.5 < metrics["train"]["epsilon"] <= 8.0
    assert metrics["server"]["accuracy"] > 0.8
