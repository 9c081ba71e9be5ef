"""What an author needs for the side that leads the rounds."""

from umbel.serverapp.grid import Grid, RoundPolicy, Run
from umbel.serverapp.serverapp import ServerApp

__all__ = ["Grid", "RoundPolicy", "Run", "ServerApp"]
