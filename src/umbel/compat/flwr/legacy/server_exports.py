"""`flwr.server`: the server of the older API."""

from umbel.compat.flwr.grid import Grid
from umbel.compat.flwr.legacy.clientmanager import ClientManager, SimpleClientManager
from umbel.compat.flwr.legacy.components import ServerAppComponents
from umbel.compat.flwr.legacy.server import History, Server, ServerConfig
from umbel.compat.flwr.legacy.workflow import LegacyContext
from umbel.compat.flwr.serverapp import ServerApp

Driver = Grid  # its name before

__all__ = [
    "ClientManager",
    "Driver",
    "Grid",
    "History",
    "LegacyContext",
    "Server",
    "ServerApp",
    "ServerAppComponents",
    "ServerConfig",
    "SimpleClientManager",
]

MISSING = {"start_server": "create a ServerApp(server_fn=…) and run it with `umbel run`."}
