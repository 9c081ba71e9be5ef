"""`flwr.serverapp`: the ServerApp and its Grid."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from umbel.app.context import Context
from umbel.compat.flwr.grid import Grid
from umbel.compat.flwr.records import adopt_content
from umbel.serverapp import grid, serverapp

__all__ = ["Grid", "ServerApp"]

MISSING = dict.fromkeys(
    (
        "GaussianPrivacyEvent",
        "NeighboringRelation",
        "PrivacyAccountant",
        "PrivacyConfig",
        "PrivacySpent",
        "RdpAccountant",
        "SamplingMethod",
    ),
    "the strategies for differential privacy do their own accounting; see docs/explanation/differential-privacy.md.",
)


class ServerApp(serverapp.ServerApp):
    """A ServerApp, optionally created from components of the older API; otherwise like `umbel.serverapp.ServerApp`."""

    def __init__(
        self,
        server: Any = None,
        config: Any = None,
        strategy: Any = None,
        client_manager: Any = None,
        server_fn: Callable[[Context], Any] | None = None,
    ) -> None:
        """Any argument makes main run the rounds of the older API. Raises ValueError for `server_fn` with another argument."""
        super().__init__()
        parts = {"server": server, "config": config, "strategy": strategy, "client_manager": client_manager}
        given = {name: part for name, part in parts.items() if part is not None}
        if server_fn is not None and given:
            raise ValueError(f"A ServerApp with a `server_fn` takes no {', '.join(given)}: return them from it.")
        if server_fn is not None or given:
            from umbel.compat.flwr.legacy import serverapp as legacy

            self.main()(legacy.main(**parts, server_fn=server_fn))

    def __call__(self, grid: grid.Grid, context: Context) -> None:
        """Run main. Raises ValueError when none is registered."""
        adopt_content(context.state)
        super().__call__(Grid(grid), context)
