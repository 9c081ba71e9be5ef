"""The processes of one session on Linux: find them, add up their memory, end them."""

from __future__ import annotations

import os
import select
import signal
import threading
import time
from pathlib import Path
from types import TracebackType
from typing import Self

TOKEN_VARIABLE = "UMBEL_BENCHMARK_SESSION"
PROC = Path("/proc")


class Family:
    """All processes that have the session's token in their environment, and their descendants.

    Daemons that left their parent are found by the token; those that rewrote or dropped their environment by descent,
    and once found they stay in.
    """

    def __init__(self, token: str) -> None:
        self.mark = f"{TOKEN_VARIABLE}={token}".encode()
        self.known: dict[int, tuple[str, bool]] = {}  # pid → (start time, member)

    def members(self) -> list[int]:
        """The pids of the session's live processes."""
        table = {pid: entry for pid in pids() if (entry := read_stat(pid)) is not None}
        for pid, (_, started) in table.items():
            if self.known.get(pid, ("", False))[0] != started:
                self.known[pid] = (started, self.is_marked(pid))
        self.known = {pid: entry for pid, entry in self.known.items() if pid in table}
        self.adopt({pid: parent for pid, (parent, _) in table.items()})
        return [pid for pid, (_, member) in self.known.items() if member]

    def is_marked(self, pid: int) -> bool:
        """True if the token is in the environment that the process was started with."""
        return self.mark in read(pid, "environ").split(b"\0")

    def adopt(self, parents: dict[int, int]) -> None:
        """Make every descendant of a member a member."""
        for pid in parents:
            line = [pid]
            while line[-1] in parents and not self.known[line[-1]][1]:
                line.append(parents[line[-1]])
            if line[-1] in parents:
                self.known.update({child: (self.known[child][0], True) for child in line})


class MemorySampler:
    """Adds up the memory of a family every `interval` seconds, in a thread, while the context is open.

    `samples` holds (seconds since the epoch, bytes). The sum is of proportional set sizes: what several processes
    share counts once.
    """

    def __init__(self, family: Family, interval: float = 0.05) -> None:
        self.family = family
        self.interval = interval
        self.samples: list[tuple[float, int]] = []
        self.closing = threading.Event()
        self.thread = threading.Thread(target=self.sample, name="memory sampler")

    def __enter__(self) -> Self:
        self.thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.closing.set()
        self.thread.join()

    def sample(self) -> None:
        """Sample until the context closes."""
        while not self.closing.wait(self.interval):
            self.samples.append((time.time(), sum(proportional_set_size(pid) for pid in self.family.members())))


def end(family: Family, patience: float = 5.0) -> None:
    """Ask all members to end, kill those that do not within `patience` seconds, and return when none is left."""
    while members := family.members():
        for pid in members:
            send(pid, signal.SIGTERM)
        deadline = time.monotonic() + patience
        for pid in members:
            if not wait_for_exit(pid, deadline - time.monotonic()):
                send(pid, signal.SIGKILL)
                wait_for_exit(pid, patience)


def send(pid: int, number: signal.Signals) -> None:
    """Send a signal to a process that may be gone already."""
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return


def wait_for_exit(pid: int, seconds: float) -> bool:
    """True if the process ended within `seconds`."""
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        poll = select.poll()
        poll.register(descriptor, select.POLLIN)
        return bool(poll.poll(max(0.0, seconds) * 1000))
    finally:
        os.close(descriptor)


def pids() -> list[int]:
    """All processes of the machine."""
    return [int(entry.name) for entry in PROC.iterdir() if entry.name.isdigit()]


def read_stat(pid: int) -> tuple[int, str] | None:
    """The parent's pid and the start time; None for a process that is gone or has ended."""
    fields = read(pid, "stat").rpartition(b")")[2].split()
    return None if not fields or fields[0] in b"ZX" else (int(fields[1]), fields[19].decode())


def proportional_set_size(pid: int) -> int:
    """Bytes of memory, shared pages divided among those who share them; 0 for a process that is gone."""
    for line in read(pid, "smaps_rollup").splitlines():
        if line.startswith(b"Pss:"):
            return int(line.split()[1]) * 1024
    return 0


def read(pid: int, name: str) -> bytes:
    """A file of /proc, empty if the process is gone or not ours."""
    try:
        return (PROC / str(pid) / name).read_bytes()
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return b""
