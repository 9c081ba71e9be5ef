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
    """Umbel's ServerApp, which may also be made from the parts of the older API. See `umbel.serverapp.ServerApp`."""

    def __init__(
        self,
        server: Any = None,
        config: Any = None,
        strategy: Any = None,
        client_manager: Any = None,
        server_fn: Callable[[Context], Any] | None = None,
    ) -> None:
        """With any of these, main is the older API's rounds. Raises ValueError for `server_fn` together with another."""
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
