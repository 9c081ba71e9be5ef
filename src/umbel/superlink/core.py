"""The SuperLink behind its API: the store, the objects, the leases and who waits."""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from collections.abc import Callable, Coroutine

from sqlalchemy.exc import DBAPIError

from umbel.errors import UmbelError
from umbel.superlink.executors import Executors
from umbel.superlink.idle import IdleExit
from umbel.superlink.leases import Leases, LeaseTimer
from umbel.superlink.live import Live
from umbel.superlink.objects.directory import ObjectDirectory
from umbel.superlink.service import claiming, collecting
from umbel.superlink.store import runs, tasks
from umbel.superlink.store.database import Database, Transaction
from umbel.superlink.wakeups import Wakeups

_log = logging.getLogger(__name__)


class SuperLink:
    """All that the API's handlers share. To be made in the event loop.

    `now` gives seconds since the epoch; `idle.on_idle` is called once there was nothing to do for `idle_exit`
    seconds (0: never).
    """

    def __init__(
        self,
        db: Database,
        objects: ObjectDirectory,
        *,
        leases: Leases | None = None,
        now: Callable[[], float] = time.time,
        idle_exit: float = 0.0,
    ) -> None:
        self.db = db
        self.objects = objects
        self.now = now
        self.started_at = now()
        self.wakeups = Wakeups()
        self.executors = Executors(now)
        self.live = Live()
        self.idle = IdleExit(idle_exit, self._is_idle)
        self._leases = leases or Leases()
        self._timer = LeaseTimer(self._leases, self._on_expired)
        self._loop = asyncio.get_running_loop()
        self._background: set[asyncio.Task[None]] = set()
        db.after_commit = self._after_commit

    async def recover(self, *, executor_is_gone: bool) -> None:
        """After a start: hand out again what the SuperExec of the last life held, or give it a fresh lease."""
        if executor_is_gone:
            await self._take_back("the SuperLink was started again")
        for row in await self.db.aread(tasks.unfinished):
            if row.state != "created":
                self.beat(row.task_id)
        self.idle.touch()
        self._in_background(self._collect())

    async def executor_died(self) -> None:
        """Hand out again what the SuperExec held that has just died: its processes end with it."""
        try:
            await self._take_back("its SuperExec died")
        except UmbelError as error:  # the leases run out instead
            _log.error("The tasks of the SuperExec could not be taken back: %s", error)

    async def _take_back(self, reason: str) -> None:
        await self.db.awrite(lambda transaction: claiming.take_back(transaction, reason, self.now()))

    def close(self) -> None:
        """End every wait and every timer; the database is closed by its owner."""
        self.wakeups.close()
        self._timer.cancel()
        self.idle.cancel()
        for task in self._background:
            task.cancel()

    def new_id(self) -> int:
        """A random id of a run or a task; JavaScript's whole numbers end at 2**53."""
        return secrets.randbelow(2**53 - 1) + 1

    def beat(self, task_id: int) -> None:
        """A sign of life of a task's process."""
        self._leases.beat(task_id, self._loop.time())
        self._timer.arm()

    def park(self, task_id: int) -> None:
        """A heartbeat request of a task begins to wait."""
        self._leases.park(task_id)

    def unpark(self, task_id: int) -> None:
        """It ended."""
        self._leases.unpark(task_id, self._loop.time())
        self._timer.arm()

    def _after_commit(self, transaction: Transaction) -> None:
        if transaction.dropped:
            self._remove(transaction.dropped)
        if transaction.topics:
            self._loop.call_soon_threadsafe(self._announce, transaction)

    def _remove(self, digests: set[str]) -> None:
        try:
            self.db.write(lambda transaction: collecting.remove(transaction, digests, self.objects))
        except (UmbelError, DBAPIError) as error:
            _log.warning("%d objects without a reference stay until the next start: %s", len(digests), error)

    def _announce(self, transaction: Transaction) -> None:
        for task_id in transaction.released:
            self._leases.end(task_id)
        for run_id in transaction.finished:
            self.live.forget(run_id)
        if transaction.finished:
            self.idle.touch()
        self.wakeups.wake(transaction.topics)

    def _on_expired(self, task_ids: list[int]) -> None:
        self._in_background(self._lose(task_ids))

    def _in_background(self, work: Coroutine[None, None, None]) -> None:
        task = self._loop.create_task(work)
        self._background.add(task)
        task.add_done_callback(self._background.discard)

    async def _lose(self, task_ids: list[int]) -> None:
        seconds = self._leases.seconds
        try:
            await self.db.awrite(lambda transaction: claiming.lose(transaction, task_ids, seconds, self.now()))
        except (UmbelError, DBAPIError) as error:
            _log.error("Tasks %s could not be taken back, to be tried again: %s", task_ids, error)
            for task_id in task_ids:
                self.beat(task_id)

    async def _collect(self) -> None:
        try:
            await self.db.awrite(lambda transaction: collecting.drop_orphans(transaction, self.objects))
        except (UmbelError, DBAPIError) as error:
            _log.warning("Objects without a reference stay until the next start: %s", error)

    async def _is_idle(self) -> bool:
        return not await self.db.aread(runs.unfinished)
