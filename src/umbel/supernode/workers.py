"""Worker processes of a SuperNode, and their pool."""

from __future__ import annotations

import os
import time
from contextlib import contextmanager
from queue import SimpleQueue
from threading import Lock, Thread
from typing import TYPE_CHECKING

from umbel.engine import frames
from umbel.engine.resources import worker_environment
from umbel.engine.worker_handle import WorkerProcess
from umbel.errors import AppLoadError, UmbelError, from_code

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from umbel.bundle.config import Config
    from umbel.environments.prepare import Environment
    from umbel.supernode.resources import Grant
    from umbel.supernode.runs import PreparedRun
    from umbel.supernode.state import StateDir

    OnLog = Callable[[str, str], None]  # text, level
    OnProgress = Callable[[float, float, str], None]  # done, total, unit
    StartWorker = Callable[[str, Mapping[str, str], frames.Setup, OnLog], "SiteWorker"]


class WorkerEnded(Exception):
    """The worker process ended without an answer; `had_begun` says whether it had begun to serve the message."""

    def __init__(self, how: str, *, had_begun: bool) -> None:
        self.how = how
        self.had_begun = had_begun
        super().__init__(how)


class SiteWorker(WorkerProcess):
    """A worker process that serves one message at a time; a separate thread reads its output, also between messages."""

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
        """The ID to use for the unit and the content of the next message."""
        return self._served + 1

    def serve(self, content: bytes | tuple[int, int], unit: frames.Unit, on_progress: OnProgress) -> frames.Served:
        """Serve a unit of one message and return the client's answer; `content` is bytes, or a file descriptor and a size.

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
        """Kill the process and wait for its end."""
        self.kill()
        self._listener.join()

    def _send(self, frame: frames.ToWorker, fds: tuple[int, ...] = ()) -> None:
        with self._sending:
            if self.has_ended:
                return  # the listener has reported the end, or is about to
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
                    os.close(fd)  # no frame that is used here comes with descriptors
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


IDLE = 600.0  # seconds after which an idle worker is ended
MOST_IDLE = 4  # idle workers that are kept


class _Idle:
    """An idle worker, kept for the next message of its run."""

    def __init__(self, worker: SiteWorker, grant: Grant, since: float) -> None:
        self.worker = worker
        self.grant = grant
        self.since = since


class WorkerPool:
    """Worker processes, reused for later messages of the same run. `on_log` receives the output of apps: run ID, text, level."""

    def __init__(
        self,
        state: StateDir,
        node_config: Config,
        on_log: Callable[[int, str, str], None],
        clock: Callable[[], float] = time.monotonic,
        start: StartWorker = SiteWorker,
    ) -> None:
        self._start_worker = start
        self._state = state
        self._node_config = node_config
        self._on_log = on_log
        self._clock = clock
        self._idle: list[_Idle] = []  # longest idle first
        self._busy: set[SiteWorker] = set()
        self._lock = Lock()

    @contextmanager
    def lend(self, prepared: PreparedRun, environment: Environment, grant: Grant) -> Iterator[SiteWorker]:
        """Provide a worker of this run for one message: an idle one with the same grant, else a new one.

        It is kept as idle afterwards, and closed if the block raises.
        """
        worker = self._take(prepared.run.run_id, grant) or self._start(prepared, environment, grant)
        with self._lock:
            self._busy.add(worker)
        try:
            yield worker
        except BaseException:
            worker.close()  # the state of the worker is unknown
            raise
        else:
            with self._lock:
                self._idle.append(_Idle(worker, grant, self._clock()))
        finally:
            with self._lock:
                self._busy.remove(worker)
        self.trim()

    def trim(self) -> None:
        """Close idle workers that exceed the idle time or the idle limit, or whose process has ended."""
        now = self._clock()
        with self._lock:
            surplus = len(self._idle) - MOST_IDLE
            kept = [
                idle
                for place, idle in enumerate(self._idle)
                if place >= surplus and now - idle.since < IDLE and not idle.worker.has_ended
            ]
            ending = [idle for idle in self._idle if idle not in kept]
            self._idle = kept
        for idle in ending:
            idle.worker.close()

    def end_run(self, run_id: int) -> None:
        """Close the idle workers of a run."""
        self._end(lambda idle: idle.worker.run_id == run_id)

    def close(self) -> None:
        """Close all workers, including busy ones."""
        self._end(lambda _: True)
        with self._lock:
            busy = list(self._busy)
        for worker in busy:
            worker.close()

    def _end(self, unwanted: Callable[[_Idle], bool]) -> None:
        with self._lock:
            ending = [idle for idle in self._idle if unwanted(idle)]
            self._idle = [idle for idle in self._idle if idle not in ending]
        for idle in ending:
            idle.worker.close()

    def _take(self, run_id: int, grant: Grant) -> SiteWorker | None:
        with self._lock:
            for idle in reversed(self._idle):
                if (idle.worker.run_id, idle.grant) == (run_id, grant) and not idle.worker.has_ended:
                    self._idle.remove(idle)
                    return idle.worker
        return None

    def _start(self, prepared: PreparedRun, environment: Environment, grant: Grant) -> SiteWorker:
        run = prepared.run
        setup = frames.Setup(
            app_dir=str(prepared.app_dir),
            clientapp=prepared.clientapp,
            run_id=run.run_id,
            seed=run.seed,
            run_config=dict(run.run_config),
            first_node_id=0,
            num_partitions=0,
            state_dir=str(self._state.client_state(run.run_id)),
            node_config=dict(self._node_config),
        )
        variables = environment.variables(os.environ) | worker_environment(grant.cpus, grant.gpus)
        return self._start_worker(
            environment.interpreter, variables, setup, lambda text, level: self._on_log(run.run_id, text, level)
        )
