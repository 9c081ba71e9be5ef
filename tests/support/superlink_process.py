"""Real `umbel-superlink` processes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from umbel.wire.api import ClaimedTask
from umbel.wire.control import ControlClient
from umbel.wire.programs import RuntimeClient

EXECUTOR = "executor-token-of-the-test"
SCRIPT = """
import sys
from umbel.superlink.server import main
if sys.argv[1] != "own":
    main.command = lambda address, **_: [sys.executable, "-c", sys.argv[1], address]
sys.exit(main.main(sys.argv[2:]))
"""


class Program:
    """A SuperLink process on a home, and clients that speak to it.

    `superexec` is Python code that stands for its SuperExec, or "own" for a real one; without it the process has none.
    """

    def __init__(self, home: Path, *options: str, superexec: str | None = None, simulation: bool = True) -> None:
        self.home = home
        environment = {**os.environ, "UMBEL_HOME": str(home), "UMBEL_EXECUTOR_TOKEN": EXECUTOR}
        ready, told = os.pipe()
        kind = ["--simulation"] if simulation else []
        own = [] if superexec is not None else ["--isolation", "process"]
        self.process = subprocess.Popen(
            [sys.executable, "-c", SCRIPT, superexec or "", "--ready-fd", str(told), *own, *kind, *options],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            pass_fds=[told],
        )
        os.close(told)
        with os.fdopen(ready) as said:
            line = said.read()
        assert line, self.process.communicate()[0].decode()
        self.info: dict[str, object] = json.loads(line)
        self.address = str(self.info["address"])

    def control(self) -> ControlClient:
        """A client of a person."""
        return ControlClient(self.address, (self.home / "local" / "token").read_text())

    def executor(self) -> RuntimeClient:
        """A client of a SuperExec."""
        return RuntimeClient(self.address, EXECUTOR)

    def of_task(self, task: ClaimedTask) -> RuntimeClient:
        """A client of a task's process."""
        return RuntimeClient(self.address, task.token)

    def kill(self) -> None:
        """SIGKILL."""
        self.process.kill()
        self.process.communicate()

    def terminate(self) -> str:
        """SIGTERM, which must end it well; returns what it wrote."""
        self.process.terminate()
        output, _ = self.process.communicate(timeout=20)
        assert self.process.returncode == 0, output.decode()
        return output.decode()


@contextmanager
def program(home: Path, *options: str, superexec: str | None = None, simulation: bool = True) -> Iterator[Program]:
    """A SuperLink process that does not outlive the test."""
    running = Program(home, *options, superexec=superexec, simulation=simulation)
    try:
        yield running
    finally:
        if running.process.poll() is None:
            running.terminate()
