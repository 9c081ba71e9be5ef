"""Not used: the tests send the messages themselves."""

from __future__ import annotations

from umbel.serverapp import ServerApp

app = ServerApp()
