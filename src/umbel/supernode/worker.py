"""A warm worker of one run: a process that has loaded the ClientApp and serves one message after another."""

from __future__ import annotations

import os
from queue import SimpleQueue
from threading import Lock, Thread
from typing import TYPE_CHECKING

from umbel.engine import frames
from umbel.engine.process import WorkerProcess
from umbel.errors import AppLoadError, UmbelError, from_code

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    OnLog = Callable[[str, str], None]  # text, level
    OnProgress = Callable[[float, float, str], None]  # done, total, unit


class WorkerEnded(Exception):
    """The process ended without an answer; `had_begun` tells whether it was serving the message."""

    def __init__(self, how: str, *, had_begun: bool) -> None:
        self.how = how
        self.had_begun = had_begun
        super().__init__(how)


class SiteWorker(WorkerProcess):
    """Serves one message at a time; a thread of its own hears all it says, also between messages."""

    def __init__(self, interpreter: str, environment: Mapping[str, str], setup: frames.Setup, on_log: OnLog) -> None:
        super().__init__(environment, interpreter)
        self.run_id = setup.run_id
        self.has_ended = False
        self._on_log = on_log
        self._on_progress: OnProgress | None = None
        self._failure: UmbelError | None = None
        self._answers: SimpleQueue[frames.Served | UmbelError | str] = SimpleQueue()
        self._sending = Lock()
        self._served = 0
        self._send(setup)
        self._listener = Thread(target=self._listen, name=f"worker {self.process.pid}", daemon=True)
        self._listener.start()

    @property
    def next_unit(self) -> int:
        """The id that the next message's unit and content have."""
        return self._served + 1

    def serve(self, content: bytes | tuple[int, int], unit: frames.Unit, on_progress: OnProgress) -> frames.Served:
        """What the client answers to a unit of one message, with its content as bytes or as a descriptor and a size.

        Raises WorkerEnded, AppLoadError, StorageFull.
        """
        if self._failure is not None:
            raise self._failure
        self._served = unit.unit_id
        self._on_progress = on_progress
        if isinstance(content, bytes):
            self._send(frames.Content(unit.unit_id, content))
        else:
            self._send(frames.Content(unit.unit_id, size=content[1]), (content[0],))
        self._send(unit)
        try:
            answer = self._answers.get()
        finally:
            self._on_progress = None
        if isinstance(answer, str):
            raise WorkerEnded(answer, had_begun=self.whereabouts.current[0] == unit.unit_id)
        self._send(frames.Forget([unit.unit_id]))
        if isinstance(answer, UmbelError):
            raise answer
        return answer

    def close(self) -> None:
        """End the process and wait until it is gone."""
        self.kill()
        self._listener.join()

    def _send(self, frame: frames.ToWorker, fds: tuple[int, ...] = ()) -> None:
        with self._sending:
            if self.has_ended:
                return  # the listener has said so, or is about to
            try:
                self.channel.send(frames.encode(frame), fds)
            except OSError:
                return  # likewise

    # The thread.

    def _listen(self) -> None:
        try:
            while True:
                payload, fds = self.channel.receive()
                for fd in fds:
                    os.close(fd)  # no frame that is of use here brings any
                self._take(frames.decode_from_worker(payload))
        except EOFError:
            self.process.wait()
        with self._sending:
            self.has_ended = True
            how = self.end()
        self._answers.put(how)

    def _take(self, frame: frames.FromWorker) -> None:
        match frame:
            case frames.Served():
                self._answers.put(frame)
            case frames.Log():
                self._on_log(frame.text, frame.level)
            case frames.Progress():
                if on_progress := self._on_progress:
                    on_progress(frame.done, frame.total, frame.unit)
            case frames.Failed():
                self._answers.put(from_code(frame.code, frame.message, frame.hint))
            case frames.Ready(error=str(error)):
                self._failure = AppLoadError(error, hint=frame.hint, traceback=frame.traceback)
                self._answers.put(self._failure)
                self.kill()
