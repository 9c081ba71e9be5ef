"""A folder of wheels from which uv takes everything, and nothing from elsewhere."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.distributions import stock_wheels


@pytest.fixture
def wheels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder."""
    return stock_wheels(tmp_path, monkeypatch)
