"""Accountants: what all releases of a run together tell about one client, as ε for a δ.

`gaussian` is exact and needs no library; it knows no gain by secret sampling. `zcdp` is a looser bound that can be checked by hand. `rdp` and `pld` are
the Rényi and the privacy-loss-distribution accountants of Google's dp-accounting, the extra `umbel[privacy]`; it takes
seconds to import and is imported when first used.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

from umbel.errors import ConfigError
from umbel.privacy.gaussian import gaussian_epsilon, zcdp_epsilon


class Release(NamedTuple):
    """One release of a noisy sum: noise of standard deviation noise_multiplier · Δ, where one client adds at most Δ to the sum.

    `drawn` of `population` clients were in it, drawn uniformly without replacement, by a draw that stays secret; both 0: no
    such thing is claimed, and every client counts as in it.

    Neighbouring data sets differ, where nothing is claimed, in one client that is there or not. Where a draw is claimed, they
    differ in one client's data, replaced by any other: the sum then moves by 2Δ, and the multiplier counts half.
    """

    noise_multiplier: float
    drawn: int = 0
    population: int = 0


Accountant = Callable[[Sequence[Release], float], float]
"""`(releases, delta) -> epsilon`, for all releases together; inf when one is without noise."""


def epsilon_gaussian(releases: Sequence[Release], delta: float) -> float:
    """Exact for Gaussian releases (see `umbel.privacy.gaussian`). Raises ConfigError for releases that claim a secret draw."""
    return gaussian_epsilon(_joint(releases), delta) if releases else 0.0


def epsilon_zcdp(releases: Sequence[Release], delta: float) -> float:
    """The bound by zero-concentrated differential privacy. Raises ConfigError for releases that claim a secret draw."""
    return zcdp_epsilon(_joint(releases), delta) if releases else 0.0


def epsilon_rdp(releases: Sequence[Release], delta: float) -> float:
    """By Rényi differential privacy (Mironov 2017, arXiv 1702.07476), with secret draws by Wang et al. 2018 (arXiv 1808.00087).

    Raises ConfigError when dp-accounting is not installed.
    """
    dp = _dp_accounting()
    if not _all_noisy(releases):
        return math.inf
    from dp_accounting import rdp

    replace_one = any(release.population for release in releases)
    relation = dp.NeighboringRelation.REPLACE_ONE if replace_one else dp.NeighboringRelation.ADD_OR_REMOVE_ONE
    accountant = rdp.RdpAccountant(neighboring_relation=relation)
    return _composed(accountant, ((_event(dp, release, replace_one), n) for release, n in _counted(releases)), delta)


def epsilon_pld(releases: Sequence[Release], delta: float) -> float:
    """By the distribution of the privacy loss, discretised pessimistically (Doroshenko et al. 2022, arXiv 2207.04380).

    Raises ConfigError for releases that claim a secret draw without replacement, which dp-accounting does not know here, and
    when dp-accounting is not installed.
    """
    dp = _dp_accounting()
    _refuse_draws(releases)
    if not _all_noisy(releases):
        return math.inf
    from dp_accounting import pld

    events = ((_event(dp, release, False), count) for release, count in _counted(releases))
    return _composed(pld.PLDAccountant(), events, delta)


ACCOUNTANTS: dict[str, Accountant] = {
    "gaussian": epsilon_gaussian,
    "zcdp": epsilon_zcdp,
    "rdp": epsilon_rdp,
    "pld": epsilon_pld,
}


def accountant_named(name: str) -> Accountant:
    """The accountant of this name. Raises ConfigError when there is none, or dp-accounting is needed and not installed."""
    if name not in ACCOUNTANTS:
        raise ConfigError(f"Unknown accountant {name!r}.", hint=f"Choose one of: {', '.join(ACCOUNTANTS)}.")
    if name in {"rdp", "pld"}:
        _dp_accounting()
    return ACCOUNTANTS[name]


def _joint(releases: Sequence[Release]) -> float:
    _refuse_draws(releases)
    if not _all_noisy(releases):
        return 0.0
    return 1 / math.sqrt(math.fsum(release.noise_multiplier**-2 for release in releases))


def _all_noisy(releases: Sequence[Release]) -> bool:
    return all(release.noise_multiplier > 0 for release in releases)


def _refuse_draws(releases: Sequence[Release]) -> None:
    if any(release.population for release in releases):
        raise ConfigError(
            "This accountant does not support amplification by secret sampling of clients.",
            hint="Use accountant='rdp'.",
        )


def _counted(releases: Sequence[Release]) -> Iterable[tuple[Release, int]]:
    return Counter(releases).items()


def _event(dp: Any, release: Release, replace_one: bool) -> Any:
    if not replace_one:
        return dp.GaussianDpEvent(release.noise_multiplier)
    gaussian = dp.GaussianDpEvent(release.noise_multiplier / 2)
    if release.drawn >= release.population:
        return gaussian
    return dp.SampledWithoutReplacementDpEvent(release.population, release.drawn, gaussian)


def _composed(ledger: Any, events: Iterable[tuple[Any, int]], delta: float) -> float:
    for event, count in events:
        ledger.compose(event, count)
    return float(ledger.get_epsilon(delta))


def _dp_accounting() -> Any:
    try:
        import dp_accounting
    except ImportError as error:
        raise ConfigError(
            "The accountants 'rdp' and 'pld' require dp-accounting, which is not installed.",
            hint="Install it with `pip install 'umbel[privacy]'`, or use accountant='gaussian'.",
        ) from error
    return dp_accounting
