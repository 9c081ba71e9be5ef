"""A SuperLink that a test plays, and a real SuperExec that runs a program of the test's."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import select
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import psutil

from tests.support.http_peer import Answer, Call, Peer, json_answer, ok, problem
from umbel.superexec import plan

NOTHING = ok(status="204 No Content")
LAUNCH = (
    "import sys; from umbel.superexec.main import main; sys.exit(main(sys.argv[2:], [sys.executable, sys.argv[1]]))"
)
LIMIT = 20.0  # seconds; a wait that takes so long has failed


class FakeSuperLink:
    """Hands out the tasks that a test gives it; `exits` gets what the SuperExec says of their ends."""

    def __init__(self) -> None:
        self.exits: queue.Queue[tuple[int, int, list[str]]] = queue.Queue()
        self.over = True  # whether a task whose process is gone is over
        self.stopped = threading.Event()
        self._tasks: dict[str, queue.Queue[dict[str, object]]] = {kind: queue.Queue() for kind in plan.PROGRAMS}
        self._exited: set[int] = set()
        self._peer = Peer(self._answer)
        self.address, self.close = self._peer.address, self._peer.close

    def give(self, task_id: int, run_id: int = 1, attempt: int = 1, kind: str = "simulation") -> None:
        """Hand out a task."""
        token = f"token of {task_id}"
        task = dict(task_id=task_id, run_id=run_id, kind=kind, attempt=attempt, token=token)
        self._tasks[kind].put(task)

    def exit(self) -> tuple[int, int, list[str]]:
        """Wait for the next end of a process: (task id, return code, tail)."""
        return self.exits.get(timeout=LIMIT)

    def settled(self, task_id: int) -> bool:
        """Whether the SuperExec has asked what becomes of a task whose process is gone."""
        return any(call.path == f"/api/runtime/tasks/{task_id}/directive?wait=0" for call in self._peer.calls)

    def _answer(self, call: Call) -> Answer:
        if call.headers["authorization"] != "Bearer executor":
            return problem(401, "unauthenticated", "Who are you?")
        url = urlsplit(call.path)
        wait = float(parse_qs(url.query).get("wait", ["0"])[0])
        task, _, what = url.path.removeprefix("/api/runtime/tasks/").partition("/")
        if task == "claim":
            (kind,) = json.loads(call.body)["kinds"]
            return self._claim(kind, wait)
        if what == "exited":
            said = json.loads(call.body)
            self._exited.add(int(task))
            self.exits.put((int(task), said["returncode"], said.get("log_tail", [])))
            return NOTHING
        over = int(task) in self._exited and self.over
        return json_answer({"stop": self.stopped.wait(0 if over else wait), "over": over})

    def _claim(self, kind: str, wait: float) -> Answer:
        try:
            return json_answer(self._tasks[kind].get(timeout=wait))
        except queue.Empty:
            return NOTHING


class SuperExec:
    """A running SuperExec; the lines that it writes can be awaited."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self._lines: queue.Queue[str] = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()

    def line(self, begin: str) -> str:
        """Wait for the line that begins so; returns the rest of it."""
        while True:
            line = self._lines.get(timeout=LIMIT)
            if line.startswith(begin):
                return line.removeprefix(begin).strip()

    def close_stdin(self) -> None:
        """What happens when the parent is gone."""
        assert self.process.stdin is not None
        self.process.stdin.close()

    def _read(self) -> None:
        assert self.process.stderr is not None
        with contextlib.suppress(ValueError):
            for line in self.process.stderr:
                self._lines.put(line)


@contextlib.contextmanager
def superlink() -> Iterator[FakeSuperLink]:
    """A SuperLink of the test's."""
    one = FakeSuperLink()
    try:
        yield one
    finally:
        one.stopped.set()
        one.close()


@contextlib.contextmanager
def superexec(address: str, program: Path, *options: str, token: str = "executor") -> Iterator[SuperExec]:
    """A SuperExec that runs `program` for each task; ended with the block."""
    command: Sequence[str] = [sys.executable, "-c", LAUNCH, str(program), "--superlink", address, *options]
    process = subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "UMBEL_EXECUTOR_TOKEN": token},
    )
    one = SuperExec(process)
    with process:
        try:
            yield one
        finally:
            process.terminate()
            process.wait(LIMIT)


def wait_until_gone(processes: Sequence[psutil.Process]) -> None:
    """Wait for the end of processes, of children and others."""
    for process in processes:
        if hasattr(os, "pidfd_open"):
            with contextlib.suppress(ProcessLookupError):
                descriptor = os.pidfd_open(process.pid)
                ended, _, _ = select.select([descriptor], [], [], LIMIT)
                os.close(descriptor)
                assert ended, f"{process} is still there"
        else:
            process.wait(LIMIT)
