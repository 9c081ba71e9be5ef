"""The pool of workers, and a worker whose process answers as the test says."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.unit.supernode.fakes import PREPARED, FakeWorker
from umbel.engine import frames
from umbel.environments.prepare import Environment
from umbel.errors import AppLoadError, StorageFull
from umbel.supernode.resources import Grant
from umbel.supernode.state import StateDir
from umbel.supernode.workers import IDLE, MOST_IDLE, SiteWorker, WorkerEnded, WorkerPool

if TYPE_CHECKING:
    from umbel.supernode.workers import OnLog

BASE, ONE, TWO = Environment("python"), Grant(1), Grant(2)


class Pool:
    """A pool on a clock of the test's, whose workers have no processes."""

    def __init__(self, folder: Path) -> None:
        self.now = 0.0
        self.started: list[FakeWorker] = []
        self.setups: list[frames.Setup] = []
        self.lines: list[tuple[int, str, str]] = []
        self.pool = WorkerPool(StateDir(folder), {"site": 1}, self._log, lambda: self.now, self._start)

    def _log(self, run_id: int, text: str, level: str) -> None:
        self.lines.append((run_id, text, level))

    def _start(
        self, interpreter: str, environment: Mapping[str, str], setup: frames.Setup, on_log: OnLog
    ) -> SiteWorker:
        self.setups.append(setup)
        self.started.append(FakeWorker(frames.Served(1, []), setup.run_id))
        on_log("started", "INFO")
        return self.started[-1]

    def use(self, grant: Grant = ONE) -> SiteWorker:
        """Lend a worker for a moment."""
        with self.pool.lend(PREPARED, BASE, grant) as worker:
            return worker


@pytest.fixture
def pool(tmp_path: Path) -> Pool:
    """A pool without workers."""
    return Pool(tmp_path)


def test_a_worker_is_used_again(pool: Pool, tmp_path: Path) -> None:
    """The next message with the same grant gets the idle worker; the app's setup and log are those of the run."""
    assert pool.use() is pool.use()
    (setup,) = pool.setups
    assert (setup.run_id, setup.app_dir, setup.node_config) == (7, str(PREPARED.app_dir), {"site": 1})
    assert setup.state_dir == str(tmp_path / "runs" / "7" / "state")
    assert pool.lines == [(7, "started", "INFO")]


def test_another_grant_gets_another_worker(pool: Pool) -> None:
    """CPUs and GPUs are fixed when a worker starts, so a worker serves only messages with its own grant."""
    assert pool.use(ONE) is not pool.use(TWO)


def test_a_busy_worker_is_not_lent_twice(pool: Pool) -> None:
    """Two messages at a time have two workers."""
    with pool.pool.lend(PREPARED, BASE, ONE) as first, pool.pool.lend(PREPARED, BASE, ONE) as second:
        assert first is not second


def test_a_worker_that_failed_is_closed(pool: Pool) -> None:
    """After an exception the state of the worker is unknown, so it is not used again."""
    with pytest.raises(KeyError), pool.pool.lend(PREPARED, BASE, ONE):
        raise KeyError
    assert pool.started[0].is_closed
    assert pool.use() is pool.started[1]


def test_a_worker_that_has_ended_is_not_lent(pool: Pool) -> None:
    """The process of an idle worker may end: the next message gets a new one, and the pool drops the old one."""
    pool.use()
    pool.started[0].has_ended = True
    assert pool.use() is pool.started[1]
    assert pool.started[0].is_closed


def test_idle_workers_end_after_a_while(pool: Pool) -> None:
    """Exactly at the idle time, and not before."""
    pool.use()
    pool.now = IDLE - 1
    pool.pool.trim()
    assert not pool.started[0].is_closed
    pool.now = IDLE
    pool.pool.trim()
    assert pool.started[0].is_closed


def test_only_so_few_workers_stay_idle(pool: Pool) -> None:
    """Beyond the limit, those that have been idle longest end."""
    for number in range(MOST_IDLE + 2):
        pool.use(Grant(float(number)))
    assert [worker.is_closed for worker in pool.started] == [True, True] + [False] * MOST_IDLE


def test_the_end_of_a_run_ends_its_idle_workers(pool: Pool) -> None:
    """Workers of other runs stay."""
    pool.use()
    pool.pool.end_run(8)
    assert not pool.started[0].is_closed
    pool.pool.end_run(7)
    assert pool.started[0].is_closed


def test_closing_ends_busy_workers_too(pool: Pool) -> None:
    """At the end of the agent no worker stays."""
    pool.use(TWO)
    with pool.pool.lend(PREPARED, BASE, ONE):
        pool.pool.close()
        assert [worker.is_closed for worker in pool.started] == [True, True]


# A worker process that reads its setup and a unit, and then does what the test says.
PROGRAM = """#!{python}
import socket, sys
from umbel.engine import frames, shared_memory
channel = frames.Channel(socket.socket(fileno=int(sys.argv[3])))
cursor = shared_memory.SharedCursor(int(sys.argv[5]))
def read(kind):
    while not isinstance(frame := frames.decode_to_worker(channel.receive()[0]), kind):
        pass
    return frame
def send(frame):
    channel.send(frames.encode(frame))
read(frames.Setup)
{body}
"""
StartWorker = Callable[[str], SiteWorker]
Lines = list[tuple[str, str]]  # text, level


@pytest.fixture
def lines() -> Lines:
    """The lines that workers log."""
    return []


@pytest.fixture
def start(tmp_path: Path, lines: Lines) -> Iterator[StartWorker]:
    """Start a worker process whose code after its setup is given; closed with the test."""
    workers: list[SiteWorker] = []

    def start(body: str) -> SiteWorker:
        program = tmp_path / "worker"
        program.write_text(PROGRAM.format(python=sys.executable, body=body))
        program.chmod(0o700)
        setup = frames.Setup("/app", "m:app", 7, 3, {}, 0, 0, "/state")
        workers.append(SiteWorker(str(program), {}, setup, lambda text, level: lines.append((text, level))))
        return workers[-1]

    yield start
    for worker in workers:
        worker.close()


def serve(worker: SiteWorker, steps: list[tuple[float, float, str]] | None = None) -> frames.Served:
    """Serve one message with it; `steps` receives the progress."""
    unit = frames.Unit(worker.next_unit, 1, 0, 0, [5], [worker.next_unit], "train", 60.0, 1.0, "1")
    seen = steps if steps is not None else []
    return worker.serve(b"x", unit, lambda done, total, unit: seen.append((done, total, unit)))


def test_a_worker_passes_on_output_and_progress(start: StartWorker, lines: Lines) -> None:
    """Log lines and progress arrive before the answer; the next unit has the next ID."""
    worker = start(
        "for _ in range(2):\n"
        "    unit = read(frames.Unit)\n"
        "    send(frames.Log('a line', 'INFO'))\n"
        "    send(frames.Progress(1, 2, 'steps'))\n"
        "    send(frames.Served(unit.unit_id, []))\n"
        "read(frames.Setup)"
    )
    steps: list[tuple[float, float, str]] = []
    assert [serve(worker, steps).unit_id, serve(worker, steps).unit_id] == [1, 2]
    assert lines == [("a line", "INFO")] * 2
    assert steps == [(1, 2, "steps")] * 2


def test_a_worker_that_ends_before_it_begins(start: StartWorker) -> None:
    """The failure has the exit code and says that the message was not begun; later messages fail too."""
    worker = start("read(frames.Unit); sys.exit(3)")
    with pytest.raises(WorkerEnded) as ended:
        serve(worker)
    assert (ended.value.how, ended.value.had_begun) == ("with exit code 3", False)
    assert worker.has_ended


def test_an_app_that_cannot_be_loaded_fails_each_message(start: StartWorker) -> None:
    """The error and its traceback are those of the app, for the message in progress and for any later one."""
    worker = start("read(frames.Unit); send(frames.Ready('no such module', 'fix it', 'Traceback')); read(frames.Setup)")
    for _ in range(2):
        with pytest.raises(AppLoadError, match="no such module") as failed:
            serve(worker)
        assert (failed.value.hint, failed.value.traceback) == ("fix it", "Traceback")


def test_a_worker_without_disk_space_says_so(start: StartWorker) -> None:
    """An error of Umbel in the worker is raised as the same error here."""
    worker = start("read(frames.Unit); send(frames.Failed('storage-full', 'No space.')); read(frames.Setup)")
    with pytest.raises(StorageFull, match=r"No space\."):
        serve(worker)


def test_a_killed_worker_ends_the_wait(start: StartWorker) -> None:
    """A cancellation kills the process: the wait for its answer ends with the signal."""
    worker = start("read(frames.Unit); send(frames.Progress(0, 0, '')); read(frames.Setup)")
    unit = frames.Unit(1, 1, 0, 0, [5], [1], "train", 60.0, 1.0, "1")
    with pytest.raises(WorkerEnded, match="SIGKILL"):
        worker.serve(b"x", unit, lambda done, total, unit: worker.kill())


def test_a_large_content_comes_as_a_descriptor(start: StartWorker, lines: Lines, tmp_path: Path) -> None:
    """A content in a file is handed over with its size, without being read here."""
    body = (
        "payload, fds = channel.receive()\n"
        "import os\n"
        "content = frames.decode_to_worker(payload)\n"
        "data = os.pread(fds[0], content.size, 0)\n"
        "unit = read(frames.Unit)\n"
        "send(frames.Log(data.decode(), 'INFO'))\n"
        "send(frames.Served(unit.unit_id, []))\n"
        "read(frames.Setup)"
    )
    worker, path = start(body), tmp_path / "content"
    path.write_bytes(b"large")
    unit = frames.Unit(1, 1, 0, 0, [5], [1], "train", 60.0, 1.0, "1")
    with path.open("rb") as file:
        worker.serve((file.fileno(), os.stat(path).st_size), unit, lambda done, total, unit: None)
    assert lines == [("large", "INFO")]
