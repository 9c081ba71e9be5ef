"""Apps written for Flower on real sites, against what Flower's own release made of them in a simulation.

Which node has which part of the data is chance, as it is under Flower: what an app records does not depend on it.
"""

from __future__ import annotations

import shutil
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.compat.catalogue import APPS, HERE, App, differences
from tests.compat.ways import run_command, sites
from tests.support.federation import Federation
from umbel.bundle import build_fab

ROUNDS = 12
MARKS = {"torch": [pytest.mark.torch], "": []}

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def superlink() -> Iterator[Federation]:
    """A SuperLink for all tests of this module."""
    home = Path(tempfile.mkdtemp(prefix="umbel-", dir="/tmp"))  # short: a socket's path has about 100 characters
    running = Federation(home, nodes=0)
    yield running
    running.end()
    shutil.rmtree(home)


@pytest.fixture(scope="module")
def federation(request: pytest.FixtureRequest, superlink: Federation) -> Federation:
    """With that many sites, which stay for all tests that need as many."""
    superlink.resize(request.param)
    return superlink


@pytest.mark.parametrize(
    ("federation", "app"),
    [pytest.param(app.nodes, app, id=app.name, marks=MARKS[app.needs]) for app in APPS],
    indirect=["federation"],
)
def test_an_app_comes_to_what_flower_came_to(federation: Federation, app: App, tmp_path: Path) -> None:
    """Metrics and final arrays are those recorded from Flower, up to the order in which replies were summed."""
    assert differences(sites(app, tmp_path, federation), app.recorded(), app.tolerance) == []


@pytest.mark.parametrize("federation", [2], indirect=True)
def test_umbel_run_takes_a_bundle_that_flower_built(federation: Federation, tmp_path: Path) -> None:
    """A FAB of format 1 from `flwr build` runs on sites."""
    app = next(app for app in APPS if app.name == "query_actions")
    federation.connection("field")
    (fab,) = (HERE / "fab").glob("*.fab")
    result = tmp_path / "result.json"
    run_command(fab, result, federation.home)
    assert differences(app.written(result), app.recorded(), app.tolerance) == []


@pytest.mark.parametrize("federation", [2], indirect=True)
@pytest.mark.parametrize(("name", "asked"), [("numpy_quickstart", 4 * ROUNDS), ("legacy_numpy", 4 * ROUNDS + 1)])
def test_a_killed_serverapp_is_not_missed(federation: Federation, name: str, asked: int, tmp_path: Path) -> None:
    """While it waits for a site: the result is the same, bit for bit, and no site is asked twice. (Rounds of the older API, which keep no
    checkpoint, are replayed with the replies that the sites have given.)
    """
    app = next(app for app in APPS if app.name == name)
    config: dict[str, str | float | bool] = {"result-file": str(tmp_path / "result.json"), "num-server-rounds": ROUNDS}
    federation.wait(federation.start(build_fab(app.path).data, config))
    undisturbed = app.written(tmp_path / "result.json")
    (tmp_path / "result.json").unlink()

    run_id = federation.start(build_fab(app.path).data, config)
    events = federation.control.stream(run_id, kinds=["event"])
    next(item for item in events if item.event is not None and item.event.kind == "round-finished")
    federation.nodes[0].process.send_signal(signal.SIGSTOP)
    federation.processes("serverapp")[0].kill()
    federation.nodes[0].process.send_signal(signal.SIGCONT)
    run = federation.wait(run_id)
    assert (run.sub_status, run.attempts) == ("completed", 2), run.cause
    assert app.written(tmp_path / "result.json") == undisturbed
    answered = [message for node in federation.nodes for message in node.answered(run_id)]
    assert len({*answered}) == len(answered) <= asked
