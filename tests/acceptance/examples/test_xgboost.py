"""The XGBoost example does what its README says."""

from __future__ import annotations

import pytest

from tests.acceptance.examples.conftest import Import, Run

APP = "examples/xgboost"
pytestmark = pytest.mark.timeout(300)


@pytest.mark.parametrize("strategy", ["bagging", "cyclic"])
def test_the_forest_is_better_than_any_clinics_own(strategy: str, run_app: Run, import_from: Import) -> None:
    """Twenty rounds end with a lower loss and a higher AUC than twenty trees of any clinic alone, on patients of no clinic."""
    ended = run_app(APP, "-c", f'strategy="{strategy}"')
    task = import_from(APP, "federated_trees.task")
    _, x_test, _, y_test = task.load_data()
    for clinic in range(5):
        x, _, y, _ = task.load_partition(clinic, 5)
        alone = task.evaluate(task.grow(None, x, y, 20, 0.3), x_test, y_test)
        assert ended["metrics"]["server"]["loss"] < alone["loss"]
        assert ended["metrics"]["server"]["auc"] > alone["auc"]
    assert ended["rounds"] == 20
    assert ended["metrics"]["server"]["auc"] == pytest.approx(0.977, abs=0.01)
