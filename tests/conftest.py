"""Fixtures of every test: a separate home, and a check for leftover processes, threads and shared memory."""

from __future__ import annotations

import os
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support import examples
from tests.support.homes import describe, temporary_home
from tests.support.leaks import (
    descendants,
    is_leftover,
    join_new_threads,
    kill_new_children,
    shared_memory_files,
)

if TYPE_CHECKING:
    from tests.support.postgres import PostgresServer

KEPT = {"UMBEL_DATA", "UMBEL_PORTABLE"}  # settings of the whole test run
MARKS = {"slow", "data", "torch"}

# The tests start hundreds of interpreters, and compiling the same modules in each of them costs more than the tests themselves.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

examples.load_profile()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Know `--rest`."""
    parser.addoption("--rest", action="store_true", help="only what is not among the fast tests")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """With `--rest`, leave out the fast tests: those without a mark, except for the acceptance tests."""
    if config.getoption("--rest"):
        slow = [
            item
            for item in items
            if "acceptance" in item.path.parts or MARKS & {mark.name for mark in item.iter_markers()}
        ]
        config.hook.pytest_deselected(items=[item for item in items if item not in slow])
        items[:] = slow


@pytest.fixture(scope="session")
def postgres_server(
    testrun_uid: str, tmp_path_factory: pytest.TempPathFactory, worker_id: str
) -> Iterator[PostgresServer]:
    """A PostgreSQL server, the same for all workers; started when the first test needs it."""
    from tests.support.postgres import running_server

    # Not under `tmp_path`: pytest shuts its directories against others, and a server started by root runs as another user.
    files = Path(tempfile.gettempdir()) / f"umbel-postgres-{testrun_uid[:12]}"
    own = tmp_path_factory.getbasetemp()
    with running_server(files, (own if worker_id == "master" else own.parent) / "postgres") as server:
        yield server


@pytest.fixture
def postgres(postgres_server: PostgresServer) -> Iterator[str]:
    """The name of an empty database on that server."""
    with postgres_server.database() as name:
        yield name


@pytest.fixture(autouse=True)
def _leaves_nothing_behind() -> Iterator[None]:
    """Fail a test that leaves child processes, non-daemon threads or shared memory behind."""
    threads, segments = set(threading.enumerate()), shared_memory_files()
    children = set(descendants())
    yield
    leaked = [f"process {describe(process)}" for process in kill_new_children(children)]
    leaked += [f"thread {thread.name}" for thread in join_new_threads(threads)]
    leaked += [f"shared memory {path}" for path in sorted(shared_memory_files() - segments) if is_leftover(path)]
    if leaked:
        pytest.fail("left behind: " + ", ".join(leaked), pytrace=False)


@pytest.fixture(autouse=True)
def umbel_home(monkeypatch: pytest.MonkeyPatch, _leaves_nothing_behind: None) -> Iterator[Path]:
    """An empty `UMBEL_HOME` of the test's own; the local SuperLink that the test starts there ends with it."""
    for name in [name for name in os.environ if name.startswith("UMBEL_") and name not in KEPT]:
        monkeypatch.delenv(name)
    with temporary_home() as home:
        monkeypatch.setenv("UMBEL_HOME", str(home))
        yield home


@pytest.fixture(scope="module")
def shared_home() -> Iterator[Path]:
    """A home for what the tests of a module use together, because to start a SuperLink takes a second of processor time.

    `UMBEL_HOME` names it only if a test says so.
    """
    with temporary_home() as home:
        yield home


@pytest.fixture
def unmeasured(monkeypatch: pytest.MonkeyPatch) -> None:
    """The programs that the test starts load no coverage measurement: for tests of what a program loads and holds."""
    for name in [name for name in os.environ if name.startswith("COVERAGE_")]:
        monkeypatch.delenv(name)
