"""A local SuperLink, started as the command line starts it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from umbel.cli.local import connect_local
from umbel.wire.control import ControlClient


@pytest.fixture(scope="module")
def shared(shared_home: Path) -> Iterator[ControlClient]:
    """A client of a SuperLink that the tests of a module share: nothing is left to run there at a test's end."""
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("UMBEL_HOME", str(shared_home))
        client = connect_local()
    yield client
    client.close()


@pytest.fixture
def control(umbel_home: Path) -> Iterator[ControlClient]:
    """A client of the SuperLink of the test's home."""
    client = connect_local()
    yield client
    client.close()
