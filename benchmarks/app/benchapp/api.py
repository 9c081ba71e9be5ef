"""The one place that knows which product runs the app: each has only its own package installed."""

from __future__ import annotations

import importlib.util

if importlib.util.find_spec("umbel") is not None:
    from umbel.app import ArrayRecord, ConfigRecord, Context, Message, MetricRecord, RecordDict
    from umbel.clientapp import ClientApp
    from umbel.serverapp import Grid, ServerApp
    from umbel.serverapp.strategy import FedAvg
else:
    from flwr.app import ArrayRecord, ConfigRecord, Context, Message, MetricRecord, RecordDict
    from flwr.clientapp import ClientApp
    from flwr.serverapp import Grid, ServerApp
    from flwr.serverapp.strategy import FedAvg

__all__ = [
    "ArrayRecord",
    "ClientApp",
    "ConfigRecord",
    "Context",
    "FedAvg",
    "Grid",
    "Message",
    "MetricRecord",
    "RecordDict",
    "ServerApp",
]
