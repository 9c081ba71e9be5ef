"""The workers there are: kept warm between the messages of their run."""

from __future__ import annotations

import os
import time
from contextlib import contextmanager
from threading import Lock
from typing import TYPE_CHECKING

from umbel.engine import frames
from umbel.engine.resources import worker_environment
from umbel.supernode.worker import SiteWorker

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from umbel.bundle.flat import Config
    from umbel.environments.prepare import Environment
    from umbel.supernode.budget import Grant
    from umbel.supernode.runs import PreparedRun
    from umbel.supernode.statedir import StateDir

IDLE = 600.0  # seconds after which a worker that nobody needs ends
MOST_IDLE = 4  # workers


class _Idle:
    """A worker that waits for its run's next message."""

    def __init__(self, worker: SiteWorker, grant: Grant, since: float) -> None:
        self.worker = worker
        self.grant = grant
        self.since = since


class WorkerPool:
    """Lends workers. `on_log` gets what apps write: run id, text, level."""

    def __init__(
        self,
        state: StateDir,
        node_config: Config,
        on_log: Callable[[int, str, str], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._state = state
        self._node_config = node_config
        self._on_log = on_log
        self._clock = clock
        self._idle: list[_Idle] = []  # longest idle first
        self._busy: set[SiteWorker] = set()
        self._lock = Lock()

    @contextmanager
    def lent(self, prepared: PreparedRun, surroundings: Environment, grant: Grant) -> Iterator[SiteWorker]:
        """A worker of this run for one message, a warm one if there is one; kept afterwards, unless it has ended."""
        worker = self._take(prepared.run.run_id, grant) or self._start(prepared, surroundings, grant)
        with self._lock:
            self._busy.add(worker)
        try:
            yield worker
        except BaseException:
            worker.close()  # whatever it was: nobody knows what the worker is at
            raise
        else:
            with self._lock:
                self._idle.append(_Idle(worker, grant, self._clock()))
        finally:
            with self._lock:
                self._busy.remove(worker)
        self.trim()

    def trim(self) -> None:
        """End workers that were idle for long, that are too many, or that have ended by themselves."""
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
        """End the idle workers of a run."""
        self._end(lambda idle: idle.worker.run_id == run_id)

    def close(self) -> None:
        """End all workers, the busy ones too."""
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

    def _start(self, prepared: PreparedRun, surroundings: Environment, grant: Grant) -> SiteWorker:
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
        environment = surroundings.variables(os.environ) | worker_environment(grant.cpus, grant.gpus)
        return SiteWorker(
            surroundings.interpreter, environment, setup, lambda text, level: self._on_log(run.run_id, text, level)
        )
