"""Command lines, environment variables and limits of task processes."""

from __future__ import annotations

import sys
from collections import deque
from typing import TYPE_CHECKING

from umbel.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

PROGRAMS = {  # by the kind of a task
    "simulation": (sys.executable, "-m", "umbel.simulation.main"),
    "serverapp": (sys.executable, "-m", "umbel.deployment.main"),
}
CONCURRENT = {"simulation": 1, "serverapp": 8}  # defaults: the process of a ServerApp mostly waits for its nodes
EXECUTOR_TOKEN = "UMBEL_EXECUTOR_TOKEN"  # noqa: S105 - a name, not a token
ROOT_CERTIFICATES = "UMBEL_ROOT_CERTIFICATES"
TASK_TOKEN = "UMBEL_TASK_TOKEN"  # noqa: S105 - a name, not a token
MAX_CONCURRENT = "UMBEL_MAX_CONCURRENT_RUNS"
TAIL_LINES = 50
LONGEST_LINE = 2000  # characters; longer lines are truncated


def command(program: Sequence[str], address: str, task_id: int) -> list[str]:
    """The command line of a task's process."""
    return [*program, "--superlink", address, "--task-id", str(task_id)]


def environment(
    environ: Mapping[str, str], token: str, run_id: int, root_certificates: str | None = None
) -> dict[str, str]:
    """The environment variables of a task's process: those of the SuperExec, with the task's token in place of the executor's.

    The hash seed depends on the run alone, so that sets have the same order in each attempt. `root_certificates` is the file of the
    certificate authorities that the SuperExec trusts.
    """
    kept = {name: value for name, value in environ.items() if name not in (EXECUTOR_TOKEN, ROOT_CERTIFICATES)}
    trusted = {ROOT_CERTIFICATES: root_certificates} if root_certificates else {}
    hashes = {"PYTHONHASHSEED": str(run_id % 2**32)}
    return {**hashes, **kept, **trusted, TASK_TOKEN: token, "PYTHONUNBUFFERED": "1"}


def executor_token(environ: Mapping[str, str]) -> str:
    """The token with which a SuperExec claims tasks. Raises UsageError when it is not set."""
    token = environ.get(EXECUTOR_TOKEN, "")
    if not token:
        raise UsageError(
            f"No executor token in {EXECUTOR_TOKEN}.",
            hint="A SuperLink starts its own SuperExec; there is no need to start one manually. "
            "A SuperExec on another machine requires --superexec-auth-secret-file.",
        )
    return token


def max_concurrent(option: int | None, environ: Mapping[str, str]) -> dict[str, int]:
    """The maximum number of concurrent tasks by kind: from the option, the environment, or `CONCURRENT`. Raises UsageError below 1."""
    text = environ.get(MAX_CONCURRENT)
    if option is None and not text:
        return dict(CONCURRENT)
    try:
        number = int(text or "") if option is None else option
    except ValueError:
        number = 0
    if number < 1:
        what = f"{MAX_CONCURRENT}={text}" if option is None else f"--max-concurrent {option}"
        raise UsageError(f"Invalid {what}: the limit must be a positive integer.", hint="Use an integer of at least 1.")
    return dict.fromkeys(CONCURRENT, number)


class Tail:
    """The last `TAIL_LINES` lines of a process's output, each truncated to `LONGEST_LINE` characters."""

    def __init__(self) -> None:
        self._lines: deque[str] = deque(maxlen=TAIL_LINES)

    def add(self, raw: bytes) -> str:
        """Add a line and return it as stored: only the text after the last carriage return, as a terminal shows a progress bar."""
        text = raw.decode(errors="replace").rstrip("\r\n")
        line = text.rpartition("\r")[2][:LONGEST_LINE]
        self._lines.append(line)
        return line

    def lines(self) -> list[str]:
        """The lines, oldest first."""
        return list(self._lines)
