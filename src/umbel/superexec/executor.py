"""Task execution: claiming, process start, supervision and reporting."""

from __future__ import annotations

import contextlib
import logging
import os
import socket
from functools import partial
from threading import Event, Lock, Semaphore, Thread
from typing import TYPE_CHECKING

from umbel.errors import Conflict, NotFound, PermissionRefused, UmbelError, Unauthenticated, VersionMismatch
from umbel.superexec import plan
from umbel.superexec.process import Process, lock_scratch, remove_scratch
from umbel.wire.api import TaskExited
from umbel.wire.connection import Backoff

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from umbel.wire.api import ClaimedTask
    from umbel.wire.programs import RuntimeClient

LEAVE = 10.0  # seconds for a process to exit after it has reported its outcome
WAIT = 30.0  # seconds: duration of a long-poll
CANNOT_START = 127  # the return code for a process that could not be started, as in a shell
REFUSED = (Unauthenticated, PermissionRefused, VersionMismatch)
OVER = (Conflict, NotFound, *REFUSED)  # responses for a task that this executor no longer holds
FOREVER = float("inf")

log = logging.getLogger(__name__)


class Executor:
    """Runs tasks until `end` is called, each in a process of the program for its kind; `slots` limits the concurrent tasks by kind.

    If it cannot continue, it sets `failure` and calls `on_failure` from another thread.
    """

    def __init__(
        self,
        client: RuntimeClient,
        slots: Mapping[str, int],
        programs: Mapping[str, Sequence[str]],
        on_failure: Callable[[], object],
    ) -> None:
        self.failure: UmbelError | None = None
        self._client = client
        self._slots = slots
        self._programs = programs
        self._on_failure = on_failure
        self._name = f"{socket.gethostname()}-{os.getpid()}"
        self._ending = Event()
        self._processes: set[Process] = set()
        self._lock = Lock()

    def start(self) -> None:
        """Begin to claim tasks, in one thread for each kind."""
        for kind in self._slots:
            self._begin(partial(self._serve, kind), f"claim {kind}")

    def end(self) -> None:
        """Stop claiming tasks and end all running processes; returns when they have ended.

        Their exits are not reported: a run must not lose an attempt because its SuperExec restarts.
        """
        with self._lock:
            self._ending.set()
            processes = list(self._processes)
        self._client.close()
        for process in processes:
            Thread(target=process.stop, name="stop", daemon=True).start()
        for process in processes:
            process.gone.wait()

    def _begin(self, work: Callable[[], None], name: str) -> None:
        Thread(target=self._guarded, args=(work,), name=name, daemon=True).start()

    def _guarded(self, work: Callable[[], None]) -> None:
        """Run `work`; an exception makes the executor fail."""
        done = False
        try:
            work()
            done = True
        except REFUSED as failure:
            self.failure = failure
        finally:
            if not (done or self._ending.is_set()):
                self.failure = self.failure or UmbelError("Internal error in the SuperExec (a bug in Umbel).")
                self._on_failure()

    def _serve(self, kind: str) -> None:
        """Claim tasks of a kind whenever a slot is free."""
        free, backoff = Semaphore(self._slots[kind]), Backoff(FOREVER)
        while not self._ending.is_set():
            free.acquire()
            try:
                task = self._client.claim(self._name, [kind], WAIT, self._slots[kind])
            except REFUSED:
                raise
            except UmbelError as failure:
                log.warning("Failed to claim a task: %s", failure)
                backoff.wait(self._ending)
                task = None
            else:
                backoff.reset()
            if task is None:
                free.release()
            else:
                self._begin(partial(self._run, task, free), f"task {task.task_id}")

    def _run(self, task: ClaimedTask, slot: Semaphore) -> None:
        try:
            self._run_to_end(task)
        finally:
            slot.release()

    def _run_to_end(self, task: ClaimedTask) -> None:
        exited = self._execute(task)
        if self._ending.is_set():
            return
        log.info("Task %d of run %d exited with code %d.", task.task_id, task.run_id, exited.returncode)
        if self._repeat(lambda: self._client.exited(task.task_id, exited)) and self._is_over(task.task_id):
            remove_scratch(task.run_id)
            log.info("Removed the files of run %d.", task.run_id)

    def _execute(self, task: ClaimedTask) -> TaskExited:
        try:
            process = self._launch(task)
        except (OSError, UmbelError) as failure:
            log.warning("Failed to start task %d of run %d: %s", task.task_id, task.run_id, failure)
            return TaskExited(
                returncode=CANNOT_START, attempt=task.attempt, log_tail=[f"The process cannot be started: {failure}"]
            )
        Thread(target=self._watch, args=(task.task_id, process), name=f"watch {task.task_id}", daemon=True).start()
        returncode = process.wait()
        with self._lock:
            self._processes.discard(process)
        return TaskExited(returncode=returncode, attempt=task.attempt, log_tail=process.tail())

    def _launch(self, task: ClaimedTask) -> Process:
        command = plan.command(self._programs[task.kind], self._client.address, task.task_id)
        environ = plan.environment(os.environ, task.token, task.run_id, self._client.root_certificates)
        with lock_scratch(task.run_id) as scratch, self._lock:
            if self._ending.is_set():
                raise InterruptedError("the SuperExec is stopping")
            process = Process(command, environ, scratch, partial(_write_line, task.run_id))
            self._processes.add(process)
        log.info("Task %d of run %d is running as process %d.", task.task_id, task.run_id, process.pid)
        return process

    def _watch(self, task_id: int, process: Process) -> None:
        """Stop the process when the SuperLink requests it, when the task is lost, or when it does not exit after its outcome."""
        backoff = Backoff(FOREVER)
        while not process.gone.is_set() and not self._ending.is_set():
            try:
                directive = self._client.directive(task_id, WAIT)
                if directive.stop or (directive.over and not process.gone.wait(LEAVE)):
                    return process.stop()
                backoff.reset()
            except OVER:
                return process.stop()
            except UmbelError as failure:
                log.warning("Failed to check whether task %d should continue: %s", task_id, failure)
                backoff.wait(process.gone)
        return None

    def _repeat(self, call: Callable[[], None]) -> bool:
        """Repeat `call` until the SuperLink accepts or rejects it; returns whether it was accepted."""
        backoff = Backoff(FOREVER)
        while True:
            try:
                call()
            except UmbelError as failure:
                log.warning("Failed to report the exit of a task: %s", failure)
                if failure.http_status < 500 or not backoff.wait(self._ending):
                    return False
            else:
                return True

    def _is_over(self, task_id: int) -> bool:
        """Whether the SuperLink will not assign the task again."""
        try:
            return self._client.directive(task_id, 0).over
        except OVER:
            return True
        except UmbelError:
            return False


def _write_line(run_id: int, line: str) -> None:
    """Write a line of a run's process to the stderr of this process."""
    # Not through sys.stderr: a thread that holds its lock at interpreter shutdown would abort the process.
    with contextlib.suppress(OSError):  # the pipe may have no reader; the tail keeps the line in any case
        os.write(2, f"[run {run_id}] {line}\n".encode())
