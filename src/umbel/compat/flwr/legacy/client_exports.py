"""`flwr.client`: the clients of the older API."""

from umbel.compat.flwr.clientapp import ClientApp
from umbel.compat.flwr.legacy.client import Client, NumPyClient
from umbel.compat.flwr.legacy.clientapp import ClientFn, ClientFnExt

__all__ = ["Client", "ClientApp", "ClientFn", "ClientFnExt", "NumPyClient"]

MISSING = dict.fromkeys(
    ("start_client", "start_numpy_client"),
    "clients do not connect to a server on their own. Create a ClientApp(client_fn=…) and run it with `umbel run`.",
)
