"""The schema and its migrations."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, create_engine, inspect, select, text

from umbel.errors import ConfigError
from umbel.superlink.store import engines
from umbel.superlink.store.tables import hold, metadata

RUN = """
INSERT INTO run (run_id, fab_id, fab_version, fab_hash, fab_size, federation, run_config, federation_config, seed, status,
                 round, num_rounds, pending_at, bytes_sent, bytes_recv, serverapp_seconds, clientapp_seconds, last_seq)
VALUES (7, 'a/b', '1', 'f', 1, 'x', '{}', '{}', 0, 'running', 0, 0, 1.0, 0, 0, 0.0, 0.0, 0)
"""


@pytest.fixture
def engine(url: str) -> Iterator[Engine]:
    """An empty database."""
    made = create_engine(url)
    yield made
    made.dispose()


def described(connection: Connection) -> dict[str, object]:
    """All tables with their columns, keys and indices."""
    look = inspect(connection)
    return {
        table: (
            [(column["name"], str(column["type"]), column["nullable"]) for column in look.get_columns(table)],
            look.get_pk_constraint(table),
            sorted(map(str, look.get_foreign_keys(table))),
            sorted(map(str, look.get_indexes(table))),
            sorted(map(str, look.get_unique_constraints(table))),
        )
        for table in look.get_table_names()
    }


def test_migrations_lead_to_the_schema(engine: Engine) -> None:
    """All migrations, run on an empty database, make the same tables as a new installation has."""
    with engine.begin() as connection:
        command.upgrade(engines.alembic_config(connection), "head")
        migrated = described(connection)
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []
        metadata.drop_all(connection)
        connection.execute(text("DROP TABLE alembic_version"))
    engines.prepare(engine)
    with engine.begin() as connection:
        assert described(connection) == migrated


def test_the_newest_migration_is_the_one_expected(engine: Engine) -> None:
    """The version that is written into a new database is that of the newest migration."""
    with engine.begin() as connection:
        scripts = ScriptDirectory.from_config(engines.alembic_config(connection))
    assert scripts.get_current_head() == engines.HEAD


def test_a_database_that_is_up_to_date_is_left_alone(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    """Preparing twice changes nothing, and needs no migration the second time."""
    engines.prepare(engine)
    before = inspect(engine).get_table_names()
    monkeypatch.setattr(engines, "_migrate", None)
    engines.prepare(engine)
    assert inspect(engine).get_table_names() == before


def test_an_older_database_is_migrated(engine: Engine) -> None:
    """A database of an earlier version is brought to the newest, with all that it holds."""
    with engine.begin() as connection:
        command.upgrade(engines.alembic_config(connection), "0001")
        connection.execute(text(RUN))
        connection.execute(text("INSERT INTO hold (digest, run_id) VALUES ('d', 7)"))
    engines.prepare(engine)
    with engine.begin() as connection:
        assert connection.execute(text("SELECT version_num FROM alembic_version")).scalar_one() == engines.HEAD
        assert connection.execute(select(hold.c.digest, hold.c.run_id, hold.c.message_id)).all() == [("d", 7, "")]


def test_a_newer_database_is_refused(engine: Engine) -> None:
    """A database that a newer version has written is not touched."""
    engines.prepare(engine)
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = 'future'"))
    with pytest.raises(ConfigError, match="newer version"):
        engines.prepare(engine)
