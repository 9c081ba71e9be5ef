"""Runs of the app in tests/integration/deployment on real sites."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.federation import Federation
from umbel.bundle import build_fab

APP = Path(__file__).parents[1] / "integration" / "deployment" / "app"


class Sites(Federation):
    """A federation that runs this app."""

    def start_app(self, **config: str | float | bool) -> int:
        """Start a run; `config` are overrides, with underscores for hyphens. Returns its id."""
        return self.start(build_fab(APP).data, {name.replace("_", "-"): value for name, value in config.items()})


@contextmanager
def federation(home: Path, nodes: int = 2) -> Iterator[Sites]:
    """Sites and their SuperLink that do not outlive the test."""
    running = Sites(home, nodes)
    try:
        yield running
    finally:
        running.end()
