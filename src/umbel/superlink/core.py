"""The SuperLink behind its API: the store, the objects, the leases and who waits."""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from collections.abc import Callable, Collection, Coroutine, Sequence

import msgspec
from sqlalchemy.exc import DBAPIError

from umbel.errors import UmbelError
from umbel.superlink.domain.node import NodeEvent
from umbel.superlink.objects.directory import ObjectDirectory
from umbel.superlink.prometheus import Traffic
from umbel.superlink.replicas import ASKED, LIVE, MOVED, WORK, Hooks, Note, Notice, Replicas, new_number
from umbel.superlink.services import (
    failover,
    message_delivery,
    node_sessions,
    object_access,
    reply_intake,
    task_lifecycle,
)
from umbel.superlink.services.message_delivery import Want
from umbel.superlink.services.reply_intake import Answer
from umbel.superlink.services.run_submission import Kind
from umbel.superlink.services.views import ViewContext
from umbel.superlink.store import runs
from umbel.superlink.store import tasks as store_leases
from umbel.superlink.store.database import Database, Transaction
from umbel.superlink.waiting.batching import Batch
from umbel.superlink.waiting.idle import IdleExit
from umbel.superlink.waiting.leases import Leases, LeaseTimer
from umbel.superlink.waiting.live_progress import Executors, Live, SiteWork
from umbel.superlink.waiting.liveness import NodeLiveness
from umbel.superlink.waiting.wakeups import SITE_WORK, Wakeups, run_topic
from umbel.wire.api import ClaimedTask, ClaimTask, Event
from umbel.wire.messages import MessageProgress, Pulled

_log = logging.getLogger(__name__)
_MOST_POLLS = 2000  # served in one go: their answers go out before the replies to the first of them come in


class SuperLink:
    """All that the API's handlers share. To be made in the event loop.

    `now` gives seconds since the epoch; `idle.on_idle` is called once there was nothing to do for `idle_exit`
    seconds (0: never). `number` is this SuperLink's among those on the database; a new one if it is not given.
    `has_superexec`: it has one that ends with it.
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
        number: int | None = None,
        has_superexec: bool = False,
    ) -> None:
        self.db = db
        self.kind = kind
        self.has_superexec = has_superexec
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
        self.nodes = NodeLiveness(self._hear)
        self.work = SiteWork(lambda: self.wakeups.wake([SITE_WORK]))
        self.pulls = Batch(self._hand_out, _MOST_POLLS)
        self.answers = Batch(self._take_answers)
        self._heard = Batch(self._store_heard)
        hooks = Hooks(self._on_notice, self._on_connected, self._on_check)
        self.replicas = Replicas(db, number or new_number(), hooks)
        self._suspects: set[int] = set()
        db.after_commit = self._after_commit

    async def recover(self, last: int | None = None) -> None:
        """After a start: hand out again what the SuperExec of the last life held, and watch over the rest from now on.

        `last` is the number that this SuperLink had in its last life. On SQLite every other one has ended.
        """
        await self.replicas.start()
        ended = set() if last is None else {last}
        if not self.db.is_shared:
            ended = await self.db.aread(store_leases.replicas)
            self.nodes.expect(await self.db.awrite(lambda transaction: node_sessions.restart(transaction, self.now())))
        await self._adopt(ended)
        self.idle.touch()
        self._in_background(self._collect())

    async def executor_died(self) -> None:
        """Hand out again what the SuperExec held that has just died: its processes end with it."""
        try:
            await self._take_back("its SuperExec died")
        except UmbelError as error:  # the leases run out instead
            _log.error("Failed to reclaim the tasks of the SuperExec: %s", error)

    async def _take_back(self, reason: str) -> None:
        number = self.replicas.number
        await self.db.awrite(lambda transaction: failover.take_back(transaction, number, reason, self.now()))

    def close(self) -> None:
        """End every wait and every timer; the database is closed by its owner."""
        self.replicas.close()
        self.wakeups.close()
        self._timer.cancel()
        self.nodes.cancel()
        self.idle.cancel()
        for task in self._background:
            task.cancel()

    def new_id(self) -> int:
        """A random id of a run or a task; JavaScript's whole numbers end at 2**53."""
        return secrets.randbelow(2**53 - 1) + 1

    async def claim(self, wanted: ClaimTask, *, own: bool) -> ClaimedTask | None:
        """Hand out a task; `own`: to the SuperExec that ends with this SuperLink."""
        claimed = await self.db.awrite(lambda transaction: self._claim(transaction, wanted, own=own))
        if claimed is not None:
            self._hear_of(claimed.task_id)
        return claimed

    def _claim(self, transaction: Transaction, wanted: ClaimTask, *, own: bool) -> ClaimedTask | None:
        claimed = task_lifecycle.claim(transaction, wanted, self.now())
        if claimed is not None:
            store_leases.hold(transaction, claimed.task_id, self.replicas.number, own=own)
        return claimed

    def beat(self, task_id: int) -> None:
        """A sign of life of a task's process."""
        if task_id not in self._leases.known():
            self._in_background(self._hold([task_id]))
        self._hear_of(task_id)

    def _hear_of(self, task_id: int) -> None:
        self._leases.beat(task_id, self._loop.time())
        self._timer.arm()

    def park(self, task_id: int) -> None:
        """A heartbeat request of a task begins to wait."""
        self._leases.park(task_id)

    def unpark(self, task_id: int) -> None:
        """A heartbeat request of a task has ended."""
        self._leases.unpark(task_id, self._loop.time())
        self._timer.arm()

    def moment(self) -> ViewContext:
        """What the views of runs show now, beside the database."""
        return ViewContext(self.executors, self.now(), self.db.full_since, self.work.of)

    async def _hand_out(self, wants: Sequence[Want]) -> list[Pulled | UmbelError]:
        """What each of some polls gets; nothing is written while there is nothing to lease."""
        calm = {place: want for place, want in enumerate(wants) if not want.woken}
        looks = (
            await self.db.aread(lambda connection: message_delivery.look(connection, list(calm.values())))
            if calm
            else []
        )
        told = zip(calm, map(message_delivery.told, looks), strict=True)
        found = {place: pulled for place, pulled in told if pulled is not None}
        due = [place for place in range(len(wants)) if place not in found]
        if due:
            chosen, now = [wants[place] for place in due], self.now()
            taken = await self.db.awrite(lambda transaction: message_delivery.take(transaction, chosen, now))
            message_delivery.share(taken)
            found |= dict(zip(due, taken, strict=True))
        return [found[place] for place in range(len(wants))]

    async def _take_answers(self, answers: Sequence[Answer]) -> list[bool | UmbelError]:
        now = self.now()
        return await self.db.awrite(lambda transaction: reply_intake.take(transaction, answers, self.objects, now))

    def _hear(self, node_id: int, event: NodeEvent) -> None:
        self._in_background(self._heard.ask((node_id, event)))

    async def _store_heard(self, heard: Sequence[tuple[int, NodeEvent]]) -> list[None]:
        now, number = self.now(), self.replicas.number
        try:
            await self.db.awrite(lambda transaction: node_sessions.hear(transaction, heard, now, number))
        except (UmbelError, DBAPIError) as error:  # told again with the next poll, or by the next silence
            _log.error("Failed to store state changes of %d nodes: %s", len(heard), error)
        return [None] * len(heard)

    def _on_notice(self, notice: Notice) -> None:
        for note in notice.notes:
            self._take_note(note)
        self._announce(notice.topics, notice.released, notice.finished)

    def _take_note(self, note: Note) -> None:
        if note.kind == MOVED:
            self.nodes.moved(note.data)
        elif note.kind == ASKED:
            self.executors.heard(*note.data)
        elif note.kind == LIVE:
            run_id, events = note.data
            self.live.publish(run_id, msgspec.convert(events, list[Event]))
            self.wakeups.wake([run_topic(run_id)])
        elif note.kind == WORK:
            node_id, said = note.data
            self.work.take(node_id, msgspec.convert(said, list[MessageProgress]), self.now())

    def _on_connected(self) -> None:
        self.wakeups.wake_all()

    async def _on_check(self, alive: Collection[int]) -> bool:
        """Take over from those that are dead for the second time in a row, and see that memory and database agree.

        Returns whether others were found dead for the first time.
        """
        number, here = self.replicas.number, self._leases.known()
        watch = await self.db.aread(lambda connection: failover.look(connection, number))
        suspects = watch.replicas.difference(alive)
        gone, self._suspects = suspects & self._suspects, suspects - self._suspects
        for task_id in watch.mine - here:
            self._hear_of(task_id)
        if here - watch.mine:
            await self._hold(here - watch.mine)
        if gone or watch.unwatched:
            await self._adopt(gone)
        return bool(self._suspects)

    async def _adopt(self, gone: Collection[int]) -> None:
        number = self.replicas.number
        adopted = await self.db.awrite(lambda transaction: failover.adopt(transaction, gone, number, self.now()))
        for task_id in adopted.tasks:
            self._hear_of(task_id)
        self.nodes.expect(adopted.nodes)

    async def _hold(self, task_ids: Collection[int]) -> None:
        number = self.replicas.number
        try:
            await self.db.awrite(lambda transaction: failover.hold(transaction, task_ids, number))
        except (UmbelError, DBAPIError) as error:
            _log.error("Failed to announce that tasks %s are monitored here: %s", task_ids, error)

    def _after_commit(self, transaction: Transaction) -> None:
        if transaction.dropped:
            self._remove(transaction.dropped)
        if transaction.topics or transaction.released or transaction.finished:
            said = (transaction.topics, transaction.released, transaction.finished)
            self._loop.call_soon_threadsafe(self._announce, *said)

    def _remove(self, digests: set[str]) -> None:
        try:
            self.db.write(lambda transaction: object_access.remove(transaction, digests, self.objects))
        except (UmbelError, DBAPIError) as error:
            _log.warning("%d unreferenced objects will be kept until the next start: %s", len(digests), error)

    def _announce(self, topics: Collection[str], released: Collection[int], finished: Collection[int]) -> None:
        for task_id in released:
            self._leases.end(task_id)
        for run_id in finished:
            self.live.forget(run_id)
        if finished:
            self.idle.touch()
        self.wakeups.wake(topics)

    def _on_expired(self, task_ids: list[int]) -> None:
        self._in_background(self._lose(task_ids))

    def _in_background(self, work: Coroutine[None, None, None]) -> None:
        task = self._loop.create_task(work)
        self._background.add(task)
        task.add_done_callback(self._background.discard)

    async def _lose(self, task_ids: list[int]) -> None:
        seconds, number = self._leases.seconds, self.replicas.number

        def lose(transaction: Transaction) -> None:
            silent = failover.silent(transaction, task_ids, number)
            task_lifecycle.lose(transaction, silent, seconds, self.now())

        try:
            await self.db.awrite(lose)
        except (UmbelError, DBAPIError) as error:
            _log.error("Failed to reclaim tasks %s; retrying: %s", task_ids, error)
            for task_id in task_ids:
                self._hear_of(task_id)

    async def _collect(self) -> None:
        try:
            await self.db.awrite(lambda transaction: object_access.drop_orphans(transaction, self.objects))
        except (UmbelError, DBAPIError) as error:
            _log.warning("Unreferenced objects will be kept until the next start: %s", error)

    async def _is_idle(self) -> bool:
        return not await self.db.aread(runs.unfinished)
