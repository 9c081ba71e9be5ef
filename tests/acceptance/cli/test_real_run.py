"""`umbel` with everything behind it: the local SuperLink, its SuperExec and a simulation."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.acceptance.cli.conftest import Umbel
from tests.support.homes import works_in

SERVER = """\
from umbel.app import ArrayRecord, Context
from umbel.serverapp import Grid, ServerApp
from umbel.serverapp.strategy import FedAvg
import numpy as np

app = ServerApp()


@app.main()
def main(grid: Grid, context: Context) -> None:
    strategy = FedAvg(fraction_evaluate=0.0)
    rounds = context.run_config["num-server-rounds"]
    if context.run_config["fail"]:
        raise ValueError("bad batch")
    strategy.start(grid=grid, initial_arrays=ArrayRecord([np.zeros(3)]), num_rounds=rounds)
"""
CLIENT = """\
import os
import numpy as np
from umbel.app import ArrayRecord, Context, Message, MetricRecord, RecordDict
from umbel.clientapp import ClientApp

app = ClientApp()


@app.train()
def train(msg: Message, context: Context) -> Message:
    # This client continues when the other end of the pipe is opened.
    if context.run_config["gate"]:
        open(context.run_config["gate"]).read()
    arrays = [array + 1 for array in msg.content["arrays"].to_numpy_ndarrays()]
    metrics = {"loss": 0.5, "num-examples": 1}
    content = RecordDict({"arrays": ArrayRecord(arrays), "metrics": MetricRecord(metrics)})
    return Message(content=content, reply_to=msg)
"""
CONFIG = 'num-server-rounds = 2\ngate = ""\nfail = false\n\n[tool.umbel.app.federation]\nnum-supernodes = 2\n'


@pytest.fixture
def app(app: Path) -> Path:
    """An app of two clients that can be held, and can fail."""
    (app / "tiny" / "server_app.py").write_text(SERVER)
    (app / "tiny" / "client_app.py").write_text(CLIENT)
    text = (app / "pyproject.toml").read_text()
    (app / "pyproject.toml").write_text(text.replace("num-server-rounds = 2\n", CONFIG))
    return app


def simulations(umbel: Umbel) -> Iterator[psutil.Process]:
    """The processes that work for a run of this home."""
    for process in psutil.process_iter():
        if works_in(process, umbel.home):
            try:
                if any(word.startswith(("umbel.simulation", "umbel.engine")) for word in process.cmdline()):
                    yield process
            except psutil.Error:
                continue


def assert_all_stopped(umbel: Umbel) -> None:
    """Every run of this home is recorded as stopped, and no process still works for one."""
    _, alive = psutil.wait_procs(list(simulations(umbel)), timeout=20)
    assert not alive
    assert {run["status"] for run in umbel.json("list")["runs"]} <= {"finished:stopped"}


def read_until(process: subprocess.Popen[str], text: str) -> str:
    """What the program writes up to the line with this text."""
    assert process.stdout is not None
    seen = ""
    for line in process.stdout:
        seen += line
        if text in line:
            return seen
    raise AssertionError(f"{text!r} never came:\n{seen}\n{process.stderr.read() if process.stderr else ''}")


def test_a_run_from_nothing_to_its_results(umbel: Umbel, app: Path) -> None:
    """With an empty home: run, list, log, pull."""
    run = umbel("run", app)
    assert "round 2/2  2 clients" in run.stdout
    assert "completed in" in run.stdout
    (row,) = umbel.json("list")["runs"]
    assert (row["status"], row["round"], row["num-rounds"]) == ("finished:completed", 2, 2)
    assert "serverapp" in umbel("log", "last", "--show").stdout
    files = {file["name"] for file in umbel.json("pull", "last", "--output", "out")["files"]}
    assert {"model.safetensors", "metrics.json", "metrics.csv", "metrics.html", "metrics.png"} <= files
    document = json.loads((umbel.folder / "out" / "metrics.json").read_text())
    assert {"round": 2, "phase": "train", "node": None, "key": "loss", "value": 0.5} in document["metrics"]


def test_ctrl_c_before_anything_is_started(umbel: Umbel, app: Path) -> None:
    """While the connections are being read: one line, and no SuperLink."""
    os.mkfifo(umbel.home / "config.toml")
    process = umbel.start("run", app)
    with (umbel.home / "config.toml").open("w"):  # opens when the program has come to read it
        process.send_signal(signal.SIGINT)
    assert process.communicate(timeout=30) == ("", "Interrupted before a run was started.\n")
    assert process.returncode == 130
    assert not (umbel.home / "local").exists()


def test_ctrl_c_while_the_superlink_starts(umbel: Umbel, app: Path) -> None:
    """The SuperLink may stay, for it serves others too; no run is started."""
    log = umbel.home / "local" / "superlink.log"
    log.parent.mkdir(mode=0o700)
    os.mkfifo(log)
    process = umbel.start("run", app)
    with log.open("rb"):  # opens when the program opens its end for the SuperLink
        process.send_signal(signal.SIGINT)
        assert process.communicate(timeout=30) == ("", "Interrupted before a run was started.\n")
        assert process.returncode == 130
        log.unlink()
        assert_all_stopped(umbel)


def test_ctrl_c_as_soon_as_the_run_is_there(umbel: Umbel, app: Path) -> None:
    """The header is the first sign of it; the run is stopped before it has worked."""
    process = umbel.start("run", app)
    read_until(process, "seed 0")
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=30)
    assert process.returncode == 130
    assert stderr.count("\n") == 1
    assert "has been stopped" in stderr
    assert_all_stopped(umbel)


def test_ctrl_c_in_the_middle_of_a_round(umbel: Umbel, app: Path, tmp_path: Path) -> None:
    """While its clients are held the run is stopped; no process of it is left."""
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    process = umbel.start("run", app, "-c", f'gate="{gate}"')
    read_until(process, "seed 0")
    with gate.open("w"):  # opens when a client has come to it
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 130
        assert_all_stopped(umbel)
    process.communicate()


def test_a_failing_app_explains_itself(umbel: Umbel, app: Path) -> None:
    """Exit code 20; the app's own line and exception are shown."""
    result = umbel("run", app, "-c", "fail=true", code=20)
    assert 'tiny/server_app.py", line ' in result.stderr
    assert "ValueError: bad batch" in result.stderr
    assert "umbel/simulation" not in result.stderr
    (row,) = umbel.json("list")["runs"]
    assert row["status"] == "finished:failed"


def test_two_runs_at_once_from_nothing(umbel: Umbel, app: Path) -> None:
    """Both find the one SuperLink that one of them starts, and both complete."""
    processes = [umbel.start("run", app, "--format", "json", "--stream", "--seed", str(seed)) for seed in (1, 2)]
    outputs = [process.communicate(timeout=50) for process in processes]
    assert [process.returncode for process in processes] == [0, 0], outputs
    payloads = [json.loads(stdout) for stdout, _ in outputs]
    assert {run["run-id"] for run in umbel.json("list")["runs"]} == {payload["run-id"] for payload in payloads}


def test_a_killed_superlink_is_started_again_and_the_run_completes(umbel: Umbel, app: Path, tmp_path: Path) -> None:
    """The command that follows the run says so, finds the new SuperLink, and sees the run to its end."""
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    process = umbel.start("run", app, "-c", f'gate="{gate}" num-server-rounds=1')
    read_until(process, "seed 0")
    with gate.open("w"):  # opens when a client has come to it
        os.kill(json.loads((umbel.home / "local" / "superlink.json").read_text())["pid"], signal.SIGKILL)
        gate.unlink()
        gate.touch()
    stdout, stderr = process.communicate(timeout=50)
    assert process.returncode == 0, stderr
    assert "Reconnecting; the run continues in the meantime." in stdout
    assert "completed" in stdout


def test_a_detached_run_can_be_followed_and_stopped(umbel: Umbel, app: Path, tmp_path: Path) -> None:
    """Run, log, Ctrl-C in the log, stop: only the last one ends the run."""
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    run_id = umbel.json("run", app, "-c", f'gate="{gate}"')["run-id"]
    log = umbel.start("log", str(run_id))
    with gate.open("w"):
        log.send_signal(signal.SIGINT)
        log.communicate(timeout=30)
        assert umbel.json("list", "--run-id", str(run_id))["runs"][0]["status"] == "running"
        assert umbel.json("stop", str(run_id))["success"] is True
        assert_all_stopped(umbel)
