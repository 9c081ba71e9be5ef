"""The page of charts: size, safety and contents."""

from __future__ import annotations

import json
import math
import random
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from umbel.charts import Chart, Line, render_page, thin
from umbel.charts.image import MAX_CHARTS, render_png

HOSTILE = "</script><img src=x onerror=alert(1)>&\u2028"


def data_of(page: str) -> list[dict[str, Any]]:
    """The data that the script of a page reads."""
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.DOTALL)
    assert found is not None
    return list(json.loads(found[1]))


def test_an_ordinary_run_takes_less_than_100_kb() -> None:
    """Six metrics over 30 rounds at ten sites, with three aggregates each."""
    rounds = list(range(1, 31))
    rng = random.Random(1)
    sites = [Line(f"train node {node}", rounds, [rng.random() for _ in rounds], f"node {node}") for node in range(10)]
    lines = [Line(phase, rounds, [rng.random() for _ in rounds]) for phase in ("train", "evaluate", "server")]
    page = render_page("Run 1", "finished", [Chart(f"metric {index}", [*lines, *sites]) for index in range(6)])
    assert len(page.encode()) < 100_000


def test_a_long_run_is_thinned() -> None:
    """A thousand rounds take no more points than fit on a screen."""
    rounds = list(range(1, 1001))
    page = render_page("Run 1", "", [Chart("loss", [Line("train", rounds, [1 / number for number in rounds])])])
    (chart,) = data_of(page)
    (line,) = chart["lines"]
    assert len(line["rounds"]) <= 402
    assert "The last 200 of 1000 rounds." in page


def test_names_are_text() -> None:
    """A hostile name ends no script, opens no element, and arrives in the data as it is."""
    page = render_page(HOSTILE, HOSTILE, [Chart(HOSTILE, [Line(HOSTILE, [1], [1.0], HOSTILE)])])
    assert "<img" not in page
    assert page.count("</script>") == 2
    (chart,) = data_of(page)
    assert chart["title"] == HOSTILE


def test_nothing_is_fetched() -> None:
    """The page names no other resource."""
    page = render_page("Run 1", "", [Chart("loss", [Line("train", [1], [1.0])])])
    assert not re.search(r"(?:src|href)=|https?://|@import|url\(", page)


def test_values_that_are_not_finite_are_gaps() -> None:
    """NaN and infinity become null in the data and are shown in the table."""
    page = render_page("Run 1", "", [Chart("loss", [Line("train", [1, 2, 3], [1.0, math.nan, math.inf])])])
    (chart,) = data_of(page)
    assert chart["lines"][0]["values"] == [1.0, None, None]
    assert "<td>nan</td>" in page


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=2000), st.integers(10, 500))
def test_thinning_keeps_the_extremes(values: list[float], most: int) -> None:
    """First, last, smallest and largest values stay, in order, and the number of points is bounded."""
    rounds, kept = thin(range(len(values)), values, most)
    assert (min(kept), max(kept), kept[0], kept[-1]) == (min(values), max(values), values[0], values[-1])
    assert rounds == sorted(rounds)
    assert len(rounds) <= max(len(values) if len(values) <= most else 0, most + 4)


@pytest.mark.parametrize(
    "values", [[0.0], [0.0, 0.0], [1e300, -1e300], [math.nan], [math.inf, 1.0], [5e-324, 0.0], [1.0, math.nan, 2.0]]
)
def test_any_values_can_be_drawn(values: list[float]) -> None:
    """One point, none, huge, tiny, equal or not finite ones; a name with mathematical markup is text."""
    assert render_png("$\\frac", [Chart("$k_", [Line("$^", range(len(values)), values)])]).startswith(b"\x89PNG")


def test_many_metrics_do_not_make_an_endless_image() -> None:
    """The first dozen are drawn."""
    charts = [Chart(str(index), [Line("train", [1], [1.0])]) for index in range(MAX_CHARTS + 5)]
    assert render_png("t", charts)[20:24] == render_png("t", charts[:MAX_CHARTS])[20:24]
