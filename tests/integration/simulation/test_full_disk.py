"""The SuperLink's disk is full: a run waits for room and says so, and what was stored stays."""

from __future__ import annotations

import json
import os
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.simulation_runs import LIMIT, events, model, start, wait
from umbel.cli import local
from umbel.wire.control import ControlClient

# The disk is full for objects, or for the database, while a file says so. A refusal is told through a FIFO, if there is one.
SUPERLINK = """
import errno, os, sqlite3, sys
from pathlib import Path
from sqlalchemy import Engine, event
from sqlalchemy.exc import OperationalError
from umbel.superlink.server import main
from umbel.superlink.objects import directory

HOME = Path(os.environ["UMBEL_HOME"])

def is_full(what):
    if not (HOME / f"{what}-full").exists():
        return False
    if (HOME / "refused").exists():
        (HOME / "refused").unlink()
        (HOME / "told").open("w").close()
    return True

def write_all(file, data, then=directory.write_all):
    if is_full("objects"):
        raise OSError(errno.ENOSPC, "No space left on device")
    then(file, data)

def full_database(connection, cursor, statement, parameters, context, many):
    if statement.startswith(("INSERT", "UPDATE")) and is_full("database"):
        error = sqlite3.OperationalError("database or disk is full")
        error.sqlite_errorcode = sqlite3.SQLITE_FULL
        raise OperationalError(statement, parameters, error)

directory.write_all = write_all
event.listen(Engine, "before_cursor_execute", full_database)
main.command = lambda address, **_: [sys.executable, "-c", SUPEREXEC, "--superlink", address]
sys.exit(main.main())
"""
SUPEREXEC = """
import sys
from umbel.superexec.main import main
sys.exit(main(None, [sys.executable, "-c", SIMULATION]))
"""
SIMULATION = """
import sys, time
from umbel.engine import client_state
from umbel.simulation import main
client_state.RetryWhileDiskFull.__init__.__defaults__ = (SECONDS, 0.05, time.monotonic)
sys.exit(main.main())
"""


def program(seconds: float) -> tuple[str, ...]:
    """A SuperLink whose disk can be full, and whose simulations wait so long for room."""
    simulation = SIMULATION.replace("SECONDS", str(seconds))
    superexec = SUPEREXEC.replace("SIMULATION", json.dumps(simulation))
    return (sys.executable, "-c", SUPERLINK.replace("SUPEREXEC", json.dumps(superexec)))


@pytest.fixture
def control(
    umbel_home: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> Iterator[ControlClient]:
    """A client of that SuperLink; its simulations wait a minute unless a test says otherwise."""
    monkeypatch.setattr(local, "PROGRAM", program(getattr(request, "param", 60.0)))
    client = local.connect_local()
    yield client
    client.close()


def wait_for_refusal(home: Path) -> None:
    """Return when the full disk is met."""
    reading = threading.Thread(target=lambda: (home / "told").open().close())
    os.mkfifo(home / "told")
    reading.start()
    os.link(home / "told", home / "refused")
    reading.join(LIMIT)
    assert not reading.is_alive()
    (home / "told").unlink()


@pytest.mark.slow
def test_a_run_waits_for_room_for_its_model(control: ControlClient, umbel_home: Path) -> None:
    """Its status says so; it completes when there is room, and what was stored before is whole."""
    before = start(control, seed=1)
    assert wait(control, before).sub_status == "completed"
    (umbel_home / "objects-full").touch()
    run_id = start(control, seed=2)
    wait_for_refusal(umbel_home)
    stream = control.stream(run_id, kinds=["event"])
    next(item for item in stream if item.event and item.event.kind == "waiting" and item.event.data["for"])
    waiting = control.get_run(run_id)
    assert waiting.status == "running"
    assert "space on the SuperLink's disk: model.safetensors cannot be stored" in str(waiting.waiting_for)
    (umbel_home / "objects-full").unlink()
    run = wait(control, run_id)
    assert (run.sub_status, run.attempts, run.waiting_for) == ("completed", 1, None)
    for number, each in enumerate((before, run_id)):
        control.download(model(control, each), umbel_home / f"model{number}")


@pytest.mark.parametrize("control", [0.2], indirect=True)
def test_a_run_that_finds_no_room_fails_with_the_reason(control: ControlClient, umbel_home: Path) -> None:
    """When its patience is over; what was stored before is whole, and the next run completes."""
    before = start(control, seed=1)
    assert wait(control, before).sub_status == "completed"
    (umbel_home / "objects-full").touch()
    run = wait(control, start(control, seed=2))
    assert run.cause is not None
    assert (run.sub_status, run.cause.code, run.cause.component) == ("failed", "storage-full", "simulation")
    assert "Free some space" in str(run.cause.hint)
    assert run.round == 2
    control.download(model(control, before), umbel_home / "model")
    (umbel_home / "objects-full").unlink()
    assert wait(control, start(control, seed=2)).sub_status == "completed"


@pytest.mark.slow
def test_a_run_waits_for_room_in_the_database(control: ControlClient, umbel_home: Path, tmp_path: Path) -> None:
    """At any of its steps, the last one too; every line arrives once."""
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    run_id = start(control, gate=str(gate))
    with gate.open("w"):  # opens when a client has come to it
        (umbel_home / "database-full").touch()
        gate.unlink()
        gate.touch()  # later arrivals are not held
    wait_for_refusal(umbel_home)
    wait_for_refusal(umbel_home)
    assert "its database has been full since" in str(control.get_run(run_id).waiting_for)
    (umbel_home / "database-full").unlink()
    run = wait(control, run_id)
    assert (run.sub_status, run.attempts) == ("completed", 1)
    texts = sorted(line.text for line in control.logs(run_id) if line.source == "clientapp")
    assert texts == ["trained 1 times"] * 6 + ["trained 2 times"] * 6
    kinds = [event.kind for event in events(control, run_id) if event.kind.startswith("round-")]
    assert kinds == ["round-started", "round-finished"] * 2


def test_a_task_waits_for_room_before_it_begins(control: ControlClient, umbel_home: Path) -> None:
    """With the database full between the claim and the input, nothing is lost either."""
    run_id = start(control)
    (umbel_home / "database-full").touch()
    wait_for_refusal(umbel_home)
    (umbel_home / "database-full").unlink()
    assert wait(control, run_id).sub_status == "completed"
