"""Processes of tasks, and the scratch directories of their runs."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from threading import Event, Lock, Thread
from typing import IO, TYPE_CHECKING

from umbel import _os
from umbel.home import runs_dir
from umbel.superexec.plan import Tail

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence


@contextlib.contextmanager
def lock_scratch(run_id: int) -> Iterator[int]:
    """Lock the scratch directory of a run, after waiting for any process that uses it; yields the descriptor of the lock.

    A process that inherits the descriptor holds the lock until it ends, so that the next attempt waits for an earlier
    one that has not ended yet.
    """
    folder = runs_dir() / str(run_id)
    folder.mkdir(mode=0o700, exist_ok=True)
    descriptor = os.open(folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        _os.lock(descriptor)
        yield descriptor
    finally:
        os.close(descriptor)


def remove_scratch(run_id: int) -> None:
    """Remove the scratch directory of a run that has finished."""
    import shutil  # imports compression libraries, which an idle SuperExec does not need

    shutil.rmtree(runs_dir() / str(run_id), ignore_errors=True)


GRACE = 5.0  # seconds between SIGTERM and SIGKILL
DRAIN = 2.0  # seconds for reading the last output after the process group has ended
LONGEST_READ = 64 * 1024  # bytes; a longer line is split


class Process:
    """A running process, the leader of a separate session and process group.

    Its stdin is a pipe from this process: EOF means that this process has ended, and that it must end too. When it
    ends, the rest of its group is killed. It inherits the descriptor `lock`. `on_line` receives each line of its output,
    from another thread. Raises OSError when it cannot be started.
    """

    def __init__(
        self, command: Sequence[str], environ: Mapping[str, str], lock: int, on_line: Callable[[str], object]
    ) -> None:
        self.gone = Event()
        self._lock = Lock()  # between signalling the group and reaping its leader
        self._tail = Tail()
        self._on_line = on_line
        self._popen = subprocess.Popen(
            command,
            env=environ,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            pass_fds=(lock,),
        )
        assert self._popen.stdout is not None
        self._reader = Thread(target=self._read, args=(self._popen.stdout,), name=f"output of {self.pid}", daemon=True)
        self._reader.start()

    @property
    def pid(self) -> int:
        """The process ID, which is also the ID of the process group."""
        return self._popen.pid

    def wait(self) -> int:
        """Wait for its end and kill the rest of its group; returns the return code, which is negative for a signal."""
        if hasattr(os, "waitid"):
            # Until it is reaped, its PID, which is also the group ID, cannot be reused.
            os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOWAIT)
        with self._lock:
            self._signal_group(signal.SIGKILL)
            returncode = self._popen.wait()
            self.gone.set()
        self._reader.join(DRAIN)
        assert self._popen.stdin is not None
        self._popen.stdin.close()
        return returncode

    def stop(self, grace: float = GRACE) -> None:
        """Send SIGTERM to the process and, if it has not ended after `grace` seconds, SIGKILL to its group."""
        with self._lock:
            if not self.gone.is_set():
                self._popen.send_signal(signal.SIGTERM)
        if not self.gone.wait(grace):
            with self._lock:
                if not self.gone.is_set():
                    self._signal_group(signal.SIGKILL)

    def tail(self) -> list[str]:
        """The last lines of its output."""
        return self._tail.lines()

    def _signal_group(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, number)

    def _read(self, output: IO[bytes]) -> None:
        with output:
            while line := output.readline(LONGEST_READ):
                self._on_line(self._tail.add(line))
