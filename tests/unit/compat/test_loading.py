from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from umbel import app as ours
from umbel.compat import flwr as alias
from umbel.engine.loader import load_component
from umbel.errors import AppLoadError


@pytest.fixture(autouse=True)
def _leave_as_it_was(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What loading an app changes in its process is changed back."""
    monkeypatch.setattr(sys, "path", list(sys.path))
    alias.uninstall()  # an earlier test of this process may have loaded an app for Flower
    before = set(sys.modules)
    yield
    alias.uninstall()
    for name in set(sys.modules) - before:
        if name.startswith("app_"):
            del sys.modules[name]


def test_loading_an_app_is_enough(tmp_path: Path) -> None:
    """An app that imports `flwr` loads without anybody having asked for the alias."""
    (tmp_path / "app_that_imports_flwr.py").write_text("from flwr.app import Context\nthing = Context\n")
    assert load_component(tmp_path, "app_that_imports_flwr:thing") is ours.Context


def test_an_app_that_needs_more_says_what(tmp_path: Path) -> None:
    """What the alias lacks is named where loading fails, with the line of the app."""
    (tmp_path / "app_that_needs_more.py").write_text("from flwr.serverapp import RdpAccountant\n")
    with pytest.raises(AppLoadError, match=r"flwr\.serverapp\.RdpAccountant.*coming-from-flower") as caught:
        load_component(tmp_path, "app_that_needs_more:app")
    assert "app_that_needs_more.py" in caught.value.traceback


def test_a_simulation_leaves_this_process_as_it_was(tmp_path: Path) -> None:
    """`umbel.simulation.run_simulation` of a Flower app's folder needs the alias for as long as it runs."""
    from umbel.simulation import run_simulation
    from umbel.simulation.settings import SimulationSettings

    (tmp_path / "app_in_process.py").write_text(
        "from flwr.clientapp import ClientApp\n"
        "from flwr.serverapp import ServerApp\n"
        "client, server = ClientApp(), ServerApp()\n"
        "@server.main()\n"
        "def main(grid, context):\n"
        "    from flwr.app import RecordDict\n"
    )
    (tmp_path / "pyproject.toml").write_text(
        '[project]\nname = "app"\nversion = "1"\n[tool.flwr.app]\npublisher = "me"\n'
        '[tool.flwr.app.components]\nserverapp = "app_in_process:server"\nclientapp = "app_in_process:client"\n'
    )
    run_simulation(tmp_path, settings=SimulationSettings(2, backend="inline"))
    assert "flwr" not in sys.modules
    assert not any(type(finder).__module__.startswith("umbel.") for finder in sys.meta_path)
