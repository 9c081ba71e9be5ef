"""The SuperLink behind its API: the store, the objects, the leases and who waits."""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from collections.abc import Callable, Coroutine, Sequence

from sqlalchemy.exc import DBAPIError

from umbel.errors import UmbelError
from umbel.superlink.batching import Batch
from umbel.superlink.domain.node import NodeEvent
from umbel.superlink.executors import Executors
from umbel.superlink.idle import IdleExit
from umbel.superlink.leases import Leases, LeaseTimer
from umbel.superlink.live import Live
from umbel.superlink.meters import Traffic
from umbel.superlink.objects.directory import ObjectDirectory
from umbel.superlink.presence import Attendance
from umbel.superlink.service import answering, claiming, collecting, handing_out, sessions
from umbel.superlink.service.answering import Answer
from umbel.superlink.service.handing_out import Want
from umbel.superlink.service.starting import Kind
from umbel.superlink.service.views import Moment
from umbel.superlink.sitework import SiteWork
from umbel.superlink.store import runs, tasks
from umbel.superlink.store.database import Database, Transaction
from umbel.superlink.wakeups import Wakeups
from umbel.wire.messages import Pulled

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
        kind: Kind = "serverapp",
    ) -> None:
        self.db = db
        self.kind = kind
        self.objects = objects
        self.now = now
        self.started_at = now()
        self.wakeups = Wakeups()
        self.executors = Executors(now)
        self.live = Live()
        self.traffic = Traffic()
        self.idle = IdleExit(idle_exit, self._is_idle)
        self._leases = leases or Leases()
        self._timer = LeaseTimer(self._leases, self._on_expired)
        self._loop = asyncio.get_running_loop()
        self._background: set[asyncio.Task[None]] = set()
        self.nodes = Attendance(self._hear)
        self.work = SiteWork()
        self.pulls = Batch(self._hand_out)
        self.answers = Batch(self._take_answers)
        self._heard = Batch(self._store_heard)
        db.after_commit = self._after_commit

    async def recover(self, *, executor_is_gone: bool) -> None:
        """After a start: hand out again what the SuperExec of the last life held, or give it a fresh lease."""
        if executor_is_gone:
            await self._take_back("the SuperLink was started again")
        for row in await self.db.aread(tasks.unfinished):
            if row.state != "created":
                self.beat(row.task_id)
        alone = not self.db.is_shared
        self.nodes.expect(await self.db.awrite(lambda transaction: sessions.restart(transaction, alone, self.now())))
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
        self.nodes.cancel()
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

    def moment(self) -> Moment:
        """What the views of runs show now, beside the database."""
        return Moment(self.executors, self.now(), self.db.full_since, self.work.of)

    async def _hand_out(self, wants: Sequence[Want]) -> list[Pulled | UmbelError]:
        """What each of some polls gets; nothing is written while there is nothing to lease."""
        looks = await self.db.aread(lambda connection: handing_out.look(connection, wants))
        pulled = [look if isinstance(look, UmbelError) else Pulled(cancelled=list(look.finished)) for look in looks]
        due = [place for place, look in enumerate(looks) if not isinstance(look, UmbelError) and look.changes]
        if due:
            chosen, now = [wants[place] for place in due], self.now()
            taken = await self.db.awrite(lambda transaction: handing_out.take(transaction, chosen, now))
            for place, one in zip(due, taken, strict=True):
                pulled[place] = one
        return pulled

    async def _take_answers(self, answers: Sequence[Answer]) -> list[bool | UmbelError]:
        now = self.now()
        return await self.db.awrite(lambda transaction: answering.take(transaction, answers, self.objects, now))

    def _hear(self, node_id: int, event: NodeEvent) -> None:
        self._in_background(self._heard.ask((node_id, event)))

    async def _store_heard(self, heard: Sequence[tuple[int, NodeEvent]]) -> list[None]:
        now = self.now()
        try:
            await self.db.awrite(lambda transaction: sessions.hear(transaction, heard, now))
        except (UmbelError, DBAPIError) as error:  # told again with the next poll, or by the next silence
            _log.error("What became known of %d nodes could not be stored: %s", len(heard), error)
        return [None] * len(heard)

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
