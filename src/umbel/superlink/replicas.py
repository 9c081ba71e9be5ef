"""Several SuperLinks on one database: notifications, liveness and take-over."""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Awaitable, Callable, Collection
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from umbel.errors import UmbelError
from umbel.superlink.store import engines
from umbel.superlink.store.database import Database, Transaction

if TYPE_CHECKING:
    import psycopg


# The kinds of notes, and their data.
HELLO = "hello"  # nothing
MOVED = "moved"  # the id of a node that polls the sender now
ASKED = "asked"  # a SuperExec that asked for work, the kinds of tasks, its slots
LIVE = "live"  # the id of a run and its newest `progress` events
WORK = "work"  # the id of a node and the progress of its messages
_LIMIT = 7_900  # bytes of a notification, of at most 8,000


class Note(msgspec.Struct, array_like=True):
    """Something that is live and not stored."""

    kind: str
    data: Any


class Notice(msgspec.Struct, array_like=True):
    """What a transaction has for other SuperLinks; its fields are those of a `Transaction`."""

    sender: int
    topics: list[str] = []
    released: list[int] = []
    finished: list[int] = []
    notes: list[Note] = []


def payloads(notice: Notice) -> list[str]:
    """The notice in as few parts as it takes; a single note that is too long is left out."""
    encoded = msgspec.json.encode(notice)
    if len(encoded) <= _LIMIT:
        return [encoded.decode()]
    fields = ("topics", "released", "finished", "notes")
    items = [(field, item) for field in fields for item in getattr(notice, field)]
    if len(items) == 1:
        return []
    middle = len(items) // 2
    return [payload for half in (items[:middle], items[middle:]) for payload in payloads(_part(notice.sender, half))]


def _part(sender: int, items: list[tuple[str, Any]]) -> Notice:
    part = Notice(sender, [], [], [], [])
    for field, item in items:
        getattr(part, field).append(item)
    return part


_log = logging.getLogger(__name__)
CHANNEL = "umbel"
CHECK = 30.0  # seconds between two looks for SuperLinks that have died
_CONFIRM = 15.0  # seconds until the second look at one that seems dead; more than it takes to be connected again
_FIRST_DELAY, _LONGEST_DELAY = 0.2, 10.0  # seconds until the database is tried again
_ALIVE = """
SELECT (classid::bigint << 32) | objid::bigint FROM pg_locks
WHERE locktype = 'advisory' AND objsubid = 1 AND granted
AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
"""


def new_number() -> int:
    """A number for a SuperLink; 53 bits, so that no two of them ever have the same one."""
    return secrets.randbelow(2**53 - 1) + 1


class Hooks(NamedTuple):
    """What is called, in the event loop, as it comes up."""

    on_notice: Callable[[Notice], None]  # of another SuperLink
    on_connected: Callable[[], None]  # notices may have been missed before
    on_check: Callable[
        [Collection[int]], Awaitable[bool]
    ]  # with the numbers of those that live; whether another seems dead


class Replicas:
    """This SuperLink, with its `number`, among those on `db`. To be used in the event loop, but for `announce`."""

    def __init__(self, db: Database, number: int, hooks: Hooks) -> None:
        self.number = number
        self.others: set[int] = set()  # of which something was heard
        self.connected = 0  # how often it has begun to listen
        self._db = db
        self._hooks = hooks
        self._notes: dict[tuple[str, object], Any] = {}
        self._sending: asyncio.Task[None] | None = None
        self._listening: asyncio.Task[None] | None = None
        self._closing = asyncio.Event()
        if db.is_shared:
            db.before_commit = self.announce

    async def start(self) -> None:
        """Start listening; returns once no notification can be missed, or if the database is unreachable."""
        if self._db.is_shared:
            first = asyncio.Event()
            self._listening = asyncio.create_task(self._listen(first))
            await first.wait()

    def close(self) -> None:
        """Listen no more."""
        self._closing.set()
        for task in (self._listening, self._sending):
            if task is not None:
                task.cancel()

    def announce(self, transaction: Transaction) -> None:
        """Send what a transaction has for others with its commit. Blocks."""
        if transaction.topics or transaction.released or transaction.finished or transaction.notes:
            notice = Notice(
                self.number,
                sorted(transaction.topics),
                sorted(transaction.released),
                sorted(transaction.finished),
                [Note(*note) for note in transaction.notes],
            )
            notify = text("SELECT pg_notify(:channel, :payload)")
            for payload in payloads(notice):
                transaction.execute(notify, {"channel": CHANNEL, "payload": payload})

    def tell(self, kind: str, key: object, data: object) -> None:
        """Let the others know something that is not stored; of what has the same key only the newest is sent."""
        if self.others:
            self._notes[kind, key] = data
            if self._sending is None:
                self._sending = asyncio.create_task(self._send())

    async def _send(self) -> None:
        try:
            while self._notes:
                notes = [(kind, data) for (kind, _), data in self._notes.items()]
                self._notes = {}
                await self._db.awrite(lambda transaction, notes=notes: transaction.notes.extend(notes))  # type: ignore[misc]
        except UmbelError as error:
            _log.warning("Failed to send live progress to the other SuperLinks: %s", error)
        finally:
            self._sending = None

    async def _listen(self, first: asyncio.Event) -> None:
        import psycopg

        delay = _FIRST_DELAY
        while not self._closing.is_set():
            try:
                async with await self._connect() as connection:
                    delay = _FIRST_DELAY
                    await self._follow(connection, first)
            except (psycopg.Error, DBAPIError, UmbelError) as error:
                _log.warning("Notifications from other SuperLinks are not being received: %s", error)
            first.set()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._closing.wait(), delay)
            delay = min(2 * delay, _LONGEST_DELAY)

    async def _connect(self) -> psycopg.AsyncConnection[Any]:
        import psycopg

        return await psycopg.AsyncConnection.connect(
            engines.conninfo(self._db.url), autocommit=True, **engines.KEEP_ALIVE
        )

    async def _follow(self, connection: psycopg.AsyncConnection[Any], first: asyncio.Event) -> None:
        locked = await self._lock(connection)
        await connection.execute(f"LISTEN {CHANNEL}")
        self._hooks.on_connected()
        await self._db.awrite(lambda transaction: transaction.notes.append((HELLO, None)))
        self.connected += 1
        first.set()
        connection.add_notify_handler(lambda notification: self._hear(notification.payload))
        seems_dead = False
        while True:
            await self._hear_for(_CONFIRM if seems_dead else CHECK, connection)
            locked = locked or await self._lock(connection)
            alive = {number async for (number,) in await connection.execute(_ALIVE)}
            self.others &= alive
            seems_dead = await self._hooks.on_check(alive | {self.number})

    async def _hear_for(self, seconds: float, connection: psycopg.AsyncConnection[Any]) -> None:
        """Take what arrives. The driver's own way to do so wakes up ten times a second."""
        loop, libpq, readable = asyncio.get_running_loop(), connection.pgconn, asyncio.Event()
        descriptor = libpq.socket
        loop.add_reader(descriptor, readable.set)
        try:
            async with asyncio.timeout(seconds):
                while True:
                    await readable.wait()
                    readable.clear()
                    libpq.consume_input()
                    while notification := libpq.notifies():
                        self._hear(notification.extra.decode())
        except TimeoutError:
            return
        finally:
            loop.remove_reader(descriptor)

    async def _lock(self, connection: psycopg.AsyncConnection[Any]) -> bool:
        """Take the lock of this SuperLink's number; the server may not have noticed yet that the last connection is gone."""
        cursor = await connection.execute("SELECT pg_try_advisory_lock(%s)", [self.number])
        row = await cursor.fetchone()
        return bool(row and row[0])

    def _hear(self, payload: str) -> None:
        try:
            notice = msgspec.json.decode(payload, type=Notice)
        except msgspec.DecodeError as error:
            _log.warning("Received an invalid notification from another SuperLink: %s", error)
            return
        if notice.sender == self.number:
            return  # known here before the commit
        if notice.sender not in self.others:
            self.others.add(notice.sender)
            self.tell(HELLO, None, None)
        self._hooks.on_notice(notice)
