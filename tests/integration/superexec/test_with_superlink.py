"""SuperExec and SuperLink together, both real; only the simulation is a program of the test's."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.support.apps import write_app
from tests.support.superexec import LIMIT, superexec, wait_until_gone
from umbel.bundle import build_fab
from umbel.wire.api import StartRun
from umbel.wire.connection import read_record, token_path
from umbel.wire.control import ControlClient

BEGIN = """
import os, pathlib, signal, sys
from umbel.wire.api import FinishTask
from umbel.wire.programs import RuntimeClient
client, task_id = RuntimeClient(sys.argv[2], os.environ["UMBEL_TASK_TOKEN"]), int(sys.argv[4])
given = client.input(task_id)
scratch = pathlib.Path(os.environ["UMBEL_HOME"], "runs", str(given.run.run_id))
"""
DIES_ONCE = """
if given.attempt == 1:
    (scratch / "state").write_text("of the first attempt")
    os.kill(os.getpid(), signal.SIGKILL)
print("found the state", (scratch / "state").read_text())
client.finish(task_id, FinishTask(outcome="completed"))
"""
HANGS = """
print("process", os.getpid())
signal.pause()
"""


@pytest.fixture
def control(umbel_home: Path) -> Iterator[ControlClient]:
    """A SuperLink that leaves its SuperExec to us."""
    ready, write = os.pipe()
    command = [sys.executable, "-m", "umbel.superlink.server.main", "--simulation", "--isolation", "process"]
    command += ["--ready-fd", str(write)]
    environ = {**os.environ, "UMBEL_EXECUTOR_TOKEN": "executor"}
    with subprocess.Popen(command, env=environ, pass_fds=(write,)) as process, os.fdopen(ready, "rb") as lines:
        os.close(write)
        assert lines.readline()
        record = read_record(umbel_home)
        assert record is not None
        yield ControlClient(record.address, token_path().read_text())
        process.terminate()
        process.wait(LIMIT)


def start(control: ControlClient, tmp_path: Path) -> int:
    """Start a run."""
    fab_hash = control.put_object(build_fab(write_app(tmp_path / "app")).data)
    return control.start_run(StartRun(fab_hash=fab_hash)).run_id


def wait_until_over(control: ControlClient, run_id: int) -> None:
    """Wait for the end of a run's stream."""
    for _ in control.stream(run_id, kinds=["event"]):
        pass


def test_a_killed_process_is_started_again_beside_its_files(
    control: ControlClient, tmp_path: Path, umbel_home: Path
) -> None:
    """The second attempt finds what the first one wrote; when the run is over, it is removed."""
    program = tmp_path / "program.py"
    program.write_text(BEGIN + DIES_ONCE)
    with superexec(control.address, program) as executor:
        run_id = start(control, tmp_path)
        assert executor.line(f"[run {run_id}] found the state") == "of the first attempt"
        wait_until_over(control, run_id)
        run = control.get_run(run_id)
        assert (run.sub_status, run.attempts) == ("completed", 2)
        assert executor.line("[superexec] Removed the files of run ") == f"{run_id}."
    assert list((umbel_home / "runs").iterdir()) == []


def test_a_stopped_run_ends_its_process(control: ControlClient, tmp_path: Path, umbel_home: Path) -> None:
    """Stopping a run ends its process, whatever that was doing."""
    program = tmp_path / "program.py"
    program.write_text(BEGIN + HANGS)
    with superexec(control.address, program) as executor:
        run_id = start(control, tmp_path)
        process = psutil.Process(int(executor.line(f"[run {run_id}] process ")))
        assert control.stop_run(run_id).sub_status == "stopped"
        wait_until_gone([process])
        assert executor.line("[superexec] Removed the files of run ") == f"{run_id}."
    assert list((umbel_home / "runs").iterdir()) == []
