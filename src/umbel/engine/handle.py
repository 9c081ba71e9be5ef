"""A worker process as its parent sees it."""

from __future__ import annotations

import mmap
import os
import signal
import socket
import subprocess
import sys
import weakref
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from umbel.engine import frames, segment
from umbel.engine.channel import Channel
from umbel.engine.exchange import Exchange
from umbel.engine.worker import NOBODY
from umbel.serverapp.weightedsum import Buffer, WeightedSum


@dataclass
class Assignment:
    """A unit that a worker has: dispatch indices start … stop - 1 of an exchange."""

    exchange: Exchange
    start: int
    stop: int


class WorkerHandle:
    """Starts a worker, sends it units, and keeps account of what it has: units, contents, lent memory."""

    def __init__(self, slot: int, environment: Mapping[str, str], setup: frames.Setup) -> None:
        """Start the process; it says `Ready` when the app is loaded."""
        self.slot = slot
        self.is_ready = False
        self.is_unwanted = False  # killed by us: its end is nobody's fault
        self.units: dict[int, Assignment] = {}
        self._contents: set[int] = set()
        self._segments: dict[int, mmap.mmap] = {}
        self._returned: deque[int] = deque()
        ours, theirs = socket.socketpair()
        lifeline, self._lifeline = os.pipe()
        current_fd = segment.create(8)
        self._current = memoryview(segment.shared(current_fd, 8)).cast("q")
        self._current[0] = NOBODY
        inherited = [theirs.fileno(), lifeline, current_fd]
        self.process = subprocess.Popen(
            [sys.executable, "-m", "umbel.engine.worker", *map(str, inherited)],
            env={**os.environ, **environment},
            stdin=subprocess.DEVNULL,
            pass_fds=inherited,
        )
        theirs.close()
        segment.close(lifeline)
        segment.close(current_fd)
        ours.setblocking(False)
        self.channel = Channel(ours)
        self.send(setup)

    def send(self, frame: frames.ToWorker, fds: tuple[int, ...] = ()) -> None:
        """Queue a frame; a dead worker takes it silently, its end is noticed when its channel is read."""
        try:
            self.channel.send(frames.encode(frame), fds)
        except OSError:
            return

    def flush(self) -> None:
        """Send what is queued, as far as the socket takes it."""
        try:
            self.channel.flush()
        except OSError:
            return

    def has(self, content_id: int) -> bool:
        """Whether the worker has this content; afterwards it has."""
        if content_id in self._contents:
            return True
        self._contents.add(content_id)
        return False

    def forget(self, content_ids: set[int]) -> None:
        """These contents are not needed any more; memory that was lent and let go of is given back on the way."""
        known = list(self._contents & content_ids)
        self._contents.difference_update(known)
        returned = [self._returned.popleft() for _ in range(len(self._returned))]
        if known or returned:
            self.send(frames.Forget(known, returned))

    def sums(self, served: frames.Served, fds: list[int]) -> list[WeightedSum]:
        """The sums of a unit, over the worker's own memory where they are large."""
        descriptors = iter(fds)
        return [WeightedSum(s.schema, self._buffer(s, descriptors), s.weight, s.count, s.first) for s in served.sums]

    def _buffer(self, head: frames.Sum, fds: Iterator[int]) -> Buffer:
        if head.data is not None:
            return np.frombuffer(bytearray(head.data), dtype=np.uint8)
        if head.is_new:
            fd = next(fds)
            self._segments[head.segment] = segment.shared(fd, head.size)
            segment.close(fd)
        buffer = np.frombuffer(self._segments[head.segment], dtype=np.uint8)
        weakref.finalize(buffer, self._returned.append, head.segment)
        return buffer

    def current(self) -> tuple[Assignment, int] | None:
        """The unit and the dispatch index the worker is, or was, serving; None when it serves nobody."""
        index = self._current[0]
        for assignment in self.units.values():
            if assignment.start <= index < assignment.stop:
                return assignment, index
        return None

    def kill(self) -> None:
        """End it at once; its end is nobody's fault."""
        self.is_unwanted = True
        self.process.kill()

    def end(self) -> str:
        """Wait for the process, which is ending, and let go of everything. Says how it ended."""
        code = self.process.wait()
        self.channel.close()
        segment.close(self._lifeline)
        if code >= 0:
            return f"with exit code {code}"
        name = signal.Signals(-code).name if -code in {*signal.Signals} else f"signal {-code}"
        return f"by {name}" + (" (out of memory, perhaps)" if name == "SIGKILL" else "")
