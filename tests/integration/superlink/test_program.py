"""The program `umbel-superlink`, as a real process."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import stat
from pathlib import Path
from urllib.parse import urlsplit

import psutil
import pytest

from tests.support.apps import write_app
from tests.support.superlink_process import EXECUTOR, Program, program
from umbel.bundle import build_fab
from umbel.errors import Unauthenticated
from umbel.superlink.server import main
from umbel.superlink.server.home import Home
from umbel.wire.api import FinishTask, LogLine, Report, StartRun, TaskExited
from umbel.wire.control import ControlClient

WANTED = ("exec", ["simulation"])


def start(running: Program, tmp_path: Path) -> int:
    """Start a run of a small app."""
    client = running.control()
    fab = build_fab(write_app(tmp_path / "app"))
    return client.start_run(StartRun(fab_hash=client.put_object(fab.data))).run_id


def test_its_files_are_its_owners_alone(umbel_home: Path) -> None:
    """Directory 0700, token and address file 0600; the address file is gone after a good end."""
    with program(umbel_home) as running:
        assert running.control().info().pid == running.process.pid == running.info["pid"]
        local = umbel_home / "local"
        modes = {name: stat.S_IMODE((local / name).stat().st_mode) for name in ("token", "superlink.json")}
        assert modes == {"token": 0o600, "superlink.json": 0o600}
        assert stat.S_IMODE(local.stat().st_mode) == 0o700
    assert not (local / "superlink.json").exists()


def test_no_secret_is_in_its_command_line(umbel_home: Path) -> None:
    """Neither the user's nor the SuperExec's token can be read in the list of processes."""
    with program(umbel_home, superexec=PATIENT) as running:
        token = (umbel_home / "local" / "token").read_text()
        family = [psutil.Process(running.process.pid), *psutil.Process(running.process.pid).children(recursive=True)]
        words = " ".join(" ".join(process.cmdline()) for process in family)
        assert token not in words
        assert "executor-token" not in words


def test_a_killed_superlink_loses_nothing(umbel_home: Path, tmp_path: Path) -> None:
    """After SIGKILL and a new start the run, its items and its objects are there, and its task is handed out again."""
    with program(umbel_home) as first:
        run_id = start(first, tmp_path)
        task = first.executor().claim(*WANTED)
        assert task is not None
        process = first.of_task(task)
        process.input(task.task_id)
        for seq in range(1, 21):
            process.report(task.task_id, Report(seq=seq, logs=[LogLine(text=str(seq))]))
        first.kill()
    with program(umbel_home) as second:
        client = second.control()
        assert [line.text for line in client.logs(run_id)] == [str(number) for number in range(1, 21)]
        view = client.get_run(run_id)
        assert (view.status, view.attempts) == ("running", 1)
        # The process lives on: its SuperExec is not the SuperLink's child. It continues where it was.
        process = second.of_task(task)
        process.report(task.task_id, Report(seq=20, logs=[LogLine(text="20")]))
        process.report(task.task_id, Report(seq=21, logs=[LogLine(text="21")]))
        # Then it dies, and the next one takes over.
        second.executor().exited(task.task_id, TaskExited(returncode=-9, attempt=1))
        again = second.executor().claim(*WANTED)
        assert again is not None
        assert again.attempt == 2
        process = second.of_task(again)
        process.input(again.task_id)
        process.finish(again.task_id, FinishTask(outcome="completed"))
        items = list(client.stream(run_id))
        assert [item.log.text for item in items if item.log] == [str(number) for number in range(1, 22)]
        assert client.get_run(run_id).sub_status == "completed"


@pytest.mark.slow
def test_a_new_start_takes_back_what_its_own_superexec_held(umbel_home: Path, tmp_path: Path) -> None:
    """What the SuperExec of a SuperLink that was killed had is handed out at once, and counts no loss."""
    with program(umbel_home, superexec=PATIENT) as first:
        run_id = start(first, tmp_path)
        assert first.executor().claim(*WANTED) is not None
        first.kill()
    with program(umbel_home, superexec=PATIENT) as second:
        view = second.control().get_run(run_id)
        assert (view.status, view.attempts) == ("starting", 1)
        assert view.waiting_for == "Waiting for a SuperExec to connect: none has asked for work yet."
        again = second.executor().claim(*WANTED)
        assert again is not None
        assert again.attempt == 2


def test_its_superexec_gets_what_it_needs_and_is_started_again(umbel_home: Path) -> None:
    """The child has the address, the home and the token; killed, it comes again; it ends with its SuperLink."""
    with program(umbel_home, superexec=CALLER) as running:
        first = pid_of_caller(running)
        os.kill(first, signal.SIGKILL)
        second = pid_of_caller(running, but=first)
        child = psutil.Process(second)
        assert child.environ()["UMBEL_HOME"] == str(umbel_home)
        running.terminate()
        assert not child.is_running()


def test_its_superexec_ends_when_it_is_killed(umbel_home: Path) -> None:
    """The pipe on the child's stdin closes with the SuperLink, however that ends."""
    with program(umbel_home, superexec=PATIENT) as running:
        (child,) = psutil.Process(running.process.pid).children()
        running.kill()
        child.wait(10)
        assert not child.is_running()


def test_two_homes_live_side_by_side(umbel_home: Path, tmp_path: Path) -> None:
    """Each home has its own SuperLink, token and runs."""
    with program(umbel_home) as one, program(umbel_home / "other") as two:
        run_id = start(one, tmp_path)
        assert [run.run_id for run in one.control().list_runs()] == [run_id]
        assert two.control().list_runs() == []
        with pytest.raises(Unauthenticated):
            ControlClient(two.address, (umbel_home / "local" / "token").read_text()).info()


def test_a_home_has_one_superlink(umbel_home: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """A second one on the same home says where the first answers, and ends well."""
    second = ["--home", str(umbel_home), "--isolation", "process"]
    with program(umbel_home) as running:
        assert main.main(second) == 0
        assert f"already serves {umbel_home} at {running.address}" in capfd.readouterr().out
    lock = Home(umbel_home).take_lock()
    assert lock is not None
    with lock:
        assert main.main(second) == 8
    assert "and does not respond" in capfd.readouterr().err


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_ends_in_good_order(umbel_home: Path, number: signal.Signals) -> None:
    """A signal ends it at once although a long-poll waits, and the long-poll is answered."""
    with program(umbel_home) as running:
        address = urlsplit(running.address)
        connection = http.client.HTTPConnection(str(address.hostname), address.port)
        body = json.dumps({"executor": "exec", "kinds": ["simulation"]})
        headers = {"Authorization": f"Bearer {EXECUTOR}"}
        for wait in (0, 30):  # the first is answered when the server is up, the second waits
            connection.request("POST", f"/api/runtime/tasks/claim?wait={wait}", body, headers)
            if not wait:
                connection.getresponse().read()
        running.process.send_signal(number)
        assert connection.getresponse().status == 204
        connection.close()
        running.process.communicate(timeout=10)
        assert running.process.returncode == 0


def test_it_ends_itself_when_idle(umbel_home: Path, tmp_path: Path) -> None:
    """Without requests and unfinished runs it ends after the time given, long-polls or not; a run keeps it alive."""
    with program(umbel_home, "--idle-exit", "0.5") as running:
        run_id = start(running, tmp_path)
        task = running.executor().claim(*WANTED)
        assert task is not None
        assert running.executor().claim(*WANTED, wait=1.0) is None
        process = running.of_task(task)
        process.input(task.task_id)
        process.finish(task.task_id, FinishTask(outcome="completed"))
        assert running.control().get_run(run_id).status == "finished"
        assert running.executor().claim(*WANTED, wait=10) is None
        running.process.communicate(timeout=10)
        assert running.process.returncode == 0


@pytest.mark.parametrize(
    ("options", "code", "words"),
    [
        (["--host", "0.0.0.0"], 3, "can be reached from other machines, so TLS is required"),
        (["--port", "many"], 2, "invalid int value"),
        (["--isolation", "none"], 2, "invalid choice"),
    ],
)
def test_bad_options_are_refused(
    umbel_home: Path, capfd: pytest.CaptureFixture[str], options: list[str], code: int, words: str
) -> None:
    """A wrong option ends with a message and the exit code of its error, before anything is written."""
    assert main.main(options) == code
    assert words in capfd.readouterr().err
    assert list(umbel_home.iterdir()) == []


def test_a_port_that_is_taken(umbel_home: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """A port that another program has is a clear error."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        assert main.main(["--port", str(other.getsockname()[1])]) == 3
    assert "Cannot listen" in capfd.readouterr().err


def test_its_log_goes_to_a_file(umbel_home: Path) -> None:
    """With --log-file all that it and its SuperExec write goes there."""
    log = umbel_home / "local" / "superlink.log"
    with program(umbel_home, "--log-file", str(log), superexec="print('from the child', flush=True)") as running:
        running.control().info()
        assert running.terminate() == ""
    assert "from the child" in log.read_text()
    assert "The SuperExec ended" in log.read_text()


def pid_of_caller(running: Program, but: int = 0) -> int:
    """The pid that the stub of a SuperExec gives as its name, once another one than `but` asks."""
    client = running.control()
    while True:
        fab = client.put_object(build_fab(write_app(running.home / "app")).data)
        run = client.start_run(StartRun(fab_hash=fab))
        events = [item.event.data for item in client.stream(run.run_id) if item.event and item.event.kind == "task"]
        pid = int(str(events[1]["reason"]).removeprefix("claimed by "))
        if pid != but:
            return pid


PATIENT = "import sys; sys.stdin.read()"
CALLER = """
import os, sys, threading
from umbel.wire.programs import RuntimeClient
from umbel.wire.api import FinishTask
def serve():
    client = RuntimeClient(sys.argv[1], os.environ["UMBEL_EXECUTOR_TOKEN"])
    while True:
        task = client.claim(str(os.getpid()), ["simulation"])
        if task:
            process = RuntimeClient(sys.argv[1], task.token)
            process.input(task.task_id)
            process.finish(task.task_id, FinishTask(outcome="completed"))
threading.Thread(target=serve, daemon=True).start()
sys.stdin.read()
"""
