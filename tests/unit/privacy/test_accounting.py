"""The accountants agree with dp-accounting and with the closed forms."""

from __future__ import annotations

import math
import subprocess
import sys

import dp_accounting
import pytest
from dp_accounting import pld, rdp
from dp_accounting.pld.privacy_loss_mechanism import GaussianPrivacyLoss
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.examples import examples
from umbel.errors import ConfigError
from umbel.privacy.accounting import ACCOUNTANTS, Release, accountant_named
from umbel.privacy.gaussian import (
    analytic_stddev,
    classic_stddev,
    gaussian_delta,
    gaussian_epsilon,
    noise_multiplier_for,
    zcdp_epsilon,
)

DELTA = 1e-5
SOME = [Release(1.5)] * 20 + [Release(4.0)] * 5
REPLACE = dp_accounting.NeighboringRelation.REPLACE_ONE


@pytest.mark.parametrize("z", [0.3, 0.7, 1.0, 4.0, 30.0])
@pytest.mark.parametrize("epsilon", [0.0, 0.1, 1.0, 8.0])
def test_delta_is_that_of_the_exact_condition(z: float, epsilon: float) -> None:
    """The closed form gives dp-accounting's δ of one Gaussian release."""
    assert gaussian_delta(z, epsilon) == pytest.approx(GaussianPrivacyLoss(z).get_delta_for_epsilon(epsilon), abs=1e-9)


@given(st.floats(0.05, 100), st.floats(1e-12, 0.1))
@settings(max_examples=examples(50))
def test_epsilon_is_the_inverse_of_delta(z: float, delta: float) -> None:
    """δ(ε(δ)) = δ, or ε is 0 where even that gives less; zCDP is never below."""
    epsilon = gaussian_epsilon(z, delta)
    assert gaussian_delta(z, epsilon) == pytest.approx(delta, rel=1e-6) or epsilon == 0
    assert epsilon <= zcdp_epsilon(z, delta)


def test_very_little_noise() -> None:
    """Where e^ε is beyond every float, ε is still a number, and without noise infinite."""
    assert 1e4 < gaussian_epsilon(0.005, DELTA) < math.inf
    for name in ACCOUNTANTS:
        assert accountant_named(name)([Release(1.0), Release(0.0)], DELTA) == math.inf
        assert accountant_named(name)([], DELTA) == 0


def test_rdp_is_dp_accountings() -> None:
    """The same ε to 1e-6 as its accountant fed by hand."""
    theirs = rdp.RdpAccountant()
    theirs.compose(dp_accounting.GaussianDpEvent(1.5), 20)
    theirs.compose(dp_accounting.GaussianDpEvent(4.0), 5)
    assert accountant_named("rdp")(SOME, DELTA) == pytest.approx(theirs.get_epsilon(DELTA), abs=1e-6)


def test_pld_is_dp_accountings_and_the_closed_forms() -> None:
    """The same ε to 1e-6 as its accountant fed by hand, and as the exact form but for its grid of 1e-4, from above."""
    theirs = pld.PLDAccountant()
    theirs.compose(dp_accounting.GaussianDpEvent(1.5), 20)
    theirs.compose(dp_accounting.GaussianDpEvent(4.0), 5)
    epsilon = accountant_named("pld")(SOME, DELTA)
    assert epsilon == pytest.approx(theirs.get_epsilon(DELTA), abs=1e-6)
    exact = accountant_named("gaussian")(SOME, DELTA)
    assert exact - 1e-6 <= epsilon <= exact + 0.005


def test_the_bounds_are_in_order() -> None:
    """Exact ≤ RDP ≤ zCDP: each is looser than the one before."""
    exact, renyi, zcdp = (accountant_named(name)(SOME, DELTA) for name in ("gaussian", "rdp", "zcdp"))
    assert exact <= renyi <= zcdp + 1e-9


def test_releases_compose_to_one() -> None:
    """By hand: four releases with z = 2 are one with z = 1, and ρ of 0.5 gives ε = 0.5 + 2·√(0.5 · ln 1/δ)."""
    assert accountant_named("gaussian")([Release(2.0)] * 4, DELTA) == pytest.approx(gaussian_epsilon(1.0, DELTA))
    by_hand = 0.5 + 2 * math.sqrt(0.5 * math.log(1e5))
    assert accountant_named("zcdp")([Release(2.0)] * 4, DELTA) == pytest.approx(by_hand)


def test_a_secret_draw() -> None:
    """dp-accounting's ε for 50 of 1,000 without replacement, where one client's data is replaced, so half the multiplier."""
    theirs = rdp.RdpAccountant(neighboring_relation=REPLACE)
    gaussian = dp_accounting.GaussianDpEvent(2.0)
    theirs.compose(dp_accounting.SampledWithoutReplacementDpEvent(1000, 50, gaussian), 10)
    epsilon = accountant_named("rdp")([Release(4.0, 50, 1000)] * 10, DELTA)
    assert epsilon == pytest.approx(theirs.get_epsilon(DELTA), abs=1e-6)
    everybody = accountant_named("rdp")([Release(4.0, 1000, 1000)] * 10, DELTA)
    assert everybody == pytest.approx(accountant_named("rdp")([Release(2.0)] * 10, DELTA))
    assert epsilon < accountant_named("rdp")([Release(4.0)] * 10, DELTA) < everybody


@pytest.mark.parametrize("name", ["gaussian", "zcdp", "pld"])
def test_an_accountant_that_knows_no_draws(name: str) -> None:
    """It refuses them instead of claiming or forgetting the gain."""
    with pytest.raises(
        ConfigError, match="This accountant does not support amplification by secret sampling of clients"
    ):
        accountant_named(name)([Release(1.0, 5, 100)], DELTA)


def test_an_unknown_accountant() -> None:
    """The error lists those there are."""
    with pytest.raises(ConfigError, match="gaussian, zcdp, rdp, pld"):
        accountant_named("moments")


def test_dp_accounting_is_optional(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without it the error says how to get it, and the closed forms work."""
    monkeypatch.setitem(sys.modules, "dp_accounting", None)
    with pytest.raises(ConfigError, match=r"umbel\[privacy\]"):
        accountant_named("rdp")
    assert accountant_named("gaussian")(SOME, DELTA) > 0


def test_it_is_not_imported_on_the_way() -> None:
    """Neither an app's strategies nor its mods load it."""
    code = "import sys, umbel.serverapp.strategy, umbel.clientapp.mod; sys.exit('dp_accounting' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize("epsilon", [0.1, 0.9, 5.0, 50.0])
def test_how_much_noise_an_epsilon_needs(epsilon: float) -> None:
    """The analytic σ gives exactly δ; the classic one is larger where it is proven, and both scale with the sensitivity."""
    sigma = analytic_stddev(1.0, epsilon, DELTA)
    assert gaussian_delta(sigma, epsilon) == pytest.approx(DELTA, rel=1e-6)
    assert analytic_stddev(3.0, epsilon, DELTA) == pytest.approx(3 * sigma)
    assert epsilon >= 1 or classic_stddev(1.0, epsilon, DELTA) > sigma
    assert classic_stddev(2.0, 0.5, 1.25e-5) == pytest.approx(4 * math.sqrt(2 * math.log(1e5)))


@pytest.mark.parametrize("epsilon", [0.01, 0.5, 2.0, 8.0])
@pytest.mark.parametrize("rounds", [1, 20, 999])
def test_the_noise_for_a_budget(epsilon: float, rounds: int) -> None:
    """That many rounds with this multiplier cost the budget and no more."""
    spent = accountant_named("gaussian")([Release(noise_multiplier_for(epsilon, DELTA, rounds))] * rounds, DELTA)
    assert epsilon * (1 - 1e-6) < spent <= epsilon
