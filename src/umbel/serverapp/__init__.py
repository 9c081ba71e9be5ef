"""The server side of an app: ServerApp and Grid."""

from umbel.serverapp.grid import Grid, RoundPolicy, Run
from umbel.serverapp.serverapp import ServerApp

__all__ = ["Grid", "RoundPolicy", "Run", "ServerApp"]
