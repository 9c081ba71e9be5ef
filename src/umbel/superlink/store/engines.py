"""Database engines and schema migration."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import URL, Connection, Engine, create_engine, event, inspect, make_url, text
from sqlalchemy.engine import ExceptionContext
from sqlalchemy.exc import ArgumentError

from umbel.errors import ConfigError
from umbel.superlink.store.tables import metadata

if TYPE_CHECKING:
    from alembic.config import Config


_POSTGRES_THREADS = 4  # that write, and as many that read
_NAMES = {"sqlite": "sqlite", "postgresql": "postgresql+psycopg", "postgres": "postgresql+psycopg"}
_HINT = "Use sqlite:////PATH/umbel.db or postgresql+psycopg://USER:PASSWORD@HOST/NAME."
_SQLITE = ("journal_mode=WAL", "synchronous=NORMAL", "busy_timeout=10000", "foreign_keys=ON")
# A statement or a lock that takes longer than a client waits is given up; a server that vanishes is noticed within 30 s.
_POSTGRES = "SET statement_timeout = '25s'; SET lock_timeout = '10s'; SET idle_in_transaction_session_timeout = '60s'"
KEEP_ALIVE: dict[str, Any] = {
    "connect_timeout": 5,  # seconds
    "keepalives_idle": 15,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 30_000,  # milliseconds
    "application_name": "umbel-superlink",
}


def parse(text: str) -> URL:
    """The URL of a database. Raises ConfigError for a kind that is not known, or whose driver is not installed."""
    try:
        url = make_url(text)
    except ArgumentError:  # its message may hold the password
        raise ConfigError("The database address is not a URL.", hint=_HINT) from None
    kind, _, driver = url.drivername.partition("+")
    if kind not in _NAMES or (driver and url.drivername != _NAMES[kind]):
        raise ConfigError(f"Unsupported database type {url.drivername!r}.", hint=_HINT)
    if kind != "sqlite" and importlib.util.find_spec("psycopg") is None:
        raise ConfigError(
            "The driver for PostgreSQL is not installed.", hint='Install it with `pip install "umbel[postgres]"`.'
        )
    return url.set(drivername=_NAMES[kind])


def conninfo(url: URL) -> str:
    """How the driver of PostgreSQL itself takes a database's URL. Holds the password."""
    return url.set(drivername="postgresql").render_as_string(hide_password=False)


def is_sqlite(url: URL) -> bool:
    """Whether the database is a file of this machine, with one writer at a time."""
    return url.get_backend_name() == "sqlite"


def threads(url: URL, *, writes: bool) -> int:
    """How many threads may write, or read, at a time."""
    return _POSTGRES_THREADS if not is_sqlite(url) else 1 if writes else 2


def engine(url: URL, *, writes: bool) -> Engine:
    """The connections for writing, or for reading: a reader sees one moment for as long as it reads."""
    sized: dict[str, Any] = {"pool_size": threads(url, writes=writes), "max_overflow": 0}
    if is_sqlite(url):
        made = create_engine(url, **sized)
        event.listen(made, "connect", _sqlite_settings)
        begin = "BEGIN IMMEDIATE" if writes else "BEGIN"
        event.listen(made, "begin", lambda connection: connection.exec_driver_sql(begin))
        return made
    isolation = "READ COMMITTED" if writes else "REPEATABLE READ"
    made = create_engine(url, isolation_level=isolation, connect_args=KEEP_ALIVE, **sized)
    event.listen(made, "connect", _postgres_settings)
    event.listen(made, "handle_error", _note_shutdown)
    return made


def _sqlite_settings(connection: Any, _record: object) -> None:
    connection.isolation_level = None  # the driver's own BEGIN comes too late: ours is sent by the "begin" event
    for pragma in _SQLITE:
        connection.execute(f"PRAGMA {pragma}")


def _note_shutdown(context: ExceptionContext) -> None:
    """A server that ends says so on every connection: none of them is any good."""
    if str(getattr(context.original_exception, "sqlstate", "")).startswith("57P"):
        context.is_disconnect = True


def _postgres_settings(connection: Any, _record: object) -> None:
    connection.execute(_POSTGRES)
    connection.commit()


_PREPARING = 0x756D62656D  # an advisory lock of PostgreSQL
HEAD = "0004"
_VERSION_TABLE = """
CREATE TABLE alembic_version (
    version_num VARCHAR(32) NOT NULL, CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
)
"""
MIGRATIONS = Path(__file__).parent / "migrations"


def prepare(engine: Engine) -> None:
    """Create the tables in an empty database, migrate an older one. Raises ConfigError for one of a newer version."""
    with engine.begin() as connection:
        if (
            connection.dialect.name == "postgresql"
        ):  # another SuperLink may start too, and a migration may take its time
            connection.execute(text(f"SET LOCAL statement_timeout = 0; SELECT pg_advisory_xact_lock({_PREPARING})"))
        version = _version(connection)
        if version is None:
            _create(connection)
        elif version != HEAD:
            _migrate(connection, version)


def alembic_config(connection: Connection) -> Config:
    """Alembic's settings for the migrations inside the package."""
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.attributes["connection"] = connection
    return config


def _version(connection: Connection) -> str | None:
    if not inspect(connection).has_table("alembic_version"):
        return None
    return str(connection.execute(text("SELECT version_num FROM alembic_version")).scalar_one())


def _create(connection: Connection) -> None:
    metadata.create_all(connection, checkfirst=False)
    connection.execute(text(_VERSION_TABLE))
    connection.execute(text("INSERT INTO alembic_version (version_num) VALUES (:head)"), {"head": HEAD})


def _migrate(connection: Connection, version: str) -> None:
    from alembic import command
    from alembic.script import ScriptDirectory

    config = alembic_config(connection)
    known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
    if version not in known:
        raise ConfigError(
            f"The database was created by a newer version of Umbel (schema {version}).",
            hint="Use that version, or another UMBEL_HOME.",
        )
    command.upgrade(config, "head")
