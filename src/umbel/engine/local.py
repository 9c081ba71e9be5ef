"""The engine on this machine: a thread that hands clients to worker processes and collects what they answer."""

from __future__ import annotations

import os
import selectors
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress

from umbel._os import raise_file_limit
from umbel.app.message import Error, ErrorCode, Message, failure
from umbel.app.recorddict import RecordDict
from umbel.engine import frames, shared_memory
from umbel.engine.contents import Outbox
from umbel.engine.exchange import Exchange
from umbel.engine.resources import Plan
from umbel.engine.scheduling import ThroughputEstimator, Work
from umbel.engine.worker_handle import Assignment, WorkerHandle
from umbel.errors import AppLoadError, UmbelError, from_code
from umbel.serverapp.aggregation.reduction import Reply
from umbel.wire.records import from_plain

OnLog = Callable[[str, str, int | None], None]  # text, level, node id
OnProgress = Callable[[Exchange], None]

_LARGEST_FOLDED = 30  # level of the largest unit that is folded: as good as unlimited
_LARGEST_PACKED = 5  # level of the largest unit whose replies come one by one: each may need a descriptor
_FRUITLESS_DEATHS = 3  # workers that die in a row without having served anybody


class _Running:
    """An exchange under way: the work left in it and its packed contents."""

    def __init__(self, exchange: Exchange, first_content: int) -> None:
        self.exchange = exchange
        self.work = Work(exchange.unanswered(), _LARGEST_FOLDED if exchange.reduction else _LARGEST_PACKED)
        self.outbox = Outbox(exchange, first_content)
        self.spec = exchange.reduction.spec() if exchange.reduction else None
        self.message_type = exchange.messages[0].metadata.message_type


class LocalEngine:
    """Serves exchanges, first come first served, with as many workers as its plan and its measurements say."""

    def __init__(self, plan: Plan, setup: frames.Setup, on_log: OnLog, on_progress: OnProgress) -> None:
        """Start the workers. `on_log` and `on_progress` are called from the engine's thread."""
        raise_file_limit()
        self._plan = plan
        self._setup = setup
        self._on_log = on_log
        self._on_progress = on_progress
        self._pace = ThroughputEstimator()
        self._workers: list[WorkerHandle] = []
        self._running: list[_Running] = []
        self._submitted: deque[Exchange] = deque()
        self._content_ids = 0
        self._fruitless_deaths = 0
        self._failure: UmbelError | None = None
        self.clientapp_seconds = 0.0  # that workers spent serving, all together
        self._closing = False
        self._selector = selectors.DefaultSelector()
        self._wake_read, self._wake_write = os.pipe()
        os.set_blocking(self._wake_write, False)
        self._selector.register(self._wake_read, selectors.EVENT_READ)
        for _ in range(plan.initial):
            self._start_worker()
        self._thread = threading.Thread(target=self._loop, name="umbel-engine", daemon=True)
        self._thread.start()

    @property
    def worker_pids(self) -> list[int]:
        """The processes of the workers there are now."""
        return [worker.process.pid for worker in self._workers]

    def submit(self, exchange: Exchange) -> None:
        """Take on an exchange; it is over when it says so."""
        self._submitted.append(exchange)
        self._wake()
        if self._failure is not None:
            self._fail(self._failure)

    def close(self) -> None:
        """End all workers and the thread. Exchanges that are not over stay so."""
        self._closing = True
        self._wake()
        if threading.current_thread() is not self._thread:
            self._thread.join()

    def _wake(self) -> None:
        with suppress(BlockingIOError, OSError):
            os.write(self._wake_write, b"\0")

    # The thread.

    def _loop(self) -> None:
        try:
            while not self._closing:
                self._begin_submitted()
                self._hand_out()
                self._relieve()
                self._hand_out()
                for key, _ in self._selector.select(self._patience()):
                    if key.data is None:
                        os.read(self._wake_read, 65536)
                    else:
                        self._serve_channel(key.data)
                self._enforce_limits()
        finally:
            if not self._closing:  # whatever the reason: no caller may wait indefinitely
                self._fail(
                    UmbelError(
                        "Internal error in the simulation engine (a bug in Umbel).",
                        hint="See the traceback in the run's log.",
                    )
                )
            self._shut_down()

    def _shut_down(self) -> None:
        for worker in self._workers:
            worker.kill()
        for worker in self._workers:
            worker.end()
        self._workers.clear()
        for running in self._running:
            running.outbox.close()
        self._selector.close()
        shared_memory.close(self._wake_read)
        wake, self._wake_write = self._wake_write, -1  # the number may be another file's soon
        shared_memory.close(wake)

    def _begin_submitted(self) -> None:
        while self._submitted:
            exchange = self._submitted.popleft()
            if self._failure is not None:
                exchange.failed_with(self._failure)
            elif not exchange.over:
                running = _Running(exchange, self._content_ids)
                self._content_ids += len(running.outbox.all_ids())
                self._running.append(running)

    def _patience(self) -> float | None:
        limits = [at for running in self._running if (at := running.exchange.limit()) is not None]
        if self._is_anybody_idle():
            limits += [self._overdue_at(worker) for worker in self._workers if worker.holds_back()]
        return max(0.0, min(limits) - time.monotonic()) if limits else None

    def _enforce_limits(self) -> None:
        now = time.monotonic()
        for running in list(self._running):
            limit = running.exchange.limit()
            if not running.exchange.over and limit is not None and now >= limit:
                running.exchange.cut_off()
            if running.exchange.over:
                self._finish(running)

    def _finish(self, running: _Running) -> None:
        self._running.remove(running)
        ids = running.outbox.all_ids()
        for worker in self._workers:
            for unit_id, assignment in list(worker.units.items()):
                if assignment.exchange is running.exchange:
                    worker.take_back(unit_id)
            current = worker.current()
            if current is not None and current[0].exchange is running.exchange:
                worker.kill()  # it is serving a client whose reply is no longer needed
            else:
                worker.forget(ids)
        running.outbox.close()

    # Workers.

    def _start_worker(self) -> None:
        taken = {worker.slot for worker in self._workers}
        slot = next(slot for slot in range(len(taken) + 1) if slot not in taken)
        worker = WorkerHandle(slot, self._plan.environment(slot), self._setup)
        self._workers.append(worker)
        self._selector.register(worker.channel, selectors.EVENT_READ, worker)

    def _serve_channel(self, worker: WorkerHandle) -> None:
        worker.flush()
        try:
            for payload, fds in worker.channel.received():
                self._take(worker, frames.decode_from_worker(payload), fds)
        except EOFError:
            self._worker_died(worker)
        else:
            self._watch(worker)

    def _watch(self, worker: WorkerHandle) -> None:
        events = selectors.EVENT_READ | (selectors.EVENT_WRITE if worker.channel.pending else 0)
        if self._selector.get_key(worker.channel).events != events:
            self._selector.modify(worker.channel, events, worker)

    def _take(self, worker: WorkerHandle, frame: frames.FromWorker, fds: list[int]) -> None:
        match frame:
            case frames.Served():
                self._fruitless_deaths = 0
                self._served(worker, frame, fds)
            case frames.Log():
                self._on_log(frame.text, frame.level, frame.node_id)
            case frames.Failed():
                self._fail(from_code(frame.code, frame.message, frame.hint))
            case frames.Ready(error=None):
                worker.is_ready = True
            case frames.Ready():
                self._fail(AppLoadError(frame.error, hint=frame.hint, traceback=frame.traceback))

    def _served(self, worker: WorkerHandle, served: frames.Served, fds: list[int]) -> None:
        assignment = worker.done(served.unit_id)
        exchange = assignment.exchange
        end = assignment.start + len(served.replies)
        self._give_back(exchange, end, assignment.stop)
        if not served.replies:
            return
        self.clientapp_seconds += served.seconds
        self._pace.measured(exchange.messages[0].metadata.message_type, served)
        if exchange.reduction is None:
            _deliver(exchange, worker.contents(served, fds))
        else:
            replies = [(plain.index, _reply(plain, served)) for plain in served.replies]
            exchange.folded(worker.subtrees(served, fds), replies)
        if len(self._workers) > max(1, self._pace.most_by_memory(self._plan)) and not worker.units:
            worker.kill()
        self._on_progress(exchange)

    def _worker_died(self, worker: WorkerHandle) -> None:
        self._selector.unregister(worker.channel)
        self._workers.remove(worker)
        how = worker.end()
        culprit = None if worker.is_unwanted else worker.current()
        for assignment in worker.units.values():
            cut = culprit[1] if culprit and culprit[0] is assignment else assignment.stop
            self._give_back(assignment.exchange, assignment.start, cut)
            self._give_back(assignment.exchange, cut + 1, assignment.stop)
        if culprit:
            self._crashed(*culprit, how)
        elif not worker.is_unwanted:
            self._fruitless_deaths += 1
        if self._fruitless_deaths >= _FRUITLESS_DEATHS:
            self._fail(AppLoadError(f"The worker processes ended {how} while loading the ClientApp."))
        elif not self._closing and self._failure is None and len(self._workers) < self._pace.desired(self._plan):
            self._start_worker()

    def _give_back(self, exchange: Exchange, start: int, stop: int) -> None:
        for running in self._running:
            if running.exchange is exchange:
                running.work.give_back(start, stop)

    def _crashed(self, assignment: Assignment, index: int, how: str) -> None:
        message = assignment.exchange.messages[index]
        node_id = message.metadata.dst_node_id
        reason = f"The process serving node {node_id} ended {how} while processing this message."
        self._on_log(reason, "ERROR", node_id)
        assignment.exchange.replied(index, failure(message, Error(ErrorCode.CLIENT_APP_CRASHED, reason)))
        self._on_progress(assignment.exchange)

    def _fail(self, error: UmbelError) -> None:
        self._failure = error
        for exchange in [*self._submitted, *(running.exchange for running in self._running)]:
            if not exchange.over:
                exchange.failed_with(error)

    # Handing out.

    def _hand_out(self) -> None:
        for running in self._running:
            self._grow(running)
            while running.work.remaining and (worker := self._idlest(running)) is not None:
                self._hand(running, worker)

    def _relieve(self) -> None:
        """Where a worker has nothing to do, take back what others have not begun: queued units, and what waits behind a slow client."""
        now = time.monotonic()
        if not self._is_anybody_idle() or any(running.work.remaining for running in self._running):
            return
        for worker in self._workers:
            first, *queued = worker.units or (None,)
            for unit_id in queued:
                self._give_back(worker.units[unit_id].exchange, *worker.take_back(unit_id))
            if first is not None and worker.holds_back() and now >= self._overdue_at(worker):
                self._give_back(worker.units[first].exchange, *worker.take_back(first))

    def _is_anybody_idle(self) -> bool:
        return any(worker.is_ready and not worker.is_unwanted and not worker.units for worker in self._workers)

    def _overdue_at(self, worker: WorkerHandle) -> float:
        assignment = next(iter(worker.units.values()))
        message_type = assignment.exchange.messages[assignment.start].metadata.message_type
        return worker.busy_since + self._pace.overdue_after(message_type, assignment.stop - assignment.start)

    def _grow(self, running: _Running) -> None:
        desired = min(self._pace.desired(self._plan), len(self._workers) + running.work.remaining)
        while len(self._workers) < desired and self._failure is None:
            self._start_worker()

    def _idlest(self, running: _Running) -> WorkerHandle | None:
        depth = self._pace.depth(running.message_type)
        ready = [
            worker
            for worker in self._workers
            if worker.is_ready and not worker.is_unwanted and len(worker.units) < depth
        ]
        return min(ready, key=lambda worker: len(worker.units), default=None)

    def _next_unit(self, running: _Running) -> tuple[int, int]:
        size = self._pace.unit_size(running.message_type, running.work.remaining, len(self._workers))
        start, stop = running.work.take(size)
        alike = _alike(running.exchange.messages[start:stop])
        if alike < stop - start:
            running.work.give_back(start, stop)
            start, stop = running.work.take(alike)
        return start, stop

    def _hand(self, running: _Running, worker: WorkerHandle) -> None:
        exchange = running.exchange
        start, stop = self._next_unit(running)
        unit_id = worker.assign(Assignment(exchange, start, stop))
        content_ids = running.outbox.ids(start, stop)
        worker.forget(set())
        for content, fds in running.outbox.frames([id_ for id_ in dict.fromkeys(content_ids) if not worker.has(id_)]):
            worker.send(content, fds)
        first = exchange.messages[start].metadata
        nodes = [message.metadata.dst_node_id for message in exchange.messages[start:stop]]
        worker.send(
            frames.Unit(
                unit_id=unit_id,
                exchange=exchange.number,
                keep_from=exchange.keep_from,
                start=start,
                node_ids=nodes,
                content_ids=content_ids,
                message_type=first.message_type,
                ttl=first.ttl,
                created_at=first.created_at,
                group_id=first.group_id,
                reduction=running.spec,
            )
        )
        self._watch(worker)


def _alike(messages: Sequence[Message]) -> int:
    """How many of the first messages can go in one unit: all that differ in node and content alone."""
    first = messages[0].metadata
    for count, message in enumerate(messages):
        metadata = message.metadata
        if (metadata.message_type, metadata.group_id, metadata.ttl) != (first.message_type, first.group_id, first.ttl):
            return count
    return len(messages)


def _reply(plain: frames.PlainReply, served: frames.Served) -> Reply:
    return Reply(
        plain.node_id,
        content=None if plain.content is None else from_plain(plain.content),
        error=None if plain.error is None else Error(*plain.error),
        schema=None if plain.schema is None else served.schemas[plain.schema],
    )


def _deliver(exchange: Exchange, replies: Iterable[tuple[frames.PlainReply, RecordDict | None]]) -> None:
    for plain, content in replies:
        error = None if plain.error is None else Error(*plain.error)
        asked = exchange.messages[plain.index].metadata
        exchange.received += plain.size or len(plain.packed or b"")
        metadata = asked.of_reply(asked.ttl, time.time())
        metadata.message_id = f"{asked.message_id}-reply"
        exchange.replied(plain.index, Message.from_parts(metadata, content, error))
