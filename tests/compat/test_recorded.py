"""Umbel against what Flower's own release made of the same apps: see `catalogue`."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.compat.catalogue import APPS, HERE, App, differences
from tests.compat.ways import in_process, run_command

TORCH = [app for app in APPS if app.needs == "torch"]
PLAIN = [app for app in APPS if not app.needs]
COMMAND_LINE = [app for app in PLAIN if app.name in ("numpy_quickstart", "mods_order", "legacy_numpy")]


@pytest.mark.parametrize("app", PLAIN, ids=lambda app: app.name)
def test_an_app_comes_to_what_flower_came_to(app: App, tmp_path: Path) -> None:
    """Metrics and final arrays are those recorded from Flower, up to the order in which replies were summed."""
    assert differences(in_process(app, tmp_path), app.recorded(), app.tolerance) == []


@pytest.mark.torch
@pytest.mark.parametrize("app", TORCH, ids=lambda app: app.name)
def test_an_app_with_pytorch_does(app: App, tmp_path: Path) -> None:
    """The same for apps that need PyTorch."""
    assert differences(in_process(app, tmp_path), app.recorded(), app.tolerance) == []


@pytest.mark.slow
@pytest.mark.parametrize("app", COMMAND_LINE, ids=lambda app: app.name)
def test_umbel_run_does(app: App, tmp_path: Path, umbel_home: Path) -> None:
    """`umbel run` of the app's folder, with worker processes, comes to the same."""
    result = tmp_path / "result.json"
    run_command(app.path, result, umbel_home, app.nodes)
    assert differences(app.written(result), app.recorded(), app.tolerance) == []


@pytest.mark.slow
def test_umbel_run_takes_a_bundle_that_flower_built(tmp_path: Path, umbel_home: Path) -> None:
    """A FAB of format 1 from `flwr build` verifies and runs, and comes to what its app came to under Flower."""
    app = next(app for app in APPS if app.name == "query_actions")
    (fab,) = (HERE / "fab").glob("*.fab")
    result = tmp_path / "result.json"
    run_command(fab, result, umbel_home, app.nodes)
    assert differences(app.written(result), app.recorded(), app.tolerance) == []


def test_a_difference_is_seen() -> None:
    """Another value, type, length or key is a difference; a float within the tolerance is none."""
    recorded = {"a": [1.0, 2], "b": "x"}
    assert differences({"a": [1.0 + 1e-9, 2], "b": "x"}, recorded, 1e-6) == []
    for other in ({"a": [1.1, 2], "b": "x"}, {"a": [1.0, 3], "b": "x"}, {"a": [1.0], "b": "x"}, {"a": [1.0, 2]}):
        assert differences(other, recorded, 1e-6) != []
