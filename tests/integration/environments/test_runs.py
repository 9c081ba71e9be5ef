"""Runs whose apps need what Umbel's own environment does not have, with a real SuperLink and SuperExec."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.integration.environments.apps import needy
from tests.integration.simulation.runs import events, family, start, wait
from tests.integration.superexec.peers import wait_until_gone
from tests.unit.environments.distributions import hanging_sdist
from umbel.cli.local import connect_local
from umbel.environments import permission
from umbel.wire.control import ControlClient

TWO: dict[str, object] = {"num-supernodes": 2}


@pytest.fixture
def control(wheels: Path, umbel_home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ControlClient]:
    """A local SuperLink that runs two simulations at a time and may install what they need."""
    monkeypatch.setenv(permission.VARIABLE, "1")
    monkeypatch.setenv("UMBEL_MAX_CONCURRENT_RUNS", "2")
    client = connect_local()
    yield client
    client.close()


def said(control: ControlClient, run_id: int) -> list[str]:
    """The lines of a run's log."""
    return [line.text for line in control.logs(run_id)]


@pytest.mark.slow
def test_two_runs_at_once_have_different_versions(control: ControlClient, tmp_path: Path) -> None:
    """Two runs that need different versions of one library run at the same time, each with its own, in server and clients."""
    meeting = tmp_path / "meeting"
    os.mkfifo(meeting)
    runs = {
        version: start(
            control,
            needy(tmp_path / version, "umbel", "numpy", f"demo-lib=={version}"),
            federation=TWO,
            reads=str(meeting) if version == "1.0" else "",
            writes=str(meeting) if version == "2.0" else "",
        )
        for version in ("1.0", "2.0")
    }
    for version, run_id in runs.items():
        assert wait(control, run_id).sub_status == "completed"
        versions = [line for line in said(control, run_id) if "has" in line]
        assert sorted(versions) == [f"the client has {version}"] * 2 + [f"the server has {version}"]
        waits = [str(event.data["what"]) for event in events(control, run_id) if event.kind == "waiting"]
        assert waits == [f"installing demo-lib=={version}", ""]


def hanging(control: ControlClient, wheels: Path, tmp_path: Path) -> tuple[int, list[psutil.Process]]:
    """A run whose environment is being made and never will be, and the processes that are at it."""
    fifo = tmp_path / "told"
    os.mkfifo(fifo)
    hanging_sdist(wheels, "slow-lib", fifo)
    run_id = start(control, needy(tmp_path / "app", "slow-lib"), federation=TWO)
    builder = psutil.Process(int(fifo.read_text()))
    return run_id, [builder, *builder.parents()[:3]]  # uv, the guard, the run's program


def half_made(umbel_home: Path) -> list[str]:
    """What lies where environments are, locks and what the next one will remove aside."""
    names = {path.name for path in (umbel_home / "environments").iterdir()}
    return [name for name in names if not name.endswith((".lock", ".making"))]


def test_a_run_says_that_it_waits_for_its_environment(
    control: ControlClient, wheels: Path, tmp_path: Path, umbel_home: Path
) -> None:
    """While its environment is made, the run says so; when it is stopped, all that was at work is gone and nothing half made is left."""
    run_id, processes = hanging(control, wheels, tmp_path)
    waiting = str(control.get_run(run_id).waiting_for)
    assert waiting.startswith("Waits for its environment: installing slow-lib, since ")
    control.stop_run(run_id)
    assert wait(control, run_id).sub_status == "stopped"
    wait_until_gone(processes)
    assert half_made(umbel_home) == []


def test_a_killed_superexec_takes_an_installation_with_it(
    control: ControlClient, wheels: Path, tmp_path: Path, umbel_home: Path
) -> None:
    """When the SuperExec is killed in the middle of an installation, all that was at work ends too."""
    run_id, processes = hanging(control, wheels, tmp_path)
    (superexec,) = family(control)["superexec"]
    superexec.send_signal(signal.SIGKILL)
    wait_until_gone(processes)
    control.stop_run(run_id)  # by then another SuperExec may have begun it anew
    assert wait(control, run_id).sub_status == "stopped"
    assert half_made(umbel_home) == []


def test_what_cannot_be_installed_is_the_runs_cause(control: ControlClient, tmp_path: Path) -> None:
    """A run whose dependencies cannot be had fails at once, with uv's reason."""
    run = wait(control, start(control, needy(tmp_path / "app", "demo-lib==3.0"), federation=TWO))
    assert run.sub_status == "failed"
    assert run.cause is not None
    assert run.cause.code == "environment-failed"
    assert "there is no version of demo-lib==3.0" in run.cause.message


def test_without_permission_a_run_is_warned(wheels: Path, tmp_path: Path) -> None:
    """Where nothing may be installed the run begins all the same, with a warning; the import that fails says what is missing."""
    control = connect_local()
    run_id = start(control, needy(tmp_path / "app", "demo-lib>=1", "numpy"), federation=TWO)
    run = wait(control, run_id)
    warnings = [line.text for line in control.logs(run_id) if line.level == "WARNING"]
    assert warnings[0].startswith("The app needs demo-lib>=1, which this machine does not have. Install it")
    assert run.cause is not None
    assert run.cause.code == "app-load-failed"
    assert "The app needs demo-lib>=1" in str(run.cause.hint)


def test_without_permission_a_run_may_do_without(wheels: Path, tmp_path: Path) -> None:
    """An app that does not import what it declares and this machine lacks runs to its end."""
    control = connect_local()
    app = needy(tmp_path / "app", "demo-lib>=9")
    (app / "demo_lib.py").write_text("VERSION = 'the app\\'s own'\n")
    assert wait(control, start(control, app, federation=TWO)).sub_status == "completed"
