"""The stores that the conformance suite runs on: one for each dialect."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.postgres import PostgresServer
from umbel.superlink.store.database import Database
from umbel.superlink.store.engines import prepare

DIALECTS = ["sqlite", "postgresql"]


@pytest.fixture
def postgres_url(postgres_server: PostgresServer, postgres: str) -> str:
    """The URL of an empty database of PostgreSQL."""
    return postgres_server.url(postgres)


@pytest.fixture(params=DIALECTS)
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of an empty database of each dialect."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'umbel.db'}"
    return str(request.getfixturevalue("postgres_url"))


@pytest.fixture
def db(url: str) -> Iterator[Database]:
    """An empty store of each dialect."""
    database = Database(url)
    prepare(database.writer)
    yield database
    database.close()
