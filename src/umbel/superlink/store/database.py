"""Database access: transactions, connections, and errors mapped to domain errors."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar

from sqlalchemy import Connection, Table, text
from sqlalchemy.dialects import sqlite
from sqlalchemy.exc import DataError, DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from umbel.errors import DatabaseUnavailable, RequestInvalid, StorageFull, UmbelError
from umbel.superlink.prometheus import Histogram
from umbel.superlink.store import engines

if TYPE_CHECKING:
    from sqlalchemy.dialects import postgresql


_log = logging.getLogger(__name__)
_FULL = {sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR_WRITE, sqlite3.SQLITE_IOERR_FSYNC, sqlite3.SQLITE_IOERR_SHMSIZE}
_BUSY = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_BUSY_SNAPSHOT, sqlite3.SQLITE_LOCKED}
_POSTGRES_FULL = "53100"
_MET = ("40001", "40P01")  # could not be put in an order with another transaction; deadlock
_UNIQUE = "23505"  # another transaction has just inserted the row that this one looked for
# Connection lost or refused, out of connections, shutting down, a time-out of a lock or of a statement.
_POSTGRES_GONE = ("08", "53", "57", "55P03", "25P02", "25P03")
_ROOM = "Free some space on the SuperLink's disk; the run then continues."
_WAIT = "The SuperLink recovers automatically when the database is back; see its log for details."

Fault = DBAPIError | PoolTimeout


def typed(error: Fault) -> UmbelError | None:
    """The error to show to a client; None for an internal error."""
    if isinstance(error, PoolTimeout):
        return DatabaseUnavailable("The database is overloaded.", hint=_WAIT)
    sqlite, state = _sqlite_code(error), getattr(error.orig, "sqlstate", None)
    if sqlite in _FULL or state == _POSTGRES_FULL:
        return StorageFull(hint=_ROOM)
    if isinstance(error, DataError):
        return RequestInvalid(
            "The database cannot store a value in the request: it is too long or contains a NUL character."
        )
    if error.connection_invalidated or sqlite in _BUSY or _is_gone(error, state):
        return DatabaseUnavailable(hint=_WAIT)
    return None


@contextmanager
def translated() -> Iterator[None]:
    """Raise what a client may see in the place of a database's own errors; the log has those too."""
    try:
        yield
    except (DBAPIError, PoolTimeout) as error:
        known = typed(error)
        if known is None:
            raise
        if isinstance(known, DatabaseUnavailable):
            _log.warning("The database is not responding: %s", getattr(error, "orig", error))
        raise known from error


def repeatable(error: DBAPIError) -> bool:
    """Whether the same transaction can succeed at once: it met another one, or the connection was lost before its end."""
    return error.connection_invalidated or getattr(error.orig, "sqlstate", None) in (*_MET, _UNIQUE)


def _is_gone(error: DBAPIError, state: str | None) -> bool:
    """Whether a PostgreSQL server was not there, or not able, to answer."""
    if state is None:  # no answer of a server at all
        return _sqlite_code(error) is None and isinstance(error, OperationalError | InterfaceError)
    return state.startswith(_POSTGRES_GONE) or state in _MET


def _sqlite_code(error: DBAPIError) -> int | None:
    """SQLite's number for the error, if it comes from there."""
    code: int | None = getattr(error.orig, "sqlite_errorcode", None)
    return code


T = TypeVar("T")
_TRIES = 3  # of a transaction that met another one, or whose connection was lost
_OBJECTS = 0x756D62656C  # the advisory lock of PostgreSQL that stands for all references to objects


class Transaction:
    """An open write, and what is to happen once it is committed."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.topics: set[str] = set()  # to wake
        self.dropped: set[str] = set()  # digests of objects that may have lost their last reference
        self.released: set[int] = set()  # tasks that no process works on any longer
        self.finished: set[int] = set()  # runs
        self.notes: list[tuple[str, object]] = []  # kind and data of what other SuperLinks are to know
        self.complete = False  # whether all was written: only the commit is left
        self.execute = connection.execute
        self._is_postgres = connection.dialect.name == "postgresql"

    def insert_new(self, table: Table, rows: Sequence[Mapping[str, object]]) -> None:
        """Insert those of some rows that are not there yet."""
        if rows:
            self.execute(self._insert(table).on_conflict_do_nothing(), rows)

    def _insert(self, table: Table) -> postgresql.Insert | sqlite.Insert:
        if not self._is_postgres:
            return sqlite.insert(table)
        from sqlalchemy.dialects import postgresql  # only here: most SuperLinks never need it, and it takes a while

        return postgresql.insert(table)

    def guard_objects(self, *, removes: bool = False) -> None:
        """Until the end of this transaction no other one removes objects, or (`removes`) none adds references to objects.

        SQLite has one writer anyway, of one process.
        """
        if self._is_postgres:
            lock = "pg_advisory_xact_lock" if removes else "pg_advisory_xact_lock_shared"
            self.execute(text(f"SELECT {lock}({_OBJECTS})"))


class Database:
    """TlsOptions to the database at an SQLAlchemy `url`, e.g. "sqlite:////home/me/umbel.db".

    `write` and `read` block; `awrite` and `aread` run them beside the event loop. A full disk raises StorageFull, and
    `full_since` says since when, in seconds since the epoch; None while there is room. A server that is gone, or too
    busy, raises DatabaseUnavailable. Raises ConfigError for a URL that cannot be used.
    """

    def __init__(self, url: str) -> None:
        self.url = engines.parse(url)
        self.writer = engines.engine(self.url, writes=True)
        self.reader = engines.engine(self.url, writes=False)
        self._write_threads = _threads("db-write", engines.threads(self.url, writes=True))
        self._read_threads = _threads("db-read", engines.threads(self.url, writes=False))
        self.full_since: float | None = None
        self.latency = Histogram()  # of transactions that write
        self.before_commit: Callable[[Transaction], None] = lambda transaction: None
        self.after_commit: Callable[[Transaction], None] = lambda transaction: None

    @property
    def is_shared(self) -> bool:
        """Whether other SuperLinks may work on the same database."""
        return not engines.is_sqlite(self.url)

    def write(self, change: Callable[[Transaction], T]) -> T:
        """Run `change` in a transaction that is durable when this returns, then call `after_commit`.

        `change` is called again where the transaction met another one or lost its connection before the commit.
        """
        began = time.perf_counter()
        try:
            with translated():
                transaction, result = self._commit(change)
        except StorageFull:
            self.full_since = self.full_since or time.time()
            raise
        self.latency.observe(time.perf_counter() - began)
        self.full_since = None
        self.after_commit(transaction)
        return result

    def read(self, query: Callable[[Connection], T]) -> T:
        """Run `query` on one consistent view."""
        with translated():
            return self._look(query)

    async def awrite(self, change: Callable[[Transaction], T]) -> T:
        """`write`, in a writer thread."""
        return await asyncio.get_running_loop().run_in_executor(self._write_threads, self.write, change)

    async def aread(self, query: Callable[[Connection], T]) -> T:
        """`read`, in a reader thread."""
        return await asyncio.get_running_loop().run_in_executor(self._read_threads, self.read, query)

    def close(self) -> None:
        """Wait for what is under way and close."""
        self._write_threads.shutdown()
        self._read_threads.shutdown()
        self.reader.dispose()
        self.writer.dispose()

    def _commit(self, change: Callable[[Transaction], T], tries: int = _TRIES) -> tuple[Transaction, T]:
        transaction = None
        try:
            with self.writer.begin() as connection:
                transaction = Transaction(connection)
                result = change(transaction)
                self.before_commit(transaction)
                transaction.complete = True
            return transaction, result
        except DBAPIError as error:
            # A connection that was lost within the commit leaves open whether it happened: the client has to ask again.
            in_doubt = error.connection_invalidated and transaction is not None and transaction.complete
            if tries <= 1 or in_doubt or not repeatable(error):
                raise
        return self._commit(change, tries - 1)

    def _look(self, query: Callable[[Connection], T], tries: int = _TRIES) -> T:
        try:
            with self.reader.begin() as connection:
                return query(connection)
        except DBAPIError as error:
            if tries <= 1 or not repeatable(error):
                raise
        return self._look(query, tries - 1)


def _threads(name: str, count: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(count, thread_name_prefix=name)
