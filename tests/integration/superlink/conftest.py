"""A SuperLink in this process, on a free port, for the tests of its API."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest_asyncio

from tests.integration.superlink.served import Served, serve_in


@pytest_asyncio.fixture
async def served(tmp_path: Path) -> AsyncIterator[Served]:
    """A SuperLink with its own home."""
    async with serve_in(tmp_path) as running:
        yield running
