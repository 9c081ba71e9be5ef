"""The stores that the conformance suite runs on: one line for each dialect."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from umbel.superlink.store.database import Database
from umbel.superlink.store.schema import prepare

DIALECTS = ["sqlite:///{directory}/umbel.db"]


@pytest.fixture(params=DIALECTS)
def db(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    """An empty database of each dialect."""
    database = Database(request.param.format(directory=tmp_path))
    prepare(database.writer)
    yield database
    database.close()
