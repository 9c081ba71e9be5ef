"""Runs on real sites, from start to end, whichever process is killed on the way."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.federation import LIMIT
from tests.support.sites import APP, Sites, federation

UMBEL = [sys.executable, "-c", "from umbel.cli.main import main; main()"]


@pytest.fixture
def sites(umbel_home: Path) -> Iterator[Sites]:
    """Two sites."""
    with federation(umbel_home) as running:
        yield running


@pytest.mark.parametrize("loop", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_a_killed_serverapp_goes_on_where_it_was(sites: Sites, tmp_path: Path, loop: bool) -> None:
    """In the middle of its second round, with a strategy and with a loop of the app's own: no client trains again, and the model is
    bit for bit that of a run that no one disturbed.
    """
    undisturbed = sites.start_app(loop=loop)
    run = sites.wait(undisturbed)
    assert (run.sub_status, run.attempts, run.cause) == ("completed", 1, None)
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    run_id = sites.start_app(loop=loop, gate=str(gate))
    with gate.open("w") as held:  # opens when a client has come to it
        sites.processes("serverapp")[0].kill()
        opened = tmp_path / "opened"
        opened.touch()
        opened.replace(gate)  # later arrivals are not held, and find a file at every moment
        held.close()
    run = sites.wait(run_id)
    assert (run.sub_status, run.attempts, run.cause) == ("completed", 2, None)
    sites.resize(0)  # a node sends its last lines before it ends, and perhaps no sooner
    trained = sorted(sites.lines(run_id, "clientapp"))
    assert trained == sorted(2 * [f"trained {number} times" for number in (1, 2, 3)])
    assert sites.model(run_id) == sites.model(undisturbed)


@pytest.mark.slow
def test_a_large_model_goes_both_ways(sites: Sites) -> None:
    """One of several chunks, through the object store and files, which its nodes answer with one as large."""
    run_id = sites.start_app(size=3_000_000)
    run = sites.wait(run_id)
    assert (run.sub_status, run.cause) == ("completed", None)
    assert run.bytes_sent > 2 * 3 * 12_000_000
    assert run.bytes_recv > 2 * 3 * 12_000_000
    artifact = next(a for a in sites.control.artifacts(run_id) if a.name == "model.safetensors")
    assert artifact.size > 12_000_000


def test_umbel_run_reaches_real_sites(sites: Sites) -> None:
    """By the name of a connection; what is for a simulation is refused."""
    sites.connection("field")
    command = [*UMBEL, "run", str(APP), "field", "--stream"]
    run = subprocess.run(command, capture_output=True, text=True, check=False, timeout=LIMIT)
    assert run.returncode == 0, run.stderr + run.stdout
    command += ["--federation-config", "num-supernodes=3"]
    refused = subprocess.run(command, capture_output=True, text=True, check=False, timeout=LIMIT)
    assert refused.returncode == 3
    assert "real sites" in refused.stderr


def test_a_serverapp_is_not_started_by_hand() -> None:
    """Its program says who starts it."""
    command = [sys.executable, "-m", "umbel.deployment.main", "--superlink", "http://127.0.0.1:1", "--task-id", "1"]
    run = subprocess.run(command, capture_output=True, text=True, check=False, timeout=LIMIT)
    assert run.returncode == 2
    assert "no task token: this program is started by a SuperExec. To run an app, use" in run.stderr
