"""A SuperLink that is started again while its SuperExec and their simulation live on."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.simulation_runs import LIMIT, events, family, start, wait
from tests.support.superlink_process import EXECUTOR, program
from umbel.wire.control import ControlClient


@contextmanager
def superexec(address: str) -> Iterator[subprocess.Popen[bytes]]:
    """A separate SuperExec, which ends with the test."""
    command = [sys.executable, "-m", "umbel.superexec.main", "--superlink", address]
    environ = {**os.environ, "UMBEL_EXECUTOR_TOKEN": EXECUTOR}
    with subprocess.Popen(command, env=environ, stdin=subprocess.PIPE) as process:
        try:
            yield process
        finally:
            process.terminate()
            process.wait(LIMIT)


@pytest.mark.slow
def test_a_simulation_outlives_its_superlink(umbel_home: Path, tmp_path: Path) -> None:
    """It finds the new one at its new address and continues; no attempt is lost, and nothing of what it said."""
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    with program(umbel_home) as first, superexec(first.address):
        run_id = start(first.control(), gate=str(gate))
        with gate.open("w") as held:  # opens when a client has come to it
            first.kill()
            with program(umbel_home) as second:
                gate.unlink()
                gate.touch()  # later arrivals are not held
                held.close()
                control = second.control()
                run = wait(control, run_id)
                assert (run.sub_status, run.attempts, run.round) == ("completed", 1, 2)
                texts = sorted(line.text for line in control.logs(run_id) if line.source == "clientapp")
                assert texts == ["trained 1 times"] * 6 + ["trained 2 times"] * 6


@pytest.mark.slow
def test_a_superexec_that_dies_costs_no_attempt(control: ControlClient, tmp_path: Path) -> None:
    """Its run is handed out again at once, and says why; it was not the run's own doing."""
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    run_id = start(control, gate=str(gate))
    with gate.open("w") as held:  # opens when a client has come to it
        family(control)["superexec"][0].kill()
        gate.unlink()
        gate.touch()  # later arrivals are not held
        held.close()
    run = wait(control, run_id)
    assert (run.sub_status, run.attempts) == ("completed", 2)
    told = [
        event.data for event in events(control, run_id) if event.kind == "task" and event.data["state"] == "created"
    ]
    assert [data["reason"] for data in told] == ["for the run", "its SuperExec died"]
