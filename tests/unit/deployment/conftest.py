"""Runs on sites that a test plays."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.unit.deployment.fakes import Life, Server

Begin = Callable[[Server], Life]


@pytest.fixture
def begin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Begin:
    """Begins a run on a server."""
    return lambda server: Life(server, tmp_path / "replies", monkeypatch)
