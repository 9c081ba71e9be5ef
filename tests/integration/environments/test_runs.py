"""Runs whose apps need what Umbel's own environment does not have, with a real SuperLink and SuperExec."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from tests.support.distributions import hanging_sdist, stock_wheels
from tests.support.needy_app import needy
from tests.support.simulation_runs import events, family, start, wait
from tests.support.superexec import wait_until_gone
from umbel.cli.local import connect_local
from umbel.environments import requirements
from umbel.wire.control import ControlClient

TWO: dict[str, object] = {"num-supernodes": 2}


@dataclass
class Site:
    """A SuperLink that may install what apps need: two simulations at a time, and a folder of wheels."""

    control: ControlClient
    home: Path
    wheels: Path

    def half_made(self) -> list[str]:
        """What lies where environments are and is no environment, locks and what the next one removes aside."""
        folders = [path for path in (self.home / "environments").iterdir() if path.suffix not in (".lock", ".making")]
        return [path.name for path in folders if not (path / "umbel.json").is_file()]


@contextmanager
def installing(home: Path, folder: Path) -> Iterator[Site]:
    """Such a SuperLink in `home`, with its wheels in `folder`."""
    with pytest.MonkeyPatch.context() as environment:
        wheels = stock_wheels(folder, environment)
        environment.setenv("UMBEL_HOME", str(home))
        environment.setenv(requirements.VARIABLE, "1")
        environment.setenv("UMBEL_MAX_CONCURRENT_RUNS", "2")
        control = connect_local()
    yield Site(control, home, wheels)
    control.close()


@pytest.fixture(scope="module")
def site(shared_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """One that the tests share."""
    with installing(shared_home, tmp_path_factory.mktemp("site")) as one:
        yield one


def said(control: ControlClient, run_id: int, level: str = "INFO") -> list[str]:
    """The lines of a run's log."""
    return [line.text for line in control.logs(run_id) if line.level == level]


@pytest.mark.slow
def test_two_runs_at_once_have_different_versions(site: Site, tmp_path: Path) -> None:
    """Two runs that need different versions of one library run at the same time, each with its own, in server and clients."""
    meeting = tmp_path / "meeting"
    os.mkfifo(meeting)
    runs = {
        version: start(
            site.control,
            needy(tmp_path / version, "umbel", "numpy", f"demo-lib=={version}"),
            federation=TWO,
            reads=str(meeting) if version == "1.0" else "",
            writes=str(meeting) if version == "2.0" else "",
        )
        for version in ("1.0", "2.0")
    }
    for version, run_id in runs.items():
        assert wait(site.control, run_id).sub_status == "completed"
        versions = [line for line in said(site.control, run_id) if "has" in line]
        assert sorted(versions) == [f"the client has {version}"] * 2 + [f"the server has {version}"]
        waits = [str(event.data["what"]) for event in events(site.control, run_id) if event.kind == "waiting"]
        assert waits == [f"installing demo-lib=={version}", ""]


def hanging(site: Site, folder: Path, name: str) -> tuple[int, list[psutil.Process]]:
    """A run whose environment is being made and never will be, and the processes that are at it."""
    fifo = folder / "told"
    os.mkfifo(fifo)
    hanging_sdist(site.wheels, name, fifo)
    run_id = start(site.control, needy(folder / "app", name), federation=TWO)
    builder = psutil.Process(int(fifo.read_text()))
    return run_id, [builder, *builder.parents()[:3]]  # uv, the guard, the run's program


@pytest.mark.slow
def test_a_run_says_that_it_waits_for_its_environment(site: Site, tmp_path: Path) -> None:
    """While its environment is made, the run says so; when it is stopped, all that was at work is gone and nothing half made is left."""
    run_id, processes = hanging(site, tmp_path, "slow-lib")
    waiting = str(site.control.get_run(run_id).waiting_for)
    assert waiting.startswith("Waiting for its environment: installing slow-lib, since ")
    site.control.stop_run(run_id)
    assert wait(site.control, run_id).sub_status == "stopped"
    wait_until_gone(processes)
    assert site.half_made() == []


def test_a_killed_superexec_takes_an_installation_with_it(umbel_home: Path, tmp_path: Path) -> None:
    """When the SuperExec is killed in the middle of an installation, all that was at work ends too."""
    with installing(umbel_home, tmp_path) as site:
        run_id, processes = hanging(site, tmp_path, "slow-lib")
        (superexec,) = family(site.control)["superexec"]
        superexec.send_signal(signal.SIGKILL)
        wait_until_gone(processes)
        site.control.stop_run(run_id)  # by then another SuperExec may have begun it again
        assert wait(site.control, run_id).sub_status == "stopped"
        assert site.half_made() == []


def test_what_cannot_be_installed_is_the_runs_cause(site: Site, tmp_path: Path) -> None:
    """A run whose dependencies cannot be had fails at once, with uv's reason."""
    run = wait(site.control, start(site.control, needy(tmp_path / "app", "demo-lib==3.0"), federation=TWO))
    assert run.sub_status == "failed"
    assert run.cause is not None
    assert run.cause.code == "environment-failed"
    assert "there is no version of demo-lib==3.0" in run.cause.message


def test_without_permission_a_run_is_warned(wheels: Path, tmp_path: Path) -> None:
    """Where nothing may be installed a run begins nevertheless, with a warning: it may do without. If not, its cause says what is missing."""
    control = connect_local()
    one, two = needy(tmp_path / "one", "demo-lib>=1", "numpy"), needy(tmp_path / "two", "demo-lib>=1")
    (two / "demo_lib.py").write_text("VERSION = 'its own'\n")
    runs = [wait(control, start(control, app, federation=TWO)) for app in (one, two)]
    for run in runs:
        (warning,) = said(control, run.run_id, "WARNING")
        assert warning.startswith("Unsatisfied requirements of the app: demo-lib>=1 (not installed). Install what")
    assert runs[0].cause is not None
    assert runs[0].cause.code == "app-load-failed"
    assert "demo-lib>=1 (not installed)" in str(runs[0].cause.hint)
    assert runs[1].sub_status == "completed"
