"""The analytics example computes what the pooled records would give."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from statsmodels.duration.survfunc import SurvfuncRight

from tests.acceptance.examples.conftest import Import, Run

APP = "examples/analytics"
pytestmark = pytest.mark.timeout(300)


@pytest.mark.parametrize("secure", ["true", "false"])
def test_the_statistics_are_those_of_the_pooled_records(
    run_app: Run, pull: Callable[[], Path], import_from: Import, secure: str
) -> None:
    """Counts and the survival curve exactly, the median within its tolerance, means and variances up to rounding; masked or not."""
    run_app(APP, "--run-config", f"secure={secure}")
    report: dict[str, Any] = json.loads((pull() / "analytics.json").read_text())
    data = import_from(APP, "analytics.data")
    visits, patients = data.load_visits(), data.load_patients()
    assert report["visits"] == np.histogram(visits["mdvis"], [0, 1, 2, 5, 10, 20, 80])[0].tolist()
    for name, column in (("age", visits["xage"]), ("school", visits["educdec"])):
        known = column[~np.isnan(column)]
        assert report[name]["count"] == known.size
        assert report[name]["mean"] == pytest.approx(known.mean(), rel=1e-7)
        assert report[name]["variance"] == pytest.approx(known.var(ddof=1), rel=1e-5)
    assert report["age"]["median"] == pytest.approx(
        np.quantile(visits["xage"], 0.5, method="inverted_cdf"), abs=0.000501
    )
    curve = SurvfuncRight(patients["survival"], patients["censors"])
    days = curve.surv_times.astype(int)
    assert np.array(report["survival"])[days] == pytest.approx(curve.surv_prob, abs=1e-12)


def test_every_record_is_at_one_site(import_from: Import) -> None:
    """The six sites together hold each record once."""
    data = import_from(APP, "analytics.data")
    sites = [data.load_site(site) for site in range(data.SITES)]
    assert sum(len(site["site"]) for site in sites) == len(data.load_visits()) == 20_190
    assert sum(len(site["survival"]) for site in sites) == len(data.load_patients()) == 69
    assert all(len(set(site["site"])) == 1 for site in sites)
