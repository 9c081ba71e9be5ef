"""LegacyContext: what a workflow of the older API knows."""

from __future__ import annotations

from umbel.app.context import Context
from umbel.compat.flwr.legacy.clientmanager import ClientManager, SimpleClientManager
from umbel.compat.flwr.legacy.history import History
from umbel.compat.flwr.legacy.serverconfig import ServerConfig
from umbel.compat.flwr.legacy.strategy.fedavg import FedAvg
from umbel.compat.flwr.legacy.strategy.strategy import Strategy
from umbel.compat.flwr.legacy.telling import Telling

__all__ = ["LegacyContext"]


class LegacyContext(Context):
    """A context with the parts of the server, and what was measured so far."""

    def __init__(
        self,
        context: Context,
        config: ServerConfig | None = None,
        strategy: Strategy | None = None,
        client_manager: ClientManager | None = None,
    ) -> None:
        """Of `context`, whose state it shares; parts that are not given are the defaults."""
        super().__init__(context.run_id, context.node_id, context.node_config, context.state, context.run_config)
        self.config = ServerConfig() if config is None else config
        self.strategy = FedAvg() if strategy is None else strategy
        self.client_manager = SimpleClientManager() if client_manager is None else client_manager
        self.history = History()
        self.telling = Telling()
