"""Finding or starting the local SuperLink, with the real one."""

from __future__ import annotations

import fcntl
import os
import signal
import stat
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import msgspec
import psutil
import pytest

from tests.support.homes import end_superlink
from tests.support.http_peer import Answer, Call, answering, json_answer
from tests.support.superexec import LIMIT, wait_until_gone
from umbel import __version__
from umbel.cli import local
from umbel.cli.local import connect_local
from umbel.errors import Conflict, SuperLinkUnreachable
from umbel.wire.api import BundleInfo, RunView
from umbel.wire.connection import LocalSuperLink, read_record, record_path, token_path
from umbel.wire.control import ControlClient

CONNECT = "from umbel.cli.local import connect_local; print(connect_local().info().pid)"


def running() -> LocalSuperLink:
    """The SuperLink that runs for the test's home."""
    record = read_record()
    assert record is not None
    return record


def record(address: str, pid: int, version: str = __version__) -> None:
    """Say that a SuperLink runs."""
    record_path().parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    record_path().write_bytes(msgspec.json.encode(LocalSuperLink(address, pid, version)))


@pytest.fixture
def other_home(umbel_home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A second home, with a SuperLink that runs in it."""
    with tempfile.TemporaryDirectory(prefix="umbel-", dir="/tmp") as name:
        monkeypatch.setenv("UMBEL_HOME", name)
        connect_local()
        monkeypatch.setenv("UMBEL_HOME", str(umbel_home))
        yield Path(name)
        end_superlink(Path(name))


def test_the_local_superlink_is_started_once(umbel_home: Path) -> None:
    """The first use starts a SuperLink in a separate session; later ones, from any process, find it."""
    first = connect_local().info()
    assert first.pid == running().pid
    assert first.version == __version__
    assert os.getsid(first.pid) == first.pid
    assert connect_local().info().pid == first.pid
    other = subprocess.run([sys.executable, "-c", CONNECT], capture_output=True, text=True, check=True, timeout=LIMIT)
    assert int(other.stdout) == first.pid
    modes = {
        path.name: stat.S_IMODE(path.stat().st_mode) for path in (umbel_home / "local", token_path(), record_path())
    }
    assert modes == {"local": 0o700, "token": 0o600, "superlink.json": 0o600}


def test_two_at_once_start_one_superlink() -> None:
    """Of two processes that need a SuperLink at the same moment one starts it, and the other waits for it."""
    command = [sys.executable, "-c", CONNECT]
    processes = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    pids = [process.communicate(timeout=LIMIT)[0].strip() for process in processes]
    assert pids == [str(running().pid)] * 2


@pytest.mark.slow
def test_after_a_crash_another_one_is_started() -> None:
    """A SuperLink that was killed takes its SuperExec with it; the next use starts a new one on the same home."""
    first = psutil.Process(connect_local().info().pid)
    (superexec,) = first.children()
    first.kill()
    wait_until_gone([superexec])
    again = connect_local()
    assert again.info().pid != first.pid
    assert again.list_runs() == []


@pytest.mark.slow
def test_two_homes_never_meet(other_home: Path) -> None:
    """Each home has its own SuperLink, though a record points to the other's port."""
    theirs = read_record(other_home)
    assert theirs is not None
    record(theirs.address, os.getpid())
    mine = connect_local().info()
    assert mine.pid == running().pid != theirs.pid
    assert running().address != theirs.address


def test_a_record_whose_process_is_gone_is_ignored() -> None:
    """A record of a process that is gone, or of another program's process, does not stand in the way."""
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    record("http://127.0.0.1:1", gone.pid)
    assert read_record() is None
    record("http://127.0.0.1:1", os.getpid())
    assert connect_local().info().pid == running().pid != os.getpid()


def test_one_that_is_starting_is_waited_for() -> None:
    """A SuperLink that has bound its port and does not answer yet is waited for, not started again."""
    ready = threading.Event()

    def answer(_: Call) -> Answer:
        ready.wait(LIMIT)
        return json_answer({"pid": os.getpid(), "version": __version__})

    with answering(answer) as server:
        record(server.address, os.getpid())
        clients: list[ControlClient] = []
        thread = threading.Thread(target=lambda: clients.append(connect_local()))
        thread.start()
        assert thread.is_alive()
        ready.set()
        thread.join(LIMIT)
    assert [client.address for client in clients] == [server.address]


def test_one_that_is_ending_is_waited_for(umbel_home: Path) -> None:
    """A SuperLink that no longer answers but still holds the home is waited for before the next one starts."""
    (umbel_home / "local").mkdir()
    pids: list[int] = []
    thread = threading.Thread(target=lambda: pids.append(connect_local().info().pid))
    with (umbel_home / "local" / "lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        thread.start()
        thread.join(0.2)
        assert not (umbel_home / "local" / "superlink.log").exists()
    thread.join(LIMIT)
    assert pids == [running().pid]


def test_one_that_holds_on_is_reported(umbel_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that holds the home and does not answer is named as the obstacle, with what to do."""
    monkeypatch.setattr(local, "START_LIMIT", 0.1)
    (umbel_home / "local").mkdir()
    with (umbel_home / "local" / "lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(SuperLinkUnreachable, match=r"holds .*lock but does not respond.* Stop it"):
            connect_local()


def test_a_failed_start_shows_the_log(umbel_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A SuperLink that ends instead of starting is reported at once with what it wrote, not with what was there before."""
    (umbel_home / "local").mkdir()
    (umbel_home / "local" / "superlink.log").write_text("of yesterday\n")
    monkeypatch.setattr(local, "PROGRAM", (sys.executable, "-c", "raise SystemExit('the disk is on fire')"))
    with pytest.raises(SuperLinkUnreachable, match="did not start") as caught:
        connect_local()
    assert "the disk is on fire" in caught.value.message
    assert "of yesterday" not in caught.value.message
    assert str(umbel_home / "local" / "superlink.log") in str(caught.value.hint)


@pytest.mark.slow
def test_an_idle_one_of_another_version_is_replaced() -> None:
    """After an upgrade the SuperLink of the old version is ended and the new one started, if no run is under way."""
    old = connect_local().info()
    record(running().address, old.pid, f"{__version__}.dev1")
    assert connect_local().info().pid == running().pid != old.pid
    wait_until_gone([psutil.Process(old.pid)] if psutil.pid_exists(old.pid) else [])


def test_a_busy_one_of_another_version_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """While a run is under way the SuperLink of the old version stays, and the error says so."""
    old = connect_local().info()
    record(running().address, old.pid, "0.0.1")
    bundle = BundleInfo(fab_id="a/b", fab_version="1.0.0", fab_hash="ab")
    run = RunView(run_id=1, bundle=bundle, federation="@local/default", status="running")
    monkeypatch.setattr(ControlClient, "list_runs", lambda *_: [run])
    with pytest.raises(Conflict, match=f"has version 0.0.1 and is busy; this is version {__version__}"):
        connect_local()
    os.kill(old.pid, 0)


def test_a_terminated_superlink_leaves_nothing(umbel_home: Path) -> None:
    """SIGTERM ends the SuperLink and its SuperExec; the record is gone with them."""
    superlink = psutil.Process(connect_local().info().pid)
    family = [superlink, *superlink.children(recursive=True)]
    assert len(family) == 2
    superlink.send_signal(signal.SIGTERM)
    wait_until_gone(family)
    assert not record_path().exists()


@pytest.mark.slow
def test_a_client_finds_a_superlink_that_was_started_again() -> None:
    """A client that was opened before a crash continues with the SuperLink that runs after it, on whatever port."""
    client = connect_local()
    pid = client.info().pid
    os.kill(pid, signal.SIGKILL)
    again = connect_local()
    assert client.info().pid == again.info().pid != pid
