"""Runs through a real local SuperLink, its SuperExec, a simulation and its workers."""

from __future__ import annotations

import os
from pathlib import Path

import psutil

from tests.support.simulation_runs import APP, LIMIT, changed, events, family, model, start, wait
from umbel.app import safetensors
from umbel.simulation import run_simulation
from umbel.wire.api import LogLine
from umbel.wire.control import ControlClient


def test_a_run_to_its_end(shared: ControlClient, tmp_path: Path) -> None:
    """Events of each round, metrics, logs attributed to node and round, and a model that run_simulation makes too."""
    run_id = start(shared, seed=7)
    run = wait(shared, run_id)
    assert (run.status, run.sub_status, run.round, run.num_rounds, run.attempts) == ("finished", "completed", 2, 2, 1)
    assert min(run.bytes_sent, run.bytes_recv) >= 2 * 6 * 400
    assert run.clientapp_seconds > 0
    kinds = [event.kind for event in events(shared, run_id) if event.kind.startswith("round-")]
    assert kinds == ["round-started", "round-finished"] * 2
    points = {(p.phase, p.round, p.node_id, p.key): p.value for p in shared.metrics(run_id)}
    assert [points["train", number, 5, "rounds"] for number in (1, 2)] == [0.0, 1.0]
    assert points["train", 2, None, "rounds"] == 1.0
    assert {number for phase, number, node, key in points if key == "noise"} == {0, 1, 2}
    assert_logs_are_attributed(list(shared.logs(run_id)))
    shared.download(model(shared, run_id), tmp_path / "model")
    arrays, _ = safetensors.decode((tmp_path / "model").read_bytes())
    assert arrays == run_simulation(APP, seed=7).arrays
    found = family(shared)
    _, alive = psutil.wait_procs([*found["simulation"], *found["worker"]], timeout=LIMIT)
    assert not alive


def assert_logs_are_attributed(lines: list[LogLine]) -> None:
    """Each client's line has its node and round; the ServerApp's lines have none and come first."""
    clients = {(line.node_id, line.round, line.text) for line in lines if line.source == "clientapp"}
    assert clients == {(node, number, f"trained {number} times") for node in range(2, 8) for number in (1, 2)}
    server = [line for line in lines if line.source == "serverapp"]
    assert (server[0].text, server[0].node_id, server[0].round) == ("the ServerApp begins", None, None)


def test_a_serverapp_that_raises(shared: ControlClient) -> None:
    """The run fails with the exception, the round and the app's own lines; what was printed last is in the log."""
    run_id = start(shared, raise_in_round=2)
    run = wait(shared, run_id)
    assert run.sub_status == "failed"
    assert run.cause is not None
    assert (run.cause.code, run.cause.exception, run.cause.round) == ("app-error", "ValueError", 2)
    assert run.cause.message == "ValueError: bad batch"
    assert run.cause.traceback is not None
    assert 'lab/server_app.py", line ' in run.cause.traceback.splitlines()[1]
    assert run.round == 1
    assert "no newline at the end" in [line.text for line in shared.logs(run_id)]


def test_a_clientapp_that_cannot_be_imported(shared: ControlClient, tmp_path: Path) -> None:
    """The run fails as a whole, with the traceback of the import."""
    app = changed(tmp_path / "app", "", "")
    client_app = app / "lab" / "client_app.py"
    client_app.write_text(
        "import nothing_of_that_name\n" + client_app.read_text().replace("from __future__ import annotations\n", "")
    )
    run = wait(shared, start(shared, app))
    assert run.sub_status == "failed"
    assert run.cause is not None
    assert run.cause.code == "app-load-failed"
    assert "nothing_of_that_name" in run.cause.message
    assert run.cause.traceback is not None
    assert 'lab/client_app.py", line 1' in run.cause.traceback.splitlines()[1]


def test_more_processors_than_there_are(shared: ControlClient) -> None:
    """The run fails before anything is served, and says what is missing."""
    asked = len(os.sched_getaffinity(0)) + 1
    run = wait(shared, start(shared, federation={"client-resources-num-cpus": asked}))
    assert run.cause is not None
    assert (run.sub_status, run.cause.code) == ("failed", "resources-missing")
    assert "CPUs, but this machine has" in run.cause.message


def test_a_run_that_is_stopped_while_clients_work(control: ControlClient, tmp_path: Path, umbel_home: Path) -> None:
    """It ends as stopped, its processes are gone, and so are its files."""
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    run_id = start(control, gate=str(gate))
    with gate.open("w"):  # opens when a client has come to it
        found = family(control)
        mine = [*found["simulation"], *found["worker"]]
        assert len(found["simulation"]) == 1
        assert found["worker"]
        run = control.stop_run(run_id)
        assert (run.status, run.sub_status) == ("finished", "stopped")
        _, alive = psutil.wait_procs(mine, timeout=LIMIT)
        assert not alive
    run = wait(control, run_id)
    assert run.cause is not None
    assert (run.sub_status, run.cause.code) == ("stopped", "run-stopped")
    again = wait(control, start(control))  # its slot is free, so the files of the first are gone
    assert again.sub_status == "completed"
    assert not (umbel_home / "runs" / str(run_id)).exists()


def test_the_second_of_two_runs_waits_and_says_so(control: ControlClient, tmp_path: Path) -> None:
    """One slot: the second waits for the first by name, then runs."""
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    first = start(control, gate=str(gate), num_server_rounds=1)
    with gate.open("w"):
        second = start(control)
        waiting = control.get_run(second)
        assert waiting.status == "pending"
        assert waiting.waiting_for == f"Waiting in the queue: run {first} is running (1 of 1 slots)."
        gate.unlink()
        gate.touch()  # later arrivals are not held
    assert wait(control, first).sub_status == "completed"
    run = wait(control, second)
    assert (run.sub_status, run.waiting_for) == ("completed", None)


def test_the_model_does_not_depend_on_who_serves(shared: ControlClient) -> None:
    """Inline and with one worker: the model and every metric, the ServerApp's own random numbers too, are those of two workers."""
    models, metrics = [], []
    settings: tuple[dict[str, object], ...] = ({}, {"backend": "inline"}, {"max-workers": 1})
    for federation in settings:
        run_id = start(shared, federation=federation)
        assert wait(shared, run_id).sub_status == "completed"
        models.append(model(shared, run_id))
        metrics.append(sorted((p.phase, p.round, p.node_id or 0, p.key, p.value) for p in shared.metrics(run_id)))
    assert models[0] == models[1] == models[2]
    assert metrics[0] == metrics[1] == metrics[2]
