"""ServerAppComponents: the return value of a `server_fn`."""

from __future__ import annotations

from dataclasses import dataclass

from umbel.compat.flwr.legacy.clientmanager import ClientManager
from umbel.compat.flwr.legacy.server import Server, ServerConfig
from umbel.compat.flwr.legacy.strategy.strategy import Strategy

__all__ = ["ServerAppComponents"]


@dataclass
class ServerAppComponents:
    """The components of a server. None selects the default: Server, one round, FedAvg, SimpleClientManager."""

    server: Server | None = None
    config: ServerConfig | None = None
    strategy: Strategy | None = None
    client_manager: ClientManager | None = None
