"""A worker process as its parent sees it."""

from __future__ import annotations

import mmap
import os
import signal
import socket
import subprocess
import sys
import time
import weakref
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from umbel.app.recorddict import RecordDict
from umbel.engine import frames, shared_memory
from umbel.engine.exchange import Exchange
from umbel.engine.frames import Channel
from umbel.serverapp.aggregation.reduction import Partial, Subtree
from umbel.serverapp.aggregation.weighted_sum import Buffer, WeightedSum
from umbel.wire.records import unpack


class WorkerProcess:
    """A running `umbel.engine.worker`. It ends when we do."""

    def __init__(self, environment: Mapping[str, str], interpreter: str = sys.executable) -> None:
        """Start it, with these environment variables beside our own; its first frame must be a Setup."""
        self.is_unwanted = False  # killed on purpose: its end is not a crash
        ours, theirs = socket.socketpair()
        lifeline, self._lifeline = os.pipe()
        words = shared_memory.create_cursor()
        self.whereabouts = shared_memory.SharedCursor(words)
        inherited = [theirs.fileno(), lifeline, words]
        self.process = subprocess.Popen(
            [interpreter, "-m", "umbel.engine.worker", *map(str, inherited)],
            env={**os.environ, **environment},
            stdin=subprocess.DEVNULL,
            pass_fds=inherited,
        )
        theirs.close()
        shared_memory.close(lifeline)
        shared_memory.close(words)
        self.channel = Channel(ours)

    def kill(self) -> None:
        """Kill the worker on purpose."""
        self.is_unwanted = True
        self.process.kill()

    def end(self) -> str:
        """Wait for the process, which is ending, and let go of everything. Says how it ended."""
        code = self.process.wait()
        self.channel.close()
        shared_memory.close(self._lifeline)
        if code >= 0:
            return f"with exit code {code}"
        name = signal.Signals(-code).name if -code in {*signal.Signals} else f"signal {-code}"
        return f"by {name}" + (" (possibly out of memory)" if name == "SIGKILL" else "")


@dataclass
class Assignment:
    """A unit that a worker has: dispatch indices start … stop - 1 of an exchange."""

    exchange: Exchange
    start: int
    stop: int


class WorkerHandle(WorkerProcess):
    """Starts a worker, sends it units, and keeps account of what it has: units, contents, lent memory."""

    def __init__(self, slot: int, environment: Mapping[str, str], setup: frames.Setup) -> None:
        """Start the process; it says `Ready` when the app is loaded."""
        super().__init__(environment)
        self.slot = slot
        self.is_ready = False
        self.units: dict[int, Assignment] = {}
        self.busy_since = 0.0  # on the monotonic clock: when it began its first unit
        self._unit_ids = 0
        self._contents: set[int] = set()
        self._segments: dict[int, mmap.mmap] = {}
        self._returned: deque[int] = deque()
        self.channel.setblocking(False)
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
        """Release these contents in the worker, and return lent memory that has been released."""
        known = list(self._contents & content_ids)
        self._contents.difference_update(known)
        returned = [self._returned.popleft() for _ in range(len(self._returned))]
        if known or returned:
            self.send(frames.Forget(known, returned))

    def subtrees(self, served: frames.Served, fds: list[int]) -> list[Subtree]:
        """The sums of a unit, over the worker's own memory where they are large."""
        descriptors = iter(fds)
        partials: dict[tuple[int, int], Partial] = {}
        for head in served.sums:
            schema = served.schemas[head.schema]
            total = WeightedSum(schema, self._buffer(head, descriptors), head.weight, head.count, head.first)
            partials.setdefault((head.level, head.position), {})[schema] = total
        found: list[Subtree] = [(*place, partial) for place, partial in partials.items()]
        return found + [(level, position, None) for level, position in served.missing]

    def _buffer(self, head: frames.Sum, fds: Iterator[int]) -> Buffer:
        if head.data is not None:
            return np.frombuffer(bytearray(head.data), dtype=np.uint8)
        return self._lent(head, fds)

    def contents(self, served: frames.Served, fds: list[int]) -> Iterator[tuple[frames.PlainReply, RecordDict | None]]:
        """The replies of a unit with their contents, over the worker's own memory where they are large; None for an error."""
        descriptors = iter(fds)
        for plain in served.replies:
            if plain.error is not None:
                yield plain, None
            elif plain.packed is not None:
                yield plain, unpack(bytearray(plain.packed))
            else:
                yield plain, unpack(self._lent(plain, descriptors).data)

    def _lent(self, head: frames.Sum | frames.PlainReply, fds: Iterator[int]) -> Buffer:
        """Memory that the worker lends; it is given back when no array over it is left."""
        if head.is_new:
            fd = next(fds)
            self._segments[head.segment] = shared_memory.shared(fd, head.size)
            shared_memory.close(fd)
        buffer = np.frombuffer(self._segments[head.segment], dtype=np.uint8)
        weakref.finalize(buffer, self._returned.append, head.segment)
        return buffer

    def current(self) -> tuple[Assignment, int] | None:
        """The unit and the dispatch index that the worker is or was serving; None if it is idle."""
        unit_id, index = self.whereabouts.current
        assignment = self.units.get(unit_id)
        return None if assignment is None or index >= assignment.stop else (assignment, index)

    def assign(self, assignment: Assignment) -> int:
        """Note a unit that is handed out now; returns its id."""
        self._unit_ids += 1
        if not self.units:
            self.busy_since = time.monotonic()
        self.units[self._unit_ids] = assignment
        return self._unit_ids

    def done(self, unit_id: int) -> Assignment:
        """A unit is done: the next one, if there is one, has begun."""
        self.busy_since = time.monotonic()
        return self.units.pop(unit_id)

    def holds_back(self) -> bool:
        """Whether clients wait in its first unit behind the one being served."""
        place = self.current()
        return place is not None and place[1] + 1 < place[0].stop

    def take_back(self, unit_id: int) -> tuple[int, int]:
        """Take back what the worker has not begun of a unit: its range of indices, perhaps empty."""
        assignment = self.units[unit_id]
        limit, stop = assignment.start, assignment.stop
        while True:
            current, index = self.whereabouts.current
            if current > unit_id:
                return stop, stop  # it is done, and its answer is on the way
            if current == unit_id:
                limit = index + 1
            self.whereabouts.cut(unit_id, limit)
            if self.whereabouts.current[0] != unit_id or self.whereabouts.current[1] < limit:
                break
        assignment.stop = min(limit, stop)
        return assignment.stop, stop
