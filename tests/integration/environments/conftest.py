"""A folder of wheels from which uv takes everything, and nothing from elsewhere."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.environments.distributions import wheel


def stocked(folder: Path, environment: pytest.MonkeyPatch) -> Path:
    """A folder of wheels below `folder`, with `demo-lib` 1.0 and 2.0 in it; all that uv has from now on."""
    wheels = folder / "wheels"
    for version in ("1.0", "2.0"):
        wheel(wheels, "demo-lib", version)
    environment.setenv("UV_FIND_LINKS", str(wheels))
    environment.setenv("UV_CACHE_DIR", str(folder / "uv"))
    for name in ("UV_NO_INDEX", "UV_OFFLINE", "UV_NO_CONFIG"):
        environment.setenv(name, "1")
    return wheels


@pytest.fixture
def wheels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder."""
    return stocked(tmp_path, monkeypatch)
