"""Decisions of a SuperExec's executor: claims, directives, reports of exits, and rejections."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from queue import Queue
from threading import Event

import pytest

from umbel.errors import Conflict, NotFound, PermissionRefused, SuperLinkUnreachable, UmbelError, VersionMismatch
from umbel.home import runs_dir
from umbel.superexec.executor import CANNOT_START, Executor
from umbel.wire.api import ClaimedTask, Directive, TaskExited
from umbel.wire.programs import RuntimeClient

LIMIT = 10.0  # seconds; a wait that takes longer has failed
ENDLESS = "import sys; print('begun'); sys.stdin.read()"


class FakeRuntime(RuntimeClient):
    """A SuperLink. `claims` answers claims and blocks while empty; `directives` answers for running processes."""

    def __init__(self) -> None:
        super().__init__("http://127.0.0.1:1", "", patience=0)
        self.claims: Queue[ClaimedTask | UmbelError | None] = Queue()
        self.claimed: Queue[tuple[list[str], int]] = Queue()
        self.directives: Queue[Directive | UmbelError] = Queue()
        self.last_directive: Directive | UmbelError = Directive(over=True)
        self.exit_failures: list[UmbelError] = []
        self.exits: Queue[tuple[int, TaskExited]] = Queue()
        self.asked = Event()  # about a task whose process has ended

    def claim(self, executor: str, kinds: Sequence[str], wait: float = 30, slots: int = 1) -> ClaimedTask | None:
        self.claimed.put((list(kinds), slots))
        answer = self.claims.get(timeout=LIMIT)
        if isinstance(answer, UmbelError):
            raise answer
        return answer

    def directive(self, task_id: int, wait: float = 30) -> Directive:
        if not wait:
            self.asked.set()
            answer = self.last_directive
        else:
            answer = self.directives.get(timeout=LIMIT)
        if isinstance(answer, UmbelError):
            raise answer
        return answer

    def exited(self, task_id: int, exited: TaskExited) -> None:
        if self.exit_failures:
            raise self.exit_failures.pop(0)
        self.exits.put((task_id, exited))

    def close(self) -> None:
        self.claims.put(None)  # the claim in progress ends


class Running:
    """An executor with one slot whose tasks run the Python code `code`."""

    def __init__(self, client: FakeRuntime, code: str) -> None:
        self.client, self.failed = client, Event()
        programs = {"simulation": [sys.executable, "-c", code]}
        self.executor = Executor(client, {"simulation": 1}, programs, self.failed.set)
        self.executor.start()

    def give(self, task_id: int = 1, run_id: int = 7) -> None:
        """Hand out a task."""
        self.client.claims.put(ClaimedTask(task_id=task_id, run_id=run_id, kind="simulation", attempt=2, token="t"))

    def exit(self) -> TaskExited:
        """Wait for the report of an exit."""
        return self.client.exits.get(timeout=LIMIT)[1]

    def end(self) -> None:
        """End the executor, and its requests in progress."""
        for _ in range(4):
            self.client.directives.put(Directive())
        self.executor.end()


@pytest.fixture
def client(umbel_home: Path) -> FakeRuntime:
    """A SuperLink without tasks."""
    return FakeRuntime()


@pytest.fixture
def endless(client: FakeRuntime) -> Iterator[Running]:
    """An executor whose tasks run until they are stopped."""
    running = Running(client, ENDLESS)
    yield running
    running.end()


@pytest.fixture
def short(client: FakeRuntime) -> Iterator[Running]:
    """An executor whose tasks print their task ID and exit with code 4."""
    running = Running(client, "import sys; print('task', sys.argv[4]); sys.exit(4)")
    yield running
    running.end()


def test_an_exit_is_reported_with_its_code_and_output(short: Running) -> None:
    """The report has the attempt, the exit code and the last lines; claims name the kind and its slots."""
    short.client.directives.put(Directive())
    short.give(task_id=3)
    exited = short.exit()
    assert (exited.returncode, exited.attempt, exited.log_tail) == (4, 2, ["task 3"])
    assert short.client.claimed.get(timeout=LIMIT) == (["simulation"], 1)


@pytest.mark.parametrize("failure", [SuperLinkUnreachable("down"), NotFound("odd")])
def test_a_failed_claim_is_repeated(short: Running, failure: UmbelError) -> None:
    """A failure that is no rejection of the executor does not cost its slot."""
    short.client.directives.put(Directive())
    short.client.claims.put(failure)
    short.client.claims.put(None)
    short.give()
    assert short.exit().returncode == 4


def test_a_slot_is_free_again_after_a_task(short: Running) -> None:
    """With one slot, the second task is claimed after the first has ended."""
    for task_id in (1, 2):
        short.client.directives.put(Directive())
        short.give(task_id)
        assert short.exit().log_tail == [f"task {task_id}"]


@pytest.mark.parametrize("failure", [PermissionRefused("no"), VersionMismatch("no")])
def test_a_rejected_executor_ends_with_the_reason(short: Running, failure: UmbelError) -> None:
    """Rejections of the executor itself are not retried."""
    short.client.claims.put(failure)
    assert short.failed.wait(LIMIT)
    assert short.executor.failure is failure


def test_a_program_that_is_missing_is_reported(client: FakeRuntime, tmp_path: Path) -> None:
    """The task ends with the code of a shell for an unknown command, and with the reason."""
    executor = Executor(client, {"simulation": 1}, {"simulation": [str(tmp_path / "none")]}, lambda: None)
    executor.start()
    client.claims.put(ClaimedTask(task_id=1, run_id=7, kind="simulation", attempt=1, token="t"))
    exited = client.exits.get(timeout=LIMIT)[1]
    assert exited.returncode == CANNOT_START
    assert "cannot be started" in exited.log_tail[0]
    executor.end()


@pytest.mark.parametrize("answer", [Directive(stop=True), Conflict("lost"), NotFound("gone"), PermissionRefused("no")])
def test_a_process_is_stopped_when_its_task_is_not_wanted(endless: Running, answer: Directive | UmbelError) -> None:
    """A request to stop, and any sign that another executor has the task, end the process."""
    endless.client.directives.put(answer)
    endless.give()
    assert endless.exit().returncode < 0


def test_an_unclear_directive_does_not_stop_a_process(endless: Running) -> None:
    """While the SuperLink cannot be asked, the process runs; the next answer decides."""
    endless.client.directives.put(SuperLinkUnreachable("down"))
    endless.client.directives.put(Directive())
    endless.client.directives.put(Directive(stop=True))
    endless.give()
    assert endless.exit().returncode < 0
    assert endless.client.directives.empty()


def test_a_process_that_has_reported_its_outcome_may_take_a_moment(client: FakeRuntime, tmp_path: Path) -> None:
    """A process of a finished task that exits by itself within the time limit is not stopped."""
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    running = Running(client, f"open({str(gate)!r}).close()")
    client.directives.put(Directive(over=True))
    running.give()
    gate.write_bytes(b"")  # the process continues, and exits
    assert running.exit().returncode == 0
    running.end()


@pytest.mark.parametrize(
    ("answer", "is_removed"),
    [
        (Directive(over=True), True),
        (Conflict("lost"), True),
        (Directive(), False),
        (SuperLinkUnreachable("down"), False),
    ],
)
def test_the_scratch_directory_is_removed_only_with_the_run(
    short: Running, answer: Directive | UmbelError, is_removed: bool
) -> None:
    """It stays while the SuperLink may assign the task again, or does not answer."""
    short.client.last_directive = answer
    short.client.directives.put(Directive())
    short.give()
    short.exit()
    short.client.directives.put(Directive())
    short.give(task_id=2, run_id=8)  # the slot is free once the first task is settled
    short.exit()
    assert (runs_dir() / "7").exists() != is_removed


def test_a_report_is_repeated_until_the_superlink_answers(short: Running) -> None:
    """An exit that could not be reported is reported again."""
    short.client.exit_failures = [SuperLinkUnreachable("down"), SuperLinkUnreachable("down")]
    short.client.directives.put(Directive())
    short.give()
    assert short.exit().returncode == 4


def test_a_rejected_report_is_not_repeated(short: Running) -> None:
    """The SuperLink knows better: the files stay, and the next task is claimed."""
    short.client.exit_failures = [Conflict("lost")]
    for task_id in (1, 2):
        short.client.directives.put(Directive())
        short.give(task_id, run_id=task_id)
    assert short.exit().log_tail == ["task 2"]
    assert (runs_dir() / "1").exists()


def test_the_end_stops_processes_without_reports(client: FakeRuntime, tmp_path: Path) -> None:
    """A run does not lose an attempt because its SuperExec ends."""
    begun = tmp_path / "begun"
    os.mkfifo(begun)
    running = Running(client, f"import sys; open({str(begun)!r}, 'w').close(); sys.stdin.read(); sys.exit(5)")
    running.give()
    begun.read_bytes()  # the process is running
    running.end()
    assert client.exits.empty()
    assert not running.failed.is_set()


class BrokenRuntime(FakeRuntime):
    """A client with a bug."""

    def claim(self, executor: str, kinds: Sequence[str], wait: float = 30, slots: int = 1) -> ClaimedTask | None:
        raise ZeroDivisionError


def test_an_internal_error_ends_the_executor(umbel_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A bug in a thread must not leave an executor that claims nothing; its traceback is not swallowed."""
    uncaught: Queue[type[BaseException]] = Queue()
    monkeypatch.setattr(threading, "excepthook", lambda hook: uncaught.put(hook.exc_type))
    running = Running(BrokenRuntime(), "")
    assert running.failed.wait(LIMIT)
    assert running.executor.failure is not None
    assert "a bug in Umbel" in running.executor.failure.message
    assert uncaught.get(timeout=LIMIT) is ZeroDivisionError
