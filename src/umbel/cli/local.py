"""The local SuperLink: find the one that runs for this home, or start it."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import sys
import threading
from typing import IO, TYPE_CHECKING

import msgspec

from umbel import __version__, _os
from umbel.errors import Conflict, SuperLinkUnreachable, UmbelError
from umbel.home import VARIABLE, home, local_dir
from umbel.wire.api import UNDECODABLE, ServerInfo
from umbel.wire.connection import LocalSuperLink, read_record, running_address, token_path
from umbel.wire.control import ControlClient
from umbel.wire.http import HttpClient

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PROGRAM = (sys.executable, "-m", "umbel.superlink.server.main")
IDLE_EXIT = 600  # seconds without a run and without a request after which it ends by itself
START_LIMIT = 15.0  # seconds to bind its port; then again to answer; then again to end
LOG_LINES = 15  # of the log, shown when the start fails
RUNS_LOOKED_AT = 1000  # the newest ones, to see whether an old SuperLink is idle


def connect_local() -> ControlClient:
    """A client of the local SuperLink of `UMBEL_HOME`, started if it does not run.

    Raises SuperLinkUnreachable when it cannot be started, Conflict when another version of it is busy.
    """
    return _find() or _start_once()


def _find() -> ControlClient | None:
    """The SuperLink that runs for this home and has this version."""
    record = read_record()
    if record is None or record.version != __version__:
        return None
    return _client(record) if _answers(record) else None


def _start_once() -> ControlClient:
    """Start the SuperLink, unless another process has done so while we waited for our turn."""
    with _turn():
        client = _find()
        if client is not None:
            return client
        _end_other_version()
        _wait_until_gone()
        return _start()


@contextlib.contextmanager
def _turn() -> Iterator[None]:
    """Let one process at a time start the SuperLink of this home."""
    with (local_dir() / "start.lock").open("w") as file:
        _os.lock(file.fileno())
        yield


def _client(record: LocalSuperLink) -> ControlClient:
    # Of its version, even if that is not ours: an old one must be able to say whether it is idle.
    return ControlClient(record.address, _token(), locate=running_address, version=record.version)


def _token() -> str:
    try:
        return token_path().read_text(encoding="utf-8").strip()
    except OSError:
        return ""


def _answers(record: LocalSuperLink) -> bool:
    """Whether the recorded process itself answers at the recorded address; one that is still starting is waited for."""
    http = HttpClient(record.address, _token(), patience=0, silence=START_LIMIT)
    try:
        return http.call("GET", "/api/v1/info", ServerInfo).pid == record.pid
    except UmbelError:
        return False  # gone, or the port is another program's by now
    finally:
        http.close()


def _end_other_version() -> None:
    record = read_record()
    if record is None or record.version == __version__ or not _listens(record):
        return
    if not _is_idle(record):
        raise Conflict(
            f"The local SuperLink has version {record.version} and is busy; this is version {__version__}.",
            hint=f"Wait until its runs have finished, or stop it (process {record.pid}) and try again.",
        )
    with contextlib.suppress(ProcessLookupError):
        os.kill(record.pid, signal.SIGTERM)


def _listens(record: LocalSuperLink) -> bool:
    http = HttpClient(record.address, "", patience=0, silence=START_LIMIT)
    try:
        http.call("GET", "/health", dict)
    except UmbelError:
        return False
    finally:
        http.close()
    return True


def _is_idle(record: LocalSuperLink) -> bool:
    client = _client(record)
    try:
        return all(run.status == "finished" for run in client.list_runs(RUNS_LOOKED_AT))
    except UmbelError:
        return False  # what it says cannot be understood: it is not ours to end
    finally:
        client.close()


def _wait_until_gone() -> None:
    """Wait until the last SuperLink of this home, which may be ending, has let go of its lock."""
    path = local_dir() / "lock"
    gone = threading.Event()

    def wait() -> None:
        with path.open("a") as file:
            _os.lock(file.fileno(), shared=True)
        gone.set()

    threading.Thread(target=wait, daemon=True).start()
    if not gone.wait(START_LIMIT):
        raise SuperLinkUnreachable(
            f"A SuperLink holds {path} but does not respond.", hint=f"Stop it, or check {_log_path()}."
        )


def _log_path() -> Path:
    return local_dir() / "superlink.log"


def _start() -> ControlClient:
    begin = _log_size()
    read_end, write_end = os.pipe()
    with os.fdopen(read_end, "rb") as ready:
        try:
            process = _spawn(write_end)
        finally:
            os.close(write_end)
        # Reaped when it ends, so that it is not taken for alive.
        threading.Thread(target=process.wait, name="reap the SuperLink", daemon=True).start()
        record = _first_word(ready)
    if record is None or not _answers(record):
        raise _failure(begin)
    return _client(record)


def _spawn(ready_fd: int) -> subprocess.Popen[bytes]:
    options = ["--simulation", "--home", str(home()), "--idle-exit", str(IDLE_EXIT), "--log-file", str(_log_path())]
    with _log_path().open("ab") as log:
        return subprocess.Popen(
            [*PROGRAM, *options, "--ready-fd", str(ready_fd)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env={**os.environ, VARIABLE: str(home())},
            cwd=home(),
            start_new_session=True,
            pass_fds=(ready_fd,),
        )


def _first_word(ready: IO[bytes]) -> LocalSuperLink | None:
    """What the SuperLink says of itself once it has bound its port; None when it ends, or stays silent too long."""
    readable, _, _ = select.select([ready], [], [], START_LIMIT)
    line = ready.readline() if readable else b""
    try:
        return msgspec.json.decode(line, type=LocalSuperLink)
    except UNDECODABLE:
        return None


def _log_size() -> int:
    try:
        return _log_path().stat().st_size
    except FileNotFoundError:
        return 0


def _failure(begin: int) -> SuperLinkUnreachable:
    """The error for a SuperLink that did not start; the log from `begin` bytes on says why."""
    with _log_path().open("rb") as log:
        log.seek(begin)
        lines = log.read().decode(errors="replace").splitlines()[-LOG_LINES:]
    said = "\n".join(["It said:", *lines]) if lines else "It printed nothing."
    return SuperLinkUnreachable(f"The local SuperLink did not start. {said}", hint=f"\nSee its log: {_log_path()}.")
