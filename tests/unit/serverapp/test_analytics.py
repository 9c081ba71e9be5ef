"""Statistics over all sites equal those of the pooled records."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from statsmodels.duration.survfunc import SurvfuncRight

from tests.support.examples import examples
from tests.support.fake_grid import FakeGrid
from umbel.app import Context, Message
from umbel.clientapp import ClientApp
from umbel.clientapp.analytics import answer
from umbel.clientapp.mod import secaggplus_mod
from umbel.errors import AggregationFailed, ConfigError, SecureAggregationFailed
from umbel.serverapp.analytics import Analytics

Table = dict[str, NDArray[np.float64]]
SITES = 5
both_ways = pytest.mark.parametrize("secure", [False, True])


def records(seed: int = 0) -> list[Table]:
    """Unequal sites: an age with some missing, a time of observation, whether it ended with an event."""
    rng = np.random.default_rng(seed)
    tables = []
    for size in (0, 1, 7, 40, 200):
        age = rng.normal(50, 15, size).round(1)
        age[rng.random(size) < 0.1] = np.nan
        tables.append(
            {
                "age": age,
                "days": rng.integers(1, 60, size).astype(float),
                "died": rng.integers(0, 2, size).astype(float),
            }
        )
    return tables


def pooled(column: str, tables: list[Table]) -> NDArray[np.float64]:
    """All values that are not missing, in one place."""
    values: NDArray[np.float64] = np.concatenate([table[column] for table in tables])
    return values[~np.isnan(values)]


def analytics(tables: list[Table], *, secure: bool = False, gone: tuple[int, ...] = ()) -> Analytics:
    """Over a grid in which node i has table i - 2; the `gone` have no column at all."""
    app = ClientApp(mods=[secaggplus_mod])

    @app.query("analytics")
    def reply(message: Message, context: Context) -> Message:
        return answer(message, {} if context.node_id in gone else tables[context.node_id - 2])

    return Analytics(FakeGrid(app, nodes=range(2, 2 + len(tables))), secure=secure)


@both_ways
def test_histogram(secure: bool) -> None:
    """Counts are exactly those of numpy on the pooled values; what lies outside, and what is missing, is counted."""
    tables = records()
    edges = [20.0, 35.0, 50.0, 50.1, 80.0]
    found = analytics(tables, secure=secure).histogram("age", edges)
    ages = pooled("age", tables)
    assert found.counts.tolist() == np.histogram(ages, edges)[0].tolist()
    assert found.below == np.count_nonzero(ages < 20)
    assert found.above == np.count_nonzero(ages > 80)
    assert found.missing == 248 - ages.size > 0


@both_ways
def test_mean_and_variance(secure: bool) -> None:
    """As numpy's on the pooled values."""
    tables = records()
    found = analytics(tables, secure=secure).mean_and_variance("age", (-100, 200))
    ages = pooled("age", tables)
    assert found.count == ages.size
    assert found.mean == pytest.approx(ages.mean(), abs=1e-5)
    assert found.variance == pytest.approx(ages.var(ddof=1), abs=1e-2 if secure else 1e-9)
    assert found.outside == 0


@both_ways
@pytest.mark.parametrize("q", [0.0, 0.1, 0.5, 0.99, 1.0])
def test_quantile(secure: bool, q: float) -> None:
    """Within half the tolerance of the pooled order statistic."""
    tables = records()
    found = analytics(tables, secure=secure).quantile("age", q, (-200, 300), 0.01)
    assert found == pytest.approx(np.quantile(pooled("age", tables), q, method="inverted_cdf"), abs=0.005001)


@both_ways
def test_kaplan_meier(secure: bool) -> None:
    """Curve, risk sets and Greenwood's errors are those of statsmodels on the pooled records, at every time of an event."""
    tables = records()
    found = analytics(tables, secure=secure).kaplan_meier("days", "died", list(range(1, 60)))
    expected = SurvfuncRight(*(np.concatenate([table[name] for table in tables]) for name in ("days", "died")))
    places = np.searchsorted(found.times, expected.surv_times)
    assert found.survival[places] == pytest.approx(expected.surv_prob, abs=1e-12)
    assert found.at_risk[places].tolist() == expected.n_risk.tolist()
    assert found.events[places].tolist() == expected.n_events.tolist()
    last = expected.surv_prob > 0
    assert found.standard_error[places][last] == pytest.approx(expected.surv_prob_se[last], abs=1e-12)


def test_kaplan_meier_by_hand() -> None:
    """Events at 1, 3 and 3, censored at 2 and 3, of five people: 4/5, then 4/5 · 1/3; beyond the grid no one is lost."""
    tables = [
        {"t": np.array([1.0, 2.0, 3.0]), "e": np.array([1.0, 0.0, 1.0])},
        {"t": np.array([3.0, 3.0]), "e": np.array([1.0, 0.0])},
    ]
    found = analytics(tables).kaplan_meier("t", "e", [1, 2, 3])
    assert found.survival == pytest.approx([4 / 5, 4 / 5, 4 / 5 * 1 / 3])
    assert found.at_risk.tolist() == [5, 4, 3]
    assert analytics(tables).kaplan_meier("t", "e", [1, 2]).at_risk.tolist() == [5, 4]


@given(st.lists(st.lists(st.floats(-1e3, 1e3), max_size=8), min_size=1, max_size=4), st.floats(0, 1))
@settings(max_examples=examples(30))
def test_any_values(values: list[list[float]], q: float) -> None:
    """Whatever the values and however they are divided: counts, mean and quantile are the pooled ones."""
    tables = [{"x": np.array(site, np.float64)} for site in values]
    everything = pooled("x", tables)
    asked = analytics(tables)
    moments = asked.mean_and_variance("x", (-1e3, 1e3))
    assert moments.count == everything.size
    if everything.size:
        assert moments.mean == pytest.approx(everything.mean(), abs=1e-9)
        exact = np.sort(everything)[max(int(np.ceil(q * everything.size - 1e-9)), 1) - 1]
        assert asked.quantile("x", q, (-1e3, 1e3), 1e-3) == pytest.approx(exact, abs=5.1e-4)


def test_a_site_that_cannot_answer(caplog: pytest.LogCaptureFixture) -> None:
    """It is left out and named; with none left there is an error that says why, with too few for a secure sum too."""
    tables = records()
    found = analytics(tables, gone=(6,)).histogram("age", [0, 200])
    assert found.counts.sum() == pooled("age", tables[:4]).size
    assert "node 6" in caplog.text
    assert "no numeric column named 'age'" in caplog.text
    with pytest.raises(AggregationFailed, match=r"None of 5 nodes replied.*no numeric column"):
        analytics(tables, gone=(2, 3, 4, 5, 6)).histogram("age", [0, 200])
    secure = analytics(tables, gone=(6,), secure=True).histogram("age", [0, 200])
    assert secure.counts.tolist() == found.counts.tolist()
    with pytest.raises(SecureAggregationFailed, match="Secure aggregation failed"):
        analytics(tables, gone=(4, 5, 6), secure=True).histogram("age", [0, 200])


def test_a_quantile_outside_of_the_bounds() -> None:
    """The error says how many values are on which side."""
    with pytest.raises(AggregationFailed, match=r"0 of .* values are below, .* above"):
        analytics(records()).quantile("age", 0.5, (-20, -10), 1)


@pytest.mark.parametrize("edges", [[1.0], [2.0, 1.0], [1.0, 1.0], [0.0, float("nan")]])
def test_edges_that_do_not_ascend(edges: list[float]) -> None:
    """Nonsense is refused before anybody is asked."""
    with pytest.raises(ConfigError, match="ascending"):
        analytics(records()).histogram("age", edges)


def test_values_outside_of_the_bounds_are_counted() -> None:
    """They count as if at the bounds, and the answer says how many they are."""
    found = analytics([{"x": np.array([1.0, 5.0, 100.0])}]).mean_and_variance("x", (0, 10))
    assert found.outside == 1
    assert found.mean == pytest.approx(16 / 3)
