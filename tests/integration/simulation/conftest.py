"""A local SuperLink, started as the command line starts it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from umbel.cli.local import connect_local
from umbel.wire.control import ControlClient


@pytest.fixture
def control(umbel_home: Path) -> Iterator[ControlClient]:
    """A client of the SuperLink of the test's home."""
    client = connect_local()
    yield client
    client.close()
