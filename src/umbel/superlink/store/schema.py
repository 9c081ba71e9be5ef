"""Bring a database to the schema of this version."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import Connection, Engine, inspect, text

from umbel.errors import ConfigError
from umbel.superlink.store.tables import metadata

if TYPE_CHECKING:
    from alembic.config import Config

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
            f"The database was written by a newer version of Umbel (its schema is {version}).",
            hint="Use that version, or another UMBEL_HOME.",
        )
    command.upgrade(config, "head")
