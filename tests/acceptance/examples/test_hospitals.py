"""The hospitals example does what its README says."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from numpy.typing import NDArray
from safetensors.numpy import load_file
from sklearn.metrics import roc_auc_score

from tests.acceptance.examples.conftest import Import, Run

APP = "examples/hospitals"
pytestmark = pytest.mark.timeout(300)


def test_the_federation_beats_each_site_and_equals_pooled_data(
    run_app: Run, pull: Callable[[], Path], import_from: Import
) -> None:
    """The model that the run stored is within 0.01 AUC of pooled data and above each site alone."""
    ended = run_app(APP)
    (weights,) = load_file(pull() / "model.safetensors").values()
    task, report = import_from(APP, "hospitals.task"), import_from(APP, "hospitals.report")
    aucs = report.compare(weights, pooled_scale(task))
    federated, pooled = aucs.pop("federated"), aucs.pop("pooled")
    assert len(aucs) == 6
    assert federated > max(aucs.values())
    assert federated > pooled - 0.01
    assert ended["metrics"]["server"]["auc"] == pytest.approx(federated)


def pooled_scale(task: ModuleType) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean and standard deviation of each feature over all sites, from the records themselves."""
    x, _, _, _ = task.load_all_sites()
    return x.mean(axis=0), x.std(axis=0)


def test_every_record_is_at_one_site(import_from: Import) -> None:
    """The six sites together hold each of the 20,186 records once, and no patient has records at two sites."""
    task = import_from(APP, "hospitals.task")
    table = task.load_table()
    sites = [task.load_site(site) for site in range(task.SITES)]
    assert sum(len(y) for _, _, *ys in sites for y in ys) == len(table) == 20_186
    places = {(row["site"], row["zper"]) for row in table}
    assert len(places) == len(np.unique(table["zper"]))


def test_auc_is_that_of_scikit_learn(import_from: Import) -> None:
    """The few lines that compute the AUC agree with the library, ties included."""
    task = import_from(APP, "hospitals.task")
    rng = np.random.default_rng(0)
    score, y = rng.integers(0, 20, 500) / 7, rng.integers(0, 2, 500)
    assert task.auc(score, y) == pytest.approx(roc_auc_score(y, score))
