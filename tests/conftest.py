"""What every test gets: a home of its own, and a check that it leaves nothing behind."""

from __future__ import annotations

import json
import os
import shutil
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import hypothesis
import psutil
import pytest

if TYPE_CHECKING:
    from tests.postgres import PostgresServer

SHARED_MEMORY = Path("/dev/shm")
GRACE_SECONDS = 5.0

# The tests start hundreds of interpreters, and compiling the same modules in each of them costs more than the tests themselves.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

# A busy machine is no bug: no deadline, and no complaint about slow generation.
hypothesis.settings.register_profile(
    "umbel", deadline=None, max_examples=50, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("umbel")


@pytest.fixture(scope="session")
def postgres_server(
    testrun_uid: str, tmp_path_factory: pytest.TempPathFactory, worker_id: str
) -> Iterator[PostgresServer]:
    """A PostgreSQL server, the same for all workers; started when the first test needs it."""
    from tests.postgres import running_server

    # Not under `tmp_path`: pytest shuts its directories against others, and a server started by root runs as another user.
    files = Path(tempfile.gettempdir()) / f"umbel-postgres-{testrun_uid[:12]}"
    own = tmp_path_factory.getbasetemp()
    with running_server(files, (own if worker_id == "master" else own.parent) / "postgres") as server:
        yield server


@pytest.fixture
def postgres(postgres_server: PostgresServer) -> Iterator[str]:
    """The name of an empty database on that server."""
    with postgres_server.database() as name:
        yield name


@pytest.fixture(autouse=True)
def _leaves_nothing_behind() -> Iterator[None]:
    """Fail a test that leaves child processes, non-daemon threads or shared memory behind."""
    threads, segments = set(threading.enumerate()), shared_memory()
    children = set(descendants())
    yield
    leaked = [f"process {describe(process)}" for process in still_alive(children)]
    leaked += [f"thread {thread.name}" for thread in still_running(threads)]
    leaked += [f"shared memory {path}" for path in sorted(shared_memory() - segments) if ours(path)]
    if leaked:
        pytest.fail("left behind: " + ", ".join(leaked), pytrace=False)


@pytest.fixture(autouse=True)
def umbel_home(monkeypatch: pytest.MonkeyPatch, _leaves_nothing_behind: None) -> Iterator[Path]:
    """An empty `UMBEL_HOME` of the test's own; the local SuperLink that the test starts there ends with it."""
    for name in [name for name in os.environ if name.startswith("UMBEL_") and name != "UMBEL_DATA"]:
        monkeypatch.delenv(name)
    with a_home() as home:
        monkeypatch.setenv("UMBEL_HOME", str(home))
        yield home


@pytest.fixture(scope="module")
def shared_home() -> Iterator[Path]:
    """A home for what the tests of a module use together, because to start a SuperLink takes a second of processor time.

    `UMBEL_HOME` names it only if a test says so.
    """
    with a_home() as home:
        yield home


@contextmanager
def a_home() -> Iterator[Path]:
    """An empty home; the local SuperLink that is started there ends with it, and whoever still works there is a fault."""
    home = Path(tempfile.mkdtemp(prefix="umbel-", dir="/tmp"))  # short: a socket's path has about 100 characters
    try:
        yield home
        end_superlink(home)
    finally:
        _, survivors = psutil.wait_procs(processes_of(home), timeout=GRACE_SECONDS)
        for process in survivors:
            process.kill()
        shutil.rmtree(home, ignore_errors=True)
    if survivors:
        pytest.fail("still running: " + ", ".join(map(describe, survivors)), pytrace=False)


def end_superlink(home: Path) -> None:
    """End the local SuperLink of `home`, if one runs, and wait until its processes are gone."""
    try:
        pid = json.loads((home / "local" / "superlink.json").read_text())["pid"]
        superlink = psutil.Process(pid)
        mine = superlink.environ().get("UMBEL_HOME") == str(home)
    except (FileNotFoundError, psutil.NoSuchProcess):
        return
    if mine:
        family = [superlink, *superlink.children(recursive=True)]
        superlink.terminate()
        psutil.wait_procs(family, timeout=2 * GRACE_SECONDS)


def processes_of(home: Path) -> list[psutil.Process]:
    """The processes, other than this one, that work in `home`."""
    if not any(home.iterdir()):
        return []  # nothing ever worked there; looking at every process would cost each test milliseconds
    return [process for process in psutil.process_iter() if works_in(process, home)]


def works_in(process: psutil.Process, home: Path) -> bool:
    """Whether a live process other than this one has `home` as its UMBEL_HOME."""
    try:
        return (
            process.pid != os.getpid()
            and process.status() != psutil.STATUS_ZOMBIE
            and process.environ().get("UMBEL_HOME") == str(home)
        )
    except psutil.Error:
        return False


def descendants() -> list[psutil.Process]:
    """The processes below this one. Cheap where there are none, as in most tests: psutil reads all of /proc."""
    try:
        os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return []
    return psutil.Process().children(recursive=True)


def still_alive(before: set[psutil.Process]) -> list[psutil.Process]:
    """The child processes that are new and do not end by themselves in a moment; they are killed."""
    new = [child for child in descendants() if child not in before and not helper(child)]
    _, alive = psutil.wait_procs(new, timeout=GRACE_SECONDS)
    for process in alive:
        process.kill()
    return alive


def helper(process: psutil.Process) -> bool:
    """Whether a process is the interpreter's own resource tracker, which lives as long as the interpreter."""
    try:
        return any("multiprocessing.resource_tracker" in word for word in process.cmdline())
    except psutil.Error:
        return False


def still_running(before: set[threading.Thread]) -> list[threading.Thread]:
    """The non-daemon threads that are new and do not end by themselves in a moment."""
    new = [thread for thread in threading.enumerate() if thread not in before and not thread.daemon]
    for thread in new:
        thread.join(GRACE_SECONDS)
    return [thread for thread in new if thread.is_alive()]


def shared_memory() -> set[Path]:
    """The shared-memory files of the machine."""
    return set(SHARED_MEMORY.iterdir()) if SHARED_MEMORY.is_dir() else set()


def ours(path: Path) -> bool:
    """Whether a shared-memory file is left over from this test, and not in use by another one that runs now."""
    try:
        file = path.stat()
    except FileNotFoundError:
        return False
    return file.st_uid == os.getuid() and not any(holds(process, path) for process in psutil.process_iter())


def holds(process: psutil.Process, path: Path) -> bool:
    """Whether a process other than this one has mapped or opened a file."""
    if process.pid == os.getpid():
        return False
    try:
        maps = {entry.path for entry in process.memory_maps(grouped=True)}
        return str(path) in maps or any(file.path == str(path) for file in process.open_files())
    except psutil.Error:
        return False


def describe(process: psutil.Process) -> str:
    """Its pid and command line, as far as they can still be read."""
    try:
        return f"{process.pid} ({' '.join(process.cmdline()) or process.name()})"
    except psutil.Error:
        return str(process.pid)
