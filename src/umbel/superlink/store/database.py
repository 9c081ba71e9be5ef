"""The database: one writer at a time, readers beside it, and what is to happen once a write is durable."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine, create_engine, event, make_url
from sqlalchemy.exc import DBAPIError

from umbel.errors import StorageFull

T = TypeVar("T")
_FULL = {sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR_WRITE, sqlite3.SQLITE_IOERR_FSYNC, sqlite3.SQLITE_IOERR_SHMSIZE}
_POSTGRES_FULL = "53100"


class Transaction:
    """An open write, and what is to happen once it is committed."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.topics: set[str] = set()  # to wake
        self.dropped: set[str] = set()  # digests of objects to remove
        self.released: set[int] = set()  # tasks that no process works on any more
        self.finished: set[int] = set()  # runs
        self.execute = connection.execute


class Database:
    """Access to the database at an SQLAlchemy `url`, e.g. "sqlite:////home/me/umbel.db".

    `write` and `read` block; `awrite` and `aread` run them beside the event loop. A full disk raises StorageFull, and
    `full_since` says since when, in seconds since the epoch; None while there is room.
    """

    def __init__(self, url: str) -> None:
        self.writer = _engine(url, writes=True)
        self.reader = _engine(url, writes=False)
        self._write_thread = ThreadPoolExecutor(1, thread_name_prefix="db-write")
        self._read_threads = ThreadPoolExecutor(2, thread_name_prefix="db-read")
        self.full_since: float | None = None
        self.after_commit: Callable[[Transaction], None] = lambda transaction: None

    def write(self, change: Callable[[Transaction], T]) -> T:
        """Run `change` in a transaction that is durable when this returns, then call `after_commit`."""
        try:
            with self.writer.begin() as connection:
                transaction = Transaction(connection)
                result = change(transaction)
        except DBAPIError as error:
            if full := _full(error):
                self.full_since = self.full_since or time.time()
                raise full from error
            raise
        self.full_since = None
        self.after_commit(transaction)
        return result

    def read(self, query: Callable[[Connection], T]) -> T:
        """Run `query` on one consistent view."""
        with self.reader.begin() as connection:
            return query(connection)

    async def awrite(self, change: Callable[[Transaction], T]) -> T:
        """`write`, in the writer thread."""
        return await asyncio.get_running_loop().run_in_executor(self._write_thread, self.write, change)

    async def aread(self, query: Callable[[Connection], T]) -> T:
        """`read`, in a reader thread."""
        return await asyncio.get_running_loop().run_in_executor(self._read_threads, self.read, query)

    def close(self) -> None:
        """Wait for what is under way and close."""
        self._write_thread.shutdown()
        self._read_threads.shutdown()
        self.reader.dispose()
        self.writer.dispose()


def _engine(url: str, *, writes: bool) -> Engine:
    sqlite = make_url(url).get_backend_name() == "sqlite"
    isolation: dict[str, Any] = {} if sqlite or writes else {"isolation_level": "REPEATABLE READ"}
    engine = create_engine(url, pool_size=1 if writes else 2, max_overflow=0, **isolation)
    if sqlite:
        event.listen(engine, "connect", _sqlite_pragmas)
        begin = "BEGIN IMMEDIATE" if writes else "BEGIN"
        event.listen(engine, "begin", lambda connection: connection.exec_driver_sql(begin))
    return engine


def _sqlite_pragmas(connection: Any, _record: object) -> None:
    connection.isolation_level = None  # the driver's own BEGIN comes too late: ours is sent by the "begin" event
    for pragma in ("journal_mode=WAL", "synchronous=NORMAL", "busy_timeout=10000", "foreign_keys=ON"):
        connection.execute(f"PRAGMA {pragma}")


def _full(error: DBAPIError) -> StorageFull | None:
    code = getattr(error.orig, "sqlite_errorcode", None)
    if code in _FULL or getattr(error.orig, "sqlstate", None) == _POSTGRES_FULL:
        return StorageFull(hint="Free some space on the disk of the SuperLink; the run goes on then.")
    return None
