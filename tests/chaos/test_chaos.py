"""A run whose processes are killed completes, with the model of an undisturbed run."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.chaos.killing import CLIENTS, ROUNDS, disturbed, undisturbed
from tests.support.simulation_runs import LIMIT, events, family, model, start, wait
from umbel.cli.local import connect_local
from umbel.wire.control import ControlClient

SEEDS = range(int(os.environ.get("CHAOS_SEEDS", "1")))  # more of them with dev/chaos.sh

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


@pytest.fixture
def control(umbel_home: Path) -> Iterator[ControlClient]:
    """A client of the SuperLink of the test's home."""
    client = connect_local()
    yield client
    client.close()


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize(
    "victims",
    [
        ["simulation"],
        ["superexec"],
        ["superlink"],
        ["simulation", "superexec", "superlink", "simulation", "superexec", "superlink"],
    ],
    ids=["simulation", "superexec", "superlink", "all"],
)
def test_a_run_is_never_lost(control: ControlClient, victims: list[str], seed: int) -> None:
    """Killed at any moment and restarted: the run continues and its model is the same, bit for bit."""
    run, killed = disturbed(control, seed, victims)
    said = "\n".join([*killed, str(run.cause)])
    assert (run.status, run.sub_status, run.round) == ("finished", "completed", ROUNDS), said
    assert model(control, run.run_id) == undisturbed(seed), said
    assert not [event for event in events(control, run.run_id) if event.kind == "reply-dropped"], said


@pytest.mark.parametrize("seed", SEEDS)
def test_a_worker_that_is_killed_costs_one_reply_at_most(control: ControlClient, seed: int) -> None:
    """At any moment: the run continues, and unless the worker was serving a client then, nothing has changed."""
    run, killed = disturbed(control, seed, ["worker"])
    said = "\n".join([*killed, str(run.cause)])
    assert (run.sub_status, run.round, run.attempts) == ("completed", ROUNDS, 1), said
    told = events(control, run.run_id)
    dropped = [event.data for event in told if event.kind == "reply-dropped"]
    failed = [event.data["failed"] for event in told if event.kind == "round-finished"]
    assert sum(map(int, map(str, failed))) == len(dropped) <= len(killed), said
    assert (model(control, run.run_id) == undisturbed(seed)) == (not dropped), said


def test_a_worker_that_is_killed_while_it_serves_costs_its_client_one_reply(
    control: ControlClient, tmp_path: Path
) -> None:
    """Exactly one reply is an error, that names what happened; the client is back in the next round."""
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    run_id = start(control, gate=str(gate))
    with gate.open("w"):  # opens when a client has come to it
        victim = next(process for process in family(control)["worker"] if gate_is_open(process, gate))
        victim.kill()
        psutil.wait_procs([victim], timeout=LIMIT)
        gate.unlink()
        gate.touch()  # later clients are not held
    run = wait(control, run_id)
    told = events(control, run_id)
    assert run.sub_status == "completed"
    (dropped,) = [event.data for event in told if event.kind == "reply-dropped"]
    assert dropped["round"] == 1
    assert "SIGKILL" in str(dropped["reason"])
    assert [event.data["failed"] for event in told if event.kind == "round-finished"] == [1, 0]
    assert [event.data["clients"] for event in told if event.kind == "round-started"] == [CLIENTS, CLIENTS]


def gate_is_open(process: psutil.Process, gate: Path) -> bool:
    """Whether a process has opened the gate and waits in it."""
    return any(os.path.realpath(link) == str(gate) for link in Path(f"/proc/{process.pid}/fd").iterdir())
