"""What a database's errors mean to whoever asked."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy.exc import DataError, DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from umbel.errors import DatabaseUnavailable, RequestInvalid, StorageFull, UmbelError

_log = logging.getLogger(__name__)
_FULL = {sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR_WRITE, sqlite3.SQLITE_IOERR_FSYNC, sqlite3.SQLITE_IOERR_SHMSIZE}
_BUSY = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_BUSY_SNAPSHOT, sqlite3.SQLITE_LOCKED}
_POSTGRES_FULL = "53100"
_MET = ("40001", "40P01")  # could not be put in an order with another transaction; deadlock
_UNIQUE = "23505"  # another transaction has just inserted the row that this one looked for
# Connection lost or refused, out of connections, shutting down, a time-out of a lock or of a statement.
_POSTGRES_GONE = ("08", "53", "57", "55P03", "25P02", "25P03")
_ROOM = "Free some space on the disk of the SuperLink; the run goes on then."
_WAIT = "It heals by itself when the database answers again; the SuperLink's log says more."

Fault = DBAPIError | PoolTimeout


def typed(error: Fault) -> UmbelError | None:
    """The error that a client may see; None for what can only be a fault of our own."""
    if isinstance(error, PoolTimeout):
        return DatabaseUnavailable("The database is too busy.", hint=_WAIT)
    sqlite, state = _sqlite_code(error), getattr(error.orig, "sqlstate", None)
    if sqlite in _FULL or state == _POSTGRES_FULL:
        return StorageFull(hint=_ROOM)
    if isinstance(error, DataError):
        return RequestInvalid(
            "The database cannot hold a value of the request: it is too long, or has a NUL character."
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
            _log.warning("The database does not answer: %s", getattr(error, "orig", error))
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
